"""Polls ``control.db``, the control files and settings.json; forwards commands and new settings to the trader."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from src.core.events import HaltFileChanged, SettingsChanged, SettingsRefused, TraderEvent
from src.core.operator.control_files import ControlFiles
from src.core.operator.settings_watcher import SettingsWatcher
from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from src.settings.config import Settings, SettingsError

log = logging.getLogger("hunter.operator")

_POLL_SECONDS = 0.25


class CommandPoller:
    """Polls for new operator commands; ``settings`` are the newest ones loaded."""

    def __init__(
        self,
        reader: CommandReader,
        files: ControlFiles,
        settings_file: Path,
        settings: Settings,
        post: Callable[[TraderEvent], None],
    ) -> None:
        self._reader = reader
        self._files = files
        self._halt: HaltFileChanged | None = None
        self._forwarded: set[str] = set()
        self._error = ""
        self._watcher = SettingsWatcher(settings_file)
        self._is_refused = False
        """The file was last refused, so that the settings in force are older than the file."""
        self._post = post
        self._stopping = threading.Event()
        self._on_settings: Callable[[], None] = lambda: None
        self.settings = settings
        self.symbols = frozenset(settings.symbols)
        """Every symbol configured since startup: open positions of removed symbols still need prices."""

    def on_settings(self, call: Callable[[], None]) -> None:
        """Register a callback for new settings."""
        self._on_settings = call

    def run(self, last_id: int, heartbeat: Callable[[], None]) -> None:
        """Poll until stopped; ``last_id`` is the id of the last command carried out."""
        while not self._stopping.wait(_POLL_SECONDS):
            heartbeat()
            self._poll_files()
            self._poll_settings()
            loaded: Settings | None = None
            for command in self._reader.after(last_id):
                last_id = command.id
                loaded = self._forward(command, loaded)

    def stop(self) -> None:
        self._stopping.set()

    def _poll_files(self) -> None:
        """Forward a changed HALT file and each command file once; the trader removes finished command files."""
        try:
            halt, requests = self._files.read_halt(), self._files.pending()
        except OSError as error:
            self._report_error(str(error))
            return
        self._report_error("")
        if halt.modified_at != (self._halt.modified_at if self._halt else None):
            self._post(halt)
        self._halt = halt
        for request in requests:
            if request.file.name not in self._forwarded:
                self._post(request)
        self._forwarded = {request.file.name for request in requests}

    def _report_error(self, error: str) -> None:
        """Log an error once."""
        if error and error != self._error:
            log.error("cannot read the control files: %s", error)
        self._error = error

    def _forward(self, command: OperatorCommand, loaded: Settings | None) -> Settings | None:
        """Forward a command and return the settings ``loaded`` in this poll.

        The file was saved before its command: one load serves all saves of a poll, however many there are.
        """
        if command.action is not OperatorAction.RELOAD_SETTINGS:
            self._post(command)
        elif loaded is not None:
            self._post(SettingsChanged(loaded, command.id))
        else:
            try:
                loaded = self._watcher.load()
                self._apply(loaded, command.id)
            except SettingsError as error:
                self._refuse(error)
                self._post(command)  # the trader answers that nothing has changed
        return loaded

    def _poll_settings(self) -> None:
        """Forward an edit of the settings file; the first poll also finds an edit made while the bot started."""
        match self._watcher.poll():
            case Settings() as settings if settings != self.settings or self._is_refused:
                self._apply(settings, None)
            case SettingsError() as error:
                self._refuse(error)

    def _apply(self, settings: Settings, command_id: int | None) -> None:
        self.settings, self._is_refused = settings, False
        self.symbols |= settings.symbols.keys()
        self._post(SettingsChanged(settings, command_id))
        self._on_settings()

    def _refuse(self, error: SettingsError) -> None:
        self._is_refused = True
        self._post(SettingsRefused(tuple(error.details)))
