"""The only writer of the bot's database, which defers writes while the database cannot be written (F43)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from sqlite3 import DatabaseError
from sqlite3 import OperationalError as DriverError
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from src.database.db import (
    begin_immediate,
    checkpoint,
    commit_transaction,
    file_identity,
    open_reader,
    read_transaction,
    restore_deleted_file,
    rollback_raw,
    set_busy_timeout,
)
from src.database.integrity import mark_if_damaged
from src.domain.clock import Clock
from src.domain.errors import ConfigError, InvariantError

log = logging.getLogger("hunter.database")

WRITE_TIMEOUT_MS = 1_000
"""How long a write waits for a locked database before it is deferred, so that protective orders do not wait."""
_RETRY_INTERVAL_MS = 1_000
_RETRY_TIMEOUT_MS = 20
_MAX_HISTORY = 50_000
_FILE_LOST = "its file was deleted or replaced"
_STORAGE_ERRORS = {
    5: "another program has locked it",
    6: "another program has locked it",
    8: "it is read-only",
    10: "the disk reports an error",
    13: "the disk is full",
    14: "its file cannot be opened",
    15: "another program has locked it",
}
"""SQLite result codes caused by the disk or by other programs (sqlite.org/rescode.html)."""
_PERMISSION_CODES = (8, 14)
_FAILURES = (OperationalError, DriverError)
"""A failed statement of SQLAlchemy, or of the driver (``Prepared``)."""
Found = TypeVar("Found")
WriteFn = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class _Write:
    write_fn: WriteFn
    is_history: bool


class DeferredWriter:
    """Writes in transactions; while the database fails, writes are kept and executed later in the same order.

    A transaction that cannot be committed is not lost and does not raise; ``error`` says why it waits. One thread, one
    connection.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._path = Path(engine.url.database or "")
        self._files = self._path, self._path.with_name(f"{self._path.name}-wal")
        self._reader = open_reader(self._path)
        self._connection: Connection | None = None
        self._is_open = False
        self._uncommitted: dict[object, _Write] = {}
        self._write_ids = count()
        self._history_count = 0
        self._next_retry_at = 0
        self._file_ids: tuple[tuple[int, int] | None, ...] | None = None
        self.error: str | None = None
        """Why nothing can be written now; None if the database works."""
        self.dropped = 0
        """Number of history writes dropped because too many were waiting."""
        self.slowest_ms = 0
        """The slowest begin or commit, in milliseconds."""

    @property
    def is_flushed(self) -> bool:
        """Whether no write is waiting."""
        return not self._uncommitted

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together, now or later; nothing if the body raises."""
        if self._is_open:
            raise InvariantError("a transaction is open already")
        self._is_open = True
        try:
            self._begin()
            yield
            self._commit()
        except BaseException as error:
            mark_if_damaged(self._path, getattr(error, "orig", error))
            self._uncommitted.clear()  # the process will exit: nothing uncommitted has happened
            raise
        finally:
            self._close_connection()
            self._is_open = False

    def write(self, write_fn: WriteFn, key: object = None, *, is_history: bool = False, default: Any = None) -> Any:
        """Execute a write, or defer it and return ``default``; of several with one key only the last is kept."""
        self._require_open()
        if is_history and self.error is not None and self._history_count >= _MAX_HISTORY:
            self.dropped += 1
            return default
        name = (next(self._write_ids),) if key is None else key
        self._uncommitted.pop(name, None)
        self._uncommitted[name] = _Write(write_fn, is_history)
        self._history_count += is_history
        if self._connection is None:
            return default
        try:
            return write_fn(self._connection)
        except _FAILURES as error:
            self._on_error(error)
            return default

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """Run a query; it sees the writes of the open transaction, but not the deferred ones."""
        self._require_open()
        if self._connection is None:
            with read_transaction(self._reader) as connection:
                return query(connection)
        try:
            return query(self._connection)
        except _FAILURES as error:
            self._on_error(error)  # if it cannot be read, it cannot be committed either
            raise

    def checkpoint(self) -> None:
        """Checkpoint the write-ahead log unless writes are waiting."""
        if self.error is not None:
            return
        try:
            checkpoint(self._engine)
        except DatabaseError as error:  # the next commit meets the same error and defers its writes
            log.warning("checkpoint failed error=%s", error)

    def _require_open(self) -> None:
        if not self._is_open:
            raise InvariantError("the store was used outside a transaction")

    def _begin(self) -> None:
        if self.error is not None and self._clock.monotonic_ms() < self._next_retry_at:
            return
        if self._has_lost_file() and not self._restore_file():
            return
        started_at = self._clock.monotonic_ms()
        try:
            self._connection = self._engine.connect()
            set_busy_timeout(self._connection, _RETRY_TIMEOUT_MS if self.error else WRITE_TIMEOUT_MS)
            begin_immediate(self._connection)
            for each in self._uncommitted.values():
                each.write_fn(self._connection)
        except _FAILURES as error:
            self._on_error(error)
        else:
            self.error = None
        self._record_duration(started_at)

    def _commit(self) -> None:
        if self._connection is None:
            return
        started_at = self._clock.monotonic_ms()
        try:
            commit_transaction(self._connection)
        except _FAILURES as error:
            self._on_error(error)
        else:
            self._uncommitted.clear()
            self._history_count = 0
            self._file_ids = self._file_ids or self._current_file_ids()
        self._record_duration(started_at)

    def _record_duration(self, started_at: int) -> None:
        self.slowest_ms = max(self.slowest_ms, self._clock.monotonic_ms() - started_at)

    def _on_error(self, error: OperationalError | DriverError) -> None:
        """Defer writes from now on. Raises the error if it is not caused by the disk or another program."""
        reason = describe_storage_error(error)
        if reason is None:
            raise error
        self._defer(reason)

    def _defer(self, reason: str) -> None:
        self.error = reason
        self._next_retry_at = self._clock.monotonic_ms() + _RETRY_INTERVAL_MS
        self._close_connection()

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            rollback_raw(connection)
            connection.close()

    def _has_lost_file(self) -> bool:
        """Whether the file or its log was deleted or replaced: SQLite would go on writing to the deleted one."""
        return self._file_ids is not None and self._file_ids != self._current_file_ids()

    def _restore_file(self) -> bool:
        """Restore the file from the open connection; the first call only defers, as restoring takes a while."""
        if self.error != _FILE_LOST:
            self._defer(_FILE_LOST)
            return False
        log.critical("database file deleted or replaced, restoring it from the open connection path=%s", self._path)
        try:
            restore_deleted_file(self._engine, self._path, self._clock.now_ms())
        except (OSError, ConfigError, DatabaseError) as error:
            log.critical("database file could not be restored path=%s error=%s", self._path, error)
            self._defer(_FILE_LOST)
            return False
        self._file_ids = None
        return True

    def _current_file_ids(self) -> tuple[tuple[int, int] | None, ...]:
        """Identities of the current file and its write-ahead log."""
        return tuple(map(file_identity, self._files))


def describe_storage_error(error: OperationalError | DriverError) -> str | None:
    """Describe an error caused by the disk or another program; None for any other."""
    return _STORAGE_ERRORS.get(_code(error))


def is_transient(error: OperationalError | DriverError) -> bool:
    """Whether the error may go away by itself: a lock, or a full or failing disk."""
    return describe_storage_error(error) is not None and _code(error) not in _PERMISSION_CODES


def _code(error: OperationalError | DriverError) -> int:
    of_driver = error.orig if isinstance(error, OperationalError) else error
    return int(getattr(of_driver, "sqlite_errorcode", 0)) & 0xFF
