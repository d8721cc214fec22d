"""Starting anew because a person asked for it: a new key or mode is read by a new process."""

import threading

from src.database.control import CommandReader
from src.domain.commands import OperatorAction

EXIT_RESTART = 4
"""The exit code that asks the launcher for a new process at once."""


class RestartRequest:
    """Whether one was asked for since this process began. Safe from any thread."""

    def __init__(self, started_at: int, *, is_supervised: bool) -> None:
        self._started_at = started_at
        self._is_supervised = is_supervised
        self._requested = threading.Event()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def reply(self, requested_at: int) -> str:
        """What comes of a wish; one from before this process began has come true already."""
        if requested_at <= self._started_at:
            return "the bot has been started anew since then"
        if self._is_supervised:
            return "the bot ends and is started anew at once; positions stay protected"
        return "no launcher runs that would start the bot anew, so it goes on as it is: stop it, and start it again"

    def accept(self, requested_at: int) -> None:
        """Once the answer is committed. Without a launcher a bot that ended would be gone."""
        if self._is_supervised and requested_at > self._started_at:
            self._requested.set()

    def poll(self, reader: CommandReader) -> bool:
        """Read the wishes directly, where no trader answers them yet."""
        for command in reader.after(self._started_at):
            if command.action is OperatorAction.RESTART:
                self.accept(command.at)
        return self.is_requested
