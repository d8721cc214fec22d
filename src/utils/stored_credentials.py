"""The credentials in ``.env`` as the set-up sees them: told in what may be shown, replaced whole, never returned."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from src.domain.errors import ConfigError
from src.utils.auth import Scheme
from src.utils.credentials import CREDENTIAL_NAMES, AnyCredentials, Credentials, WalletCredentials, read_credentials
from src.utils.env_file import change_env_file, read_env_file

CHOSEN = "HUNTER_SETUP"
"""What was chosen where no credentials tell it: with ``paper`` the dashboard does not ask again."""
PAPER = "paper"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is set, and nothing that could be used."""

    scheme: Scheme | None = None
    ending: str = ""
    """The last four signs of the API key, or of the API wallet's address."""
    user: str = ""
    """The login wallet's address, which is public."""
    signer: str = ""
    """The API wallet's address, which is public."""
    fault: str = ""
    """Why what is there cannot be used."""
    has_chosen_paper: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing was ever chosen."""
        return self.scheme is None and not self.fault and not self.has_chosen_paper


def stored_in(path: Path) -> Stored:
    """What a ``.env`` holds. Raises ConfigError where it cannot be read."""
    values = read_env_file(path)
    is_paper = values.get(CHOSEN) == PAPER
    try:
        found = read_credentials(values, frozenset())
    except ConfigError as error:
        return Stored(fault=" ".join(error.faults), has_chosen_paper=is_paper)
    return _described(found, is_paper=is_paper)


def same_account(path: Path, credentials: AnyCredentials) -> bool:
    """Whether a ``.env`` holds credentials of this very account; a key does not tell whose it is."""
    stored = stored_in(path)
    match credentials:
        case Credentials():
            return read_env_file(path).get("API_KEY") == credentials.api_key
        case WalletCredentials():
            return stored.user.lower() == credentials.user.lower()
        case _:
            assert_never(credentials)


def save_credentials(path: Path, credentials: AnyCredentials) -> None:
    """Put them in the place of whatever was there. ConfigError where the file is broken, OSError where it is closed."""
    change_env_file(path, {**dict.fromkeys(CREDENTIAL_NAMES, ""), **_variables(credentials), CHOSEN: ""})


def remember_paper(path: Path) -> None:
    """Paper trading was chosen; credentials that are there stay. The errors are those of `save_credentials`."""
    change_env_file(path, {CHOSEN: PAPER})


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


def _described(found: AnyCredentials | None, *, is_paper: bool) -> Stored:
    match found:
        case None:
            return Stored(has_chosen_paper=is_paper)
        case Credentials():
            return Stored(Scheme.V1, found.api_key[-4:], has_chosen_paper=is_paper)
        case WalletCredentials():
            return Stored(Scheme.V3, found.signer[-4:], found.user, found.signer, has_chosen_paper=is_paper)
        case _:
            assert_never(found)
