"""Brings the operator's wishes from ``control.db`` and from files to the trader, and new settings with them."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from src.core.events import HaltFileChanged, SettingsChanged, TraderEvent
from src.core.operator.control_files import ControlFiles
from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.errors import ConfigError
from src.settings.config import Settings, load_settings

log = logging.getLogger("hunter.operator")

_POLL_SECONDS = 0.25


class CommandPoller:
    """Polls for wishes newer than the last; ``settings`` are those in force, for whoever must know the symbols."""

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
        self._settings_file = settings_file
        self._post = post
        self._stopping = threading.Event()
        self._on_settings: Callable[[], None] = lambda: None
        self.settings = settings
        self.symbols = frozenset(settings.symbols)
        """Every symbol that was in force since the start: what is held of one that left needs its prices still."""

    def on_settings(self, call: Callable[[], None]) -> None:
        """What to call after new settings were handed on."""
        self._on_settings = call

    def run(self, last_id: int, heartbeat: Callable[[], None]) -> None:
        """Until a stop is asked for; ``last_id`` is the last wish that was carried out."""
        while not self._stopping.wait(_POLL_SECONDS):
            heartbeat()
            self._poll_files()
            for command in self._reader.after(last_id):
                last_id = command.id
                self._forward(command)

    def stop(self) -> None:
        self._stopping.set()

    def _poll_files(self) -> None:
        """HALT where it has changed, each request once; the trader removes a request that is done."""
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

    def _report_error(self, fault: str) -> None:
        """A fault is said once."""
        if fault and fault != self._error:
            log.error("the files of the command line cannot be read: %s", fault)
        self._error = fault

    def _forward(self, command: OperatorCommand) -> None:
        if command.action is not OperatorAction.RELOAD_SETTINGS:
            self._post(command)
            return
        try:
            self.settings = load_settings(self._settings_file)
        except ConfigError as error:
            log.error("settings not taken over, the old ones stay in force: %s", error)
            self._post(command)  # the trader answers that nothing was changed
            return
        self.symbols |= self.settings.symbols.keys()
        self._post(SettingsChanged(self.settings, command.id))
        self._on_settings()
