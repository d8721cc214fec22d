"""A copy of the ledger a day, the newest few kept beside it (S9)."""

import logging
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from src.database.db import backup
from src.domain.clock import Clock
from src.domain.errors import ConfigError

log = logging.getLogger("hunter.database")

KEPT = 3
_EVERY_MS = 24 * 3_600_000
_TRY_AGAIN_MS = 3_600_000
_ROOM_LEFT = 3
"""A copy is made where the disk has room for so many: it must never be what fills it."""


class Backups:
    """Copies in ``backups/``, named by their day."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._database = database
        self._directory = database.with_name("backups")
        self._clock = clock
        self._next_at: int | None = None

    def make_when_due(self, beat: Callable[[], None]) -> Path | None:
        """The copy that was made; None where the newest is young enough, or none can be made now."""
        now_ms = self._clock.now_ms()
        if self._next_at is None:
            self._next_at = self._newest_ms() + _EVERY_MS
        if now_ms < self._next_at:
            return None
        self._next_at = now_ms + _TRY_AGAIN_MS
        try:
            made = self._make(beat)
        except (OSError, sqlite3.Error, ConfigError) as error:
            log.error("no copy of the database could be made: %s", error)
            return None
        if made is not None:
            self._next_at = now_ms + _EVERY_MS
        return made

    def copies(self) -> list[Path]:
        """Whole ones, the oldest first."""
        return sorted(self._directory.glob(f"{self._database.stem}-????-??-??{self._database.suffix}"))

    def _newest_ms(self) -> int:
        made = [each.stat().st_mtime_ns // 1_000_000 for each in self.copies()]
        return max(made, default=-_EVERY_MS)

    def _make(self, beat: Callable[[], None]) -> Path | None:
        size = self._database.stat().st_size
        if shutil.disk_usage(self._database.parent).free < _ROOM_LEFT * size:
            log.error("the database is not copied: the disk has too little room left for a copy of %s bytes", size)
            return None
        day = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date().isoformat()
        target = self._directory / f"{self._database.stem}-{day}{self._database.suffix}"
        backup(self._database, target, beat)
        for old in self.copies()[:-KEPT]:
            old.unlink()
        log.info("database copied to %s", target)
        return target
