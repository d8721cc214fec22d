"""Checks a large database while the bot runs: reading it from end to end takes too long for a start."""

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

log = logging.getLogger("hunter.database")

_DELAY_SECONDS = 3.0
"""The start itself reads from the same disk."""
_RETRY_SECONDS = 60.0
_DAMAGE_CODES = (11, 26)
"""SQLITE_CORRUPT, SQLITE_NOTADB (sqlite.org/rescode.html)."""


def damage_mark(path: Path) -> Path:
    """The file that makes the next start check the database before it uses it."""
    return path.with_name(f"{path.name}.damaged")


def mark_damaged(path: Path, damage: str) -> None:
    """Make the next start check the whole file; it moves a damaged one aside."""
    with suppress(OSError):  # a failing disk: the next start finds the damage again
        damage_mark(path).write_text(damage, encoding="utf-8")


def mark_if_damaged(path: Path, error: BaseException | None) -> None:
    """Mark the database if SQLite says with this error that it is damaged."""
    if int(getattr(error, "sqlite_errorcode", 0)) & 0xFF in _DAMAGE_CODES:
        mark_damaged(path, str(error))


class IntegrityCheck:
    """Reads every table once in a thread of its own and reports what is damaged; None if nothing is."""

    def __init__(self, path: Path, report: Callable[[str | None], None], delay_seconds: float = _DELAY_SECONDS) -> None:
        self._path = path
        self._report = report
        self._delay_seconds = delay_seconds
        self._stop = threading.Event()
        # SQLite cannot be interrupted in the middle of a table: as a daemon the thread never holds up the exit.
        self._thread = threading.Thread(target=self._run, name="integrity-check", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        pause = self._delay_seconds
        while not self._stop.wait(pause):
            try:
                damage = self._check()
            except sqlite3.OperationalError as error:  # locked, or the disk fails: nothing is known yet
                log.warning("the database cannot be checked now, retrying in %.0f s: %s", _RETRY_SECONDS, error)
                pause = _RETRY_SECONDS
                continue
            except sqlite3.DatabaseError as error:
                damage = str(error)
            if damage is not None:
                mark_damaged(self._path, damage)
            if not self._stop.is_set():
                self._report(damage)
            return

    def _check(self) -> str | None:
        """What is damaged. One table at a time: a long read would let the write-ahead log grow."""
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if self._stop.is_set():
                    return None
                quoted = table.replace("'", "''")
                found = str(connection.execute(f"PRAGMA quick_check('{quoted}')").fetchone()[0])
                if found != "ok":
                    return found
        return None
