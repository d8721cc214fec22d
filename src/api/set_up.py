"""The set-up from the page: credentials pass through to be tested and saved, and are held, shown or told nowhere."""

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.api.commands import Commands
from src.api.errors import ApiError, bad_parameter
from src.api.settings_editor import SettingsEditor
from src.domain.checks import Check
from src.domain.errors import ConfigError
from src.domain.messages import OperatorAction
from src.exchange.port import CredentialCheck
from src.utils.config import Environment
from src.utils.credentials import AnyCredentials, read_credentials
from src.utils.stored_credentials import Stored, remember_paper, same_account, save_credentials, stored_in

_LONGEST = 200
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "api_wallet": {
        "user_address": "ASTER_USER_ADDRESS",
        "signer_private_key": "ASTER_SIGNER_PRIVATE_KEY",
        "signer_address": "ASTER_SIGNER_ADDRESS",
    },
    "api_key": {"api_key": "API_KEY", "api_secret": "API_SECRET"},
}
_OPTIONAL = "signer_address"


def credentials_in(document: Mapping[str, Any]) -> AnyCredentials:
    """What a request holds, checked for its form. Raises `ApiError` with every fault, and none of its text."""
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise bad_parameter("kind", f"kind must be one of {', '.join(_FIELDS)}.")
    values = {variable: _text(document, name) for name, variable in _FIELDS[kind].items()}
    try:
        found = read_credentials(values, frozenset())
    except ConfigError as error:
        raise _invalid(*error.faults) from None
    if found is None:
        raise _invalid("Nothing was filled in.")
    return found


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name, "" if name == _OPTIONAL else None)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise bad_parameter(name, f"{name} must be a text of at most {_LONGEST} signs.")
    return value.strip()


def _invalid(*faults: str) -> ApiError:
    return ApiError(400, "invalid_credentials", " ".join(faults), faults=list(faults))


@dataclass(frozen=True, slots=True)
class SetUp:
    """Test, save, start anew. One at a time: a save is read, check, write."""

    environment: Environment
    settings: SettingsEditor
    commands: Commands
    checker: CredentialCheck | None
    lock: threading.Lock

    @property
    def file(self) -> Path:
        return self.environment.home / ".env"

    def stored(self) -> Stored:
        """What is set, in what may be shown. Raises `ApiError` where ``.env`` cannot be read."""
        try:
            return stored_in(self.file)
        except ConfigError as error:
            raise _unreadable(error) from error

    def is_first_run(self) -> bool:
        """Nobody has chosen anything yet. A file that cannot be read was chosen by somebody."""
        try:
            return not self.environment.keys_outside and self.stored().is_empty
        except ApiError:
            return False

    def test(self, credentials: AnyCredentials) -> Sequence[Check]:
        """One line each; 429 while another test runs."""
        if self.checker is None:
            raise ApiError(503, "no_exchange", "This dashboard has no way to the exchange.")
        if not self.lock.acquire(blocking=False):
            raise ApiError(429, "busy", "Another test is running: wait a moment.")
        try:
            return self.checker.check(credentials, hedge_mode=self.settings.current().globals_.hedge_mode)
        finally:
            self.lock.release()

    def go_live(self, credentials: AnyCredentials, held: Sequence[str]) -> int:
        """Save them, ask for real orders, and ask the bot to start anew; ``held`` are symbols at stake now."""
        with self.lock:
            self._refuse_outside()
            if held and not self._is_same(credentials):
                raise _held(held)
            self.settings.current()  # faulty settings are said before anything is written
            self._write(lambda: save_credentials(self.file, credentials))
            self.settings.choose_mode(is_simulated=False)
            return self._restart()

    def stay_on_paper(self, held: Sequence[str]) -> int:
        """Paper, and no question again; stored credentials stay where they are."""
        with self.lock:
            if held:
                raise _held(held)
            self.settings.current()
            self._write(lambda: remember_paper(self.file))
            self.settings.choose_mode(is_simulated=True)
            return self._restart()

    def _restart(self) -> int:
        return self.commands.ask(OperatorAction.RESTART, secrets.token_urlsafe(16))

    def _refuse_outside(self) -> None:
        if names := sorted(self.environment.keys_outside):
            message = (
                f"{' and '.join(names)} are set outside .env, where this page cannot change them: remove them there."
            )
            raise ApiError(409, "keys_outside", message)

    def _is_same(self, credentials: AnyCredentials) -> bool:
        try:
            return same_account(self.file, credentials)
        except ConfigError as error:
            raise _unreadable(error) from error

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ConfigError as error:
            raise _unreadable(error) from error
        except OSError as error:
            message = f"{self.file} cannot be written: {error.strerror}."
            raise ApiError(503, "env_not_writable", message) from error


def _unreadable(error: ConfigError) -> ApiError:
    return ApiError(503, "env_unreadable", " ".join(error.faults))


def _held(symbols: Sequence[str]) -> ApiError:
    message = f"The bot holds {', '.join(symbols)} in the account of now: close that first, for it would be left alone."
    return ApiError(409, "positions_open", message)
