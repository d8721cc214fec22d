"""The credentials in ``.env`` for the setup: described without secrets, and replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from src.credentials.credentials import (
    CREDENTIAL_NAMES,
    AnyCredentials,
    Credentials,
    WalletCredentials,
    read_credentials,
)
from src.credentials.env_file import read_env_file, update_env_file
from src.domain.errors import ConfigError
from src.utils.auth import ApiVersion

SETUP_VARIABLE = "HUNTER_SETUP"
"""The variable that records the choice of paper trading: with ``paper`` the dashboard does not ask again."""
PAPER = "paper"


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """Description of the stored credentials, without secrets."""

    api_version: ApiVersion | None = None
    key_suffix: str = ""
    """The last four characters of the API key, or of the API wallet's address."""
    user: str = ""
    """The login wallet's address, which is public."""
    signer: str = ""
    """The API wallet's address, which is public."""
    fault: str = ""
    """Why the stored credentials cannot be used; empty if they can."""
    has_chosen_paper: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether neither credentials nor paper trading were ever chosen."""
        return self.api_version is None and not self.fault and not self.has_chosen_paper


def load_stored(path: Path) -> StoredCredentials:
    """Describe the credentials in a ``.env``. Raises ConfigError if it cannot be read."""
    values = read_env_file(path)
    is_paper = values.get(SETUP_VARIABLE) == PAPER
    try:
        found = read_credentials(values, frozenset())
    except ConfigError as error:
        return StoredCredentials(fault=" ".join(error.messages), has_chosen_paper=is_paper)
    return _to_stored(found, is_paper=is_paper)


def is_same_account(path: Path, credentials: AnyCredentials) -> bool:
    """Whether a ``.env`` holds credentials of the same account; API keys are compared, as they name no account."""
    stored = load_stored(path)
    match credentials:
        case Credentials():
            return read_env_file(path).get("API_KEY") == credentials.api_key
        case WalletCredentials():
            return stored.user.lower() == credentials.user.lower()
        case _:
            assert_never(credentials)


def save_credentials(path: Path, credentials: AnyCredentials) -> None:
    """Replace the stored credentials. Raises ConfigError if the file is invalid, OSError if it cannot be written."""
    update_env_file(path, {**dict.fromkeys(CREDENTIAL_NAMES, ""), **_variables(credentials), SETUP_VARIABLE: ""})


def save_paper_choice(path: Path) -> None:
    """Record the choice of paper trading and keep any credentials. Raises the same errors as `save_credentials`."""
    update_env_file(path, {SETUP_VARIABLE: PAPER})


def _variables(credentials: AnyCredentials) -> Mapping[str, str]:
    match credentials:
        case Credentials():
            return {"API_KEY": credentials.api_key, "API_SECRET": credentials.api_secret}
        case WalletCredentials():
            return {
                "ASTER_USER_ADDRESS": credentials.user,
                "ASTER_SIGNER_PRIVATE_KEY": credentials.private_key,
                "ASTER_SIGNER_ADDRESS": credentials.signer,
            }
        case _:
            assert_never(credentials)


def _to_stored(found: AnyCredentials | None, *, is_paper: bool) -> StoredCredentials:
    match found:
        case None:
            return StoredCredentials(has_chosen_paper=is_paper)
        case Credentials():
            return StoredCredentials(ApiVersion.V1, found.api_key[-4:], has_chosen_paper=is_paper)
        case WalletCredentials():
            return StoredCredentials(
                ApiVersion.V3, found.signer[-4:], found.user, found.signer, has_chosen_paper=is_paper
            )
        case _:
            assert_never(found)
