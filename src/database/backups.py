"""Daily backups of the database; the newest are kept."""

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from src.database.db import backup
from src.domain.clock import DAY_MS, HOUR_MS, Clock
from src.domain.errors import ConfigError

log = logging.getLogger("hunter.database")

BACKUPS_KEPT = 3
_INTERVAL_MS = DAY_MS
_RETRY_MS = HOUR_MS
_FREE_SPACE_FACTOR = 3
"""A backup is made only if the free space is this many times its size."""


class Backups:
    """Backups in the directory ``backups``, named by date."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._database = database
        self._directory = database.with_name("backups")
        self._clock = clock
        self._next_at: int | None = None

    def make_when_due(self, heartbeat: Callable[[], None]) -> Path | None:
        """Make a backup if one is due; return its path, or None if none was made."""
        now_ms = self._clock.now_ms()
        if self._next_at is None:
            self._next_at = self._newest_ms() + _INTERVAL_MS
        if now_ms < self._next_at:
            return None
        self._next_at = now_ms + _RETRY_MS
        try:
            made = self._make(heartbeat)
        except (OSError, sqlite3.Error, ConfigError) as error:
            log.error("backup of the database failed: %s", error)
            return None
        if made is not None:
            self._next_at = now_ms + _INTERVAL_MS
        return made

    def copies(self) -> list[Path]:
        """Return the complete backups, oldest first."""
        return sorted(self._directory.glob(f"{self._database.stem}-????-??-??{self._database.suffix}"))

    def _newest_ms(self) -> int:
        made = [each.stat().st_mtime_ns // 1_000_000 for each in self.copies()]
        return max(made, default=-_INTERVAL_MS)

    def _make(self, heartbeat: Callable[[], None]) -> Path | None:
        size = self._database.stat().st_size
        if shutil.disk_usage(self._database.parent).free < _FREE_SPACE_FACTOR * size:
            log.error("backup of the database skipped: too little free disk space bytes_needed=%s", size)
            return None
        day = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date().isoformat()
        target = self._directory / f"{self._database.stem}-{day}{self._database.suffix}"
        backup(self._database, target, heartbeat)
        for old in self.copies()[:-BACKUPS_KEPT]:
            old.unlink()
        log.info("backup of the database made path=%s", target)
        return target


_CHECK_EVERY_SECONDS = 60


class BackupWorker:
    """Makes backups when they are due, in a thread of its own."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups
        self._stopping = threading.Event()

    def run(self, heartbeat: Callable[[], None]) -> None:
        """Check every minute until stopped; first a minute after the start, when positions are protected."""
        waited = 0
        while not self._stopping.wait(1):
            heartbeat()
            waited = (waited + 1) % _CHECK_EVERY_SECONDS
            if waited == 0:
                self._backups.make_when_due(heartbeat)

    def stop(self) -> None:
        self._stopping.set()
