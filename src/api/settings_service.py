"""Changes ``settings.json``: validates and writes the whole file, keeps its history, and has the bot reload it."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.api.bot_database import Commands
from src.api.errors import ApiError
from src.database.control import SettingsVersion
from src.domain import crash_points
from src.domain.commands import OperatorAction
from src.domain.crash_points import Point
from src.settings.config import (
    GlobalSettings,
    InvalidSetting,
    Settings,
    SettingsError,
    load_settings,
    new_symbol_defaults,
    parse_settings,
    save_settings,
    settings_document,
    settings_schema,
    settings_to_json,
    with_mode,
)
from src.settings.differences import Document, diff_settings
from src.settings.fields import path_fault
from src.settings.file import read_document

SAVES_AT_ONCE = 20
SAVES_WINDOW_MS = 60_000
_FILE_ONLY_SETTING = "db_path"
_DEFAULT_DATABASE = str(GlobalSettings.model_fields[_FILE_ONLY_SETTING].default)


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The result of a save."""

    command_id: int
    after_restart: tuple[str, ...]
    """Paths of changed settings that need a bot restart."""


class SymbolNotFound(LookupError):
    """The symbol is not in the settings."""


class FileChanged(Exception):
    """The settings file has changed since it was read."""


class SymbolExists(LookupError):
    """The symbol is already in the settings."""


class SettingsService:
    """Reads and changes the settings file of the dashboard's process."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self._path = path
        self._commands = commands
        self._saved_at: list[int] = []
        self._lock = threading.Lock()  # two concurrent read-modify-writes would lose one change

    def current(self) -> Settings:
        """The settings in the file. Raises `SettingsError` with all errors."""
        return load_settings(self._path)

    def replace(self, document: object, version: str | None = None) -> SaveResult:
        """Save a complete settings document. Raises `FileChanged` if the file is not of the ``version`` given."""
        with self._lock:
            if version not in (None, self._version()):
                raise FileChanged
            return self._save(parse_settings(document), "settings saved")

    def set_mode(self, *, is_simulated: bool) -> None:
        """Set paper or live mode for the next start; writes nothing if it is already set."""
        with self._lock:
            settings = self.current()
            if settings.globals_.simulate_only is not is_simulated:
                self._save(with_mode(settings, is_simulated=is_simulated), "mode changed in the setup")

    def update_symbol(self, symbol: str, config: Mapping[str, Any]) -> SaveResult:
        """Replace a symbol's configuration. Raises `SymbolNotFound`."""

        def change(symbols: dict[str, Any]) -> None:
            if symbol not in symbols:
                raise SymbolNotFound(symbol)
            symbols[symbol] = dict(config)

        return self._change(change, f"{symbol} changed")

    def add_symbol(self, symbol: str, config: Mapping[str, Any]) -> SaveResult:
        """Add a symbol with conservative defaults, overridden by ``config``. Raises `SymbolExists`."""

        def change(symbols: dict[str, Any]) -> None:
            if symbol in symbols:
                raise SymbolExists(symbol)
            symbols[symbol] = {**new_symbol_defaults(), **config}

        return self._change(change, f"{symbol} added")

    def remove_symbol(self, symbol: str) -> SaveResult:
        """Remove a symbol. Raises `SymbolNotFound`."""

        def change(symbols: dict[str, Any]) -> None:
            if symbol not in symbols:
                raise SymbolNotFound(symbol)
            del symbols[symbol]

        return self._change(change, f"{symbol} removed")

    def history(self, limit: int, edited: Iterable[SettingsVersion]) -> list[dict[str, Any]]:
        """The versions saved on the dashboard and those ``edited`` by hand, newest first, each with its changes."""
        saved = self._commands.settings_history(limit + 1)
        versions = sorted([*saved, *edited], key=lambda version: version.saved_at, reverse=True)
        older = [*(version.document for version in versions[1:]), None]
        return [_version_row(version, before) for version, before in zip(versions, older, strict=False)][:limit]

    def in_force(self, running: Mapping[str, Any]) -> dict[str, Any]:
        """The settings in force, and how the file differs from them.

        ``running`` is what a running bot published; without it the file counts. Raises `SettingsError` if that is
        faulty.
        """
        version, faults, document = self._version(), [], None
        notices: tuple[str, ...] = ()
        try:
            found = self.current()
            document, notices = settings_to_json(found), (*found.obsolete, *found.adapted)
        except SettingsError as error:
            faults = [{"path": fault.path, "message": fault.message} for fault in error.details]
            if "values" not in running:
                raise
        values = running.get("values", document)
        differences = [] if document is None else list(diff_settings(values, document))
        file: dict[str, Any] = {"version": version, "settings": document, "faults": faults}
        file |= {"differences": differences, "notices": notices}
        return {**values, "file": file}

    def _version(self) -> str:
        """Identifies the content of the file; empty if it cannot be read."""
        try:
            return hashlib.sha256(self._path.read_bytes()).hexdigest()
        except OSError:
            return ""

    def _change(self, change: Callable[[dict[str, Any]], None], message: str) -> SaveResult:
        with self._lock:
            document = settings_document(self.current())
            change(document["symbols"])
            return self._save(parse_settings(document), message)

    def _save(self, settings: Settings, message: str) -> SaveResult:
        before, after = self._saved_document(), settings_to_json(settings)
        changes = list(diff_settings(before, after))
        was_valid = bool(before["globals"])
        self._reject_database_path(after)
        self._limit_saves()
        save_settings(self._path, settings)
        crash_points.reached(Point.SETTINGS_SAVED)
        if was_valid and not self._commands.settings_history(1):
            self._commands.add_settings_version(before, "settings before the first change")
        self._commands.add_settings_version(after, message)
        command_id = self._commands.submit(OperatorAction.RELOAD_SETTINGS, secrets.token_urlsafe(16))
        schema = settings_schema()
        return SaveResult(command_id, tuple(each.path for each in changes if _needs_restart(schema, each.path)))

    def _saved_document(self) -> Document:
        """The document in the file; empty if it is invalid, so that every new setting counts as a change."""
        try:
            return settings_to_json(self.current())
        except SettingsError:
            return {"globals": {}, "symbols": {}}

    def _reject_database_path(self, after: Document) -> None:
        """A page must not choose which files the bot writes: the path stays as it is in the file, even in one with
        faults, and as in the last version saved if the file cannot be parsed at all."""
        home, chosen = self._path.parent, after["globals"].get(_FILE_ONLY_SETTING)
        if home / (chosen or _DEFAULT_DATABASE) != home / (self._database_path() or _DEFAULT_DATABASE):
            fault = InvalidSetting(f"globals.{_FILE_ONLY_SETTING}", "can only be changed in settings.json")
            raise SettingsError(self._path.name, [fault])

    def _database_path(self) -> str | None:
        try:
            document = read_document(self._path)
        except SettingsError:
            newest = self._commands.settings_history(1)
            document = newest[0].document if newest else None
        part = document.get("globals") if isinstance(document, dict) else None
        path = part.get(_FILE_ONLY_SETTING) if isinstance(part, dict) else None
        return path if isinstance(path, str) and path_fault(path) is None else None

    def _limit_saves(self) -> None:
        """Raise `ApiError` 429 above SAVES_AT_ONCE within SAVES_WINDOW_MS: the bot applies each save between trades."""
        now_ms = self._commands.monotonic_ms()
        self._saved_at = [at for at in self._saved_at if now_ms - at < SAVES_WINDOW_MS]
        if len(self._saved_at) >= SAVES_AT_ONCE:
            wait_s = -(-(self._saved_at[0] + SAVES_WINDOW_MS - now_ms) // 1000)
            message = f"Too many saves in a row; nothing was saved. Try again in {wait_s} s."
            raise ApiError(429, "too_many_saves", message, headers={"Retry-After": str(wait_s)})
        self._saved_at.append(now_ms)


def _version_row(version: SettingsVersion, older: Document | None) -> dict[str, Any]:
    before = version.previous or older
    return {
        "id": f"edit-{version.id}" if version.previous else version.id,
        "at": version.saved_at,
        "message": version.message,
        "changes": [] if before is None else list(diff_settings(before, version.document)),
        "settings": version.document,
    }


def _needs_restart(schema: Mapping[str, Mapping[str, Mapping[str, Any]]], path: str) -> bool:
    part, *_, name = path.split(".")
    return bool(schema[part][name]["applies"] == "after restart")
