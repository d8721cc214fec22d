"""The one hand that writes the ledger, and what it holds back while the ledger cannot be written (F43)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from sqlite3 import DatabaseError
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from src.database.db import (
    checkpoint,
    file_identity,
    open_reader,
    read_transaction,
    restore_deleted_file,
    rollback_raw,
    set_busy_timeout,
)
from src.domain.clock import Clock
from src.domain.errors import ConfigError, InvariantError

log = logging.getLogger("hunter.database")

WRITE_TIMEOUT_MS = 1_000
"""How long a write waits for the database before it is put off: protective orders must not wait for it (S5)."""
_RETRY_INTERVAL_MS = 1_000
_RETRY_TIMEOUT_MS = 20
_MAX_HISTORY = 50_000
_FILE_LOST = "its file is gone"
_STORAGE_ERRORS = {
    5: "another program holds it",
    6: "another program holds it",
    8: "it may only be read",
    10: "the disk fails",
    13: "the disk is full",
    14: "its file cannot be opened",
    15: "another program holds it",
}
"""Primary result codes that tell of the disk or of other programs, never of a mistake of ours (sqlite.org/rescode)."""
_PERMISSION_CODES = (8, 14)
Found = TypeVar("Found")
WriteFn = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class _Write:
    write_fn: WriteFn
    is_history: bool


class DeferredWriter:
    """Writes in transactions. Where the database fails, each write is kept and done later, in the order it was asked.

    A transaction that cannot be committed is therefore never lost and never raises; ``fault`` says that it waits.
    One thread, one connection.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._path = Path(engine.url.database or "")
        self._reader = open_reader(self._path)
        self._connection: Connection | None = None
        self._is_open = False
        self._uncommitted: dict[object, _Write] = {}
        self._write_ids = count()
        self._history_count = 0
        self._next_retry_at = 0
        self._file_ids: tuple[tuple[int, int] | None, ...] | None = None
        self.error: str | None = None
        """Why nothing can be written now."""
        self.dropped = 0
        """Pieces of market history that were too many to be kept."""
        self.slowest_ms = 0
        """The longest that the database took to begin or to commit."""

    @property
    def is_flushed(self) -> bool:
        """Nothing waits to be written."""
        return not self._uncommitted

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, now or later, or not at all where the body raises."""
        if self._is_open:
            raise InvariantError("a transaction is open already")
        self._is_open = True
        try:
            self._begin()
            yield
            self._commit()
        except BaseException:
            self._uncommitted.clear()  # the process dies of it: what is not committed has not happened
            raise
        finally:
            self._close_connection()
            self._is_open = False

    def write(self, write_fn: WriteFn, key: object = None, *, is_history: bool = False, default: Any = None) -> Any:
        """Do it, or keep it for later and answer ``otherwise``; of several under one key only the last is kept."""
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
        except OperationalError as error:
            self._on_error(error)
            return default

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """What a query finds, with the writes of the open transaction, but without those that wait."""
        self._require_open()
        if self._connection is None:
            with read_transaction(self._reader) as connection:
                return query(connection)
        try:
            return query(self._connection)
        except OperationalError as error:
            self._on_error(error)  # what cannot be read could not be committed either
            raise

    def checkpoint(self) -> None:
        """Fold the log into the file, where nothing waits and nobody reads (S6)."""
        if self.error is not None:
            return
        try:
            checkpoint(self._engine)
        except DatabaseError as error:  # the next commit meets the same fault, and puts off what it writes
            log.warning("the database's log could not be folded into it: %s", error)

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
            self._connection.begin()
            for each in self._uncommitted.values():
                each.write_fn(self._connection)
        except OperationalError as error:
            self._on_error(error)
        else:
            self.error = None
        self._record_duration(started_at)

    def _commit(self) -> None:
        if self._connection is None:
            return
        started_at = self._clock.monotonic_ms()
        try:
            self._connection.commit()
        except OperationalError as error:
            self._on_error(error)
        else:
            self._uncommitted.clear()
            self._history_count = 0
            self._file_ids = self._file_ids or self._current_file_ids()
        self._record_duration(started_at)

    def _record_duration(self, started_at: int) -> None:
        self.slowest_ms = max(self.slowest_ms, self._clock.monotonic_ms() - started_at)

    def _on_error(self, error: OperationalError) -> None:
        """From here on writes wait; an error that tells of a mistake of ours is raised."""
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
        """SQLite goes on writing a file or a log that was deleted or replaced, and nobody would ever read it."""
        return self._file_ids is not None and self._file_ids != self._current_file_ids()

    def _restore_file(self) -> bool:
        """Bring the file back from what SQLite still holds; one transaction is put off, for that takes a while."""
        if self.error != _FILE_LOST:
            self._defer(_FILE_LOST)
            return False
        log.critical("the database %s was deleted or replaced: it is written anew from what is still held", self._path)
        try:
            restore_deleted_file(self._engine, self._path, self._clock.now_ms())
        except (OSError, ConfigError, DatabaseError) as error:
            log.critical("the database %s could not be written anew: %s", self._path, error)
            self._defer(_FILE_LOST)
            return False
        self._file_ids = None
        return True

    def _current_file_ids(self) -> tuple[tuple[int, int] | None, ...]:
        """Which file and which write-ahead log lie there now."""
        return tuple(file_identity(self._path.with_name(self._path.name + suffix)) for suffix in ("", "-wal"))


def describe_storage_error(error: OperationalError) -> str | None:
    """What it says of the disk or of other programs; None for a mistake of ours."""
    return _STORAGE_ERRORS.get(_code(error))


def is_transient(error: OperationalError) -> bool:
    """Another program holds it, or the disk is full or failing: nothing that the settings could change."""
    return describe_storage_error(error) is not None and _code(error) not in _PERMISSION_CODES


def _code(error: OperationalError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF
