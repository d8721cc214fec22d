"""The setup page's service: tests and saves credentials without keeping, showing or logging them."""

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.api.bot_database import Commands
from src.api.errors import ApiError, bad_parameter
from src.api.settings_service import SettingsService
from src.credentials.credentials import AnyCredentials, read_credentials
from src.credentials.stored_credentials import (
    StoredCredentials,
    is_same_account,
    load_stored,
    save_credentials,
    save_paper_choice,
)
from src.domain.checks import Check
from src.domain.commands import OperatorAction
from src.domain.errors import ConfigError
from src.exchange.port import CredentialCheck
from src.settings.config import Environment

_MAX_FIELD_LENGTH = 200
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "api_wallet": {
        "user_address": "ASTER_USER_ADDRESS",
        "signer_private_key": "ASTER_SIGNER_PRIVATE_KEY",
        "signer_address": "ASTER_SIGNER_ADDRESS",
    },
    "api_key": {"api_key": "API_KEY", "api_secret": "API_SECRET"},
}
_OPTIONAL_FIELD = "signer_address"


def parse_credentials(document: Mapping[str, Any]) -> AnyCredentials:
    """Credentials from a request, with their format checked. The `ApiError` raised never quotes what was typed."""
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise bad_parameter("kind", f"kind must be one of {', '.join(_FIELDS)}.")
    values = {variable: _text_field(document, name) for name, variable in _FIELDS[kind].items()}
    try:
        found = read_credentials(values, frozenset())
    except ConfigError as error:
        raise _invalid(*error.messages) from None
    if found is None:
        raise _invalid("Fill in the fields.")
    return found


def _text_field(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name, "" if name == _OPTIONAL_FIELD else None)
    if not isinstance(value, str) or len(value) > _MAX_FIELD_LENGTH:
        raise bad_parameter(name, f"{name} must be text of at most {_MAX_FIELD_LENGTH} characters.")
    return value.strip()


def _invalid(*faults: str) -> ApiError:
    return ApiError(400, "invalid_credentials", " ".join(faults), faults=list(faults))


@dataclass(slots=True)
class SetupService:
    """Tests and saves credentials, sets the mode, and restarts the bot. The lock allows one of these at a time."""

    environment: Environment
    settings: SettingsService
    commands: Commands
    checker: CredentialCheck | None
    lock: threading.Lock
    _last_look: tuple[tuple[int, ...] | None, bool] = (None, True)
    """The version of ``.env`` that was last read, and whether nothing was chosen in it."""

    @property
    def env_file(self) -> Path:
        return self.environment.home / ".env"

    def stored(self) -> StoredCredentials:
        """The stored credentials without secrets. Raises `ApiError` if ``.env`` cannot be read."""
        try:
            return load_stored(self.env_file)
        except ConfigError as error:
            raise _unreadable(error) from error

    def is_first_run(self) -> bool:
        """Whether neither paper nor live was chosen yet; an unreadable ``.env`` counts as a choice.

        The file, which holds the keys, is only read again when it has changed.
        """
        if self.environment.env_override_keys:
            return False
        version = _file_version(self.env_file)
        known, is_empty = self._last_look
        if version != known:
            try:
                is_empty = self.stored().is_empty
            except ApiError:
                is_empty = False
            self._last_look = version, is_empty
        return is_empty

    def test(self, credentials: AnyCredentials) -> Sequence[Check]:
        """Test the credentials at the exchange. Raises `ApiError` 429 while another test runs."""
        if self.checker is None:
            raise ApiError(503, "no_exchange", "This dashboard has no connection to the exchange.")
        if not self.lock.acquire(blocking=False):
            raise ApiError(429, "busy", "Another test is running. Try again in a moment.")
        try:
            return self.checker.check(credentials, hedge_mode=self.settings.current().globals_.hedge_mode)
        finally:
            self.lock.release()

    def enable_live(self, credentials: AnyCredentials, open_symbols: Sequence[str]) -> int:
        """Save the credentials, switch to live mode, and restart the bot. Returns the command's id.

        Another account is rejected while ``open_symbols`` have live positions in the current one.
        """
        with self.lock:
            self._reject_env_overrides()
            if open_symbols and not self._is_same_account(credentials):
                raise _positions_open(open_symbols)
            self.settings.current()  # raises for invalid settings before anything is written
            self._write_env_file(lambda: save_credentials(self.env_file, credentials))
            self.settings.set_mode(is_simulated=False)
            return self._restart()

    def choose_paper(self, open_symbols: Sequence[str]) -> int:
        """Switch to paper mode and restart the bot; stored credentials are kept. Returns the command's id."""
        with self.lock:
            if open_symbols:
                raise _positions_open(open_symbols)
            self.settings.current()
            self._write_env_file(lambda: save_paper_choice(self.env_file))
            self.settings.set_mode(is_simulated=True)
            return self._restart()

    def _restart(self) -> int:
        return self.commands.submit(OperatorAction.RESTART, secrets.token_urlsafe(16))

    def _reject_env_overrides(self) -> None:
        if names := sorted(self.environment.env_override_keys):
            message = (
                f"Environment variables override .env: {', '.join(names)}. Remove them before you save a key here."
            )
            raise ApiError(409, "keys_outside", message)

    def _is_same_account(self, credentials: AnyCredentials) -> bool:
        try:
            return is_same_account(self.env_file, credentials)
        except ConfigError as error:
            raise _unreadable(error) from error

    def _write_env_file(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ConfigError as error:
            raise _unreadable(error) from error
        except OSError as error:
            message = f"{self.env_file} cannot be written: {error.strerror}."
            raise ApiError(503, "env_not_writable", message) from error


def _file_version(path: Path) -> tuple[int, ...] | None:
    """Changes with the content of a file; None if it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unreadable(error: ConfigError) -> ApiError:
    return ApiError(503, "env_unreadable", " ".join(error.messages))


def _positions_open(symbols: Sequence[str]) -> ApiError:
    message = f"The bot has open positions in the current account ({', '.join(symbols)}). Close them first."
    return ApiError(409, "positions_open", message)
