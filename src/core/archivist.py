"""Copies the ledger once a day, in a thread of its own: the trader does not wait for it."""

import threading
from collections.abc import Callable

from src.database.backups import Backups

_LOOK_EVERY = 60
"""Seconds."""


class Archivist:
    """Looks each minute whether a copy is due."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups
        self._stopping = threading.Event()

    def run(self, beat: Callable[[], None]) -> None:
        """Until a stop is asked for; the first look is a minute after the start, when protection stands."""
        waited = 0
        while not self._stopping.wait(1):
            beat()
            waited = (waited + 1) % _LOOK_EVERY
            if waited == 0:
                self._backups.make_when_due(beat)

    def stop(self) -> None:
        self._stopping.set()
