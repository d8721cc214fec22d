"""Restart on request: new credentials or a new mode take effect in a new process."""

import threading

from src.database.control import CommandReader
from src.domain.commands import OperatorAction


class RestartRequest:
    """Whether a restart was requested since this process started. Thread-safe."""

    def __init__(self, started_at: int, *, is_supervised: bool) -> None:
        self._started_at = started_at
        self._is_supervised = is_supervised
        self._requested = threading.Event()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def reply(self, requested_at: int) -> str:
        """Answer to a restart command; one from before this process started is already done."""
        if requested_at <= self._started_at:
            return "the bot has restarted since then"
        if self._is_supervised:
            return "the bot restarts now; positions stay protected"
        return "no launcher is running; restart the bot manually"

    def accept(self, requested_at: int) -> None:
        """Request the restart, after its answer is committed. Ignored without a launcher, as nothing would restart."""
        if self._is_supervised and requested_at > self._started_at:
            self._requested.set()

    def poll(self, reader: CommandReader) -> bool:
        """Read restart commands directly, before a trader handles them."""
        for command in reader.after(self._started_at):
            if command.action is OperatorAction.RESTART:
                self.accept(command.at)
        return self.is_requested
