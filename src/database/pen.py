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

from src.database.db import checkpoint, open_reader, reading, rewrite, roll_back, wait_at_most
from src.domain.clock import Clock
from src.domain.errors import ConfigError, InvariantError

log = logging.getLogger("hunter.database")

PATIENCE_MS = 1_000
"""How long a write waits for the database before it is put off: protective orders must not wait for it (S5)."""
_TRY_EVERY_MS = 1_000
_TRY_FOR_MS = 20
_MOST_HISTORY = 50_000
_LOST = "its file is gone"
_FAULTS = {
    5: "another program holds it",
    6: "another program holds it",
    8: "it may only be read",
    10: "the disk fails",
    13: "the disk is full",
    14: "its file cannot be opened",
    15: "another program holds it",
}
"""Primary result codes that tell of the disk or of other programs, never of a mistake of ours (sqlite.org/rescode)."""
_OF_PERMISSION = (8, 14)
Found = TypeVar("Found")
Act = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class _Write:
    act: Act
    is_history: bool


class Pen:
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
        self._numbers = count()
        self._history = 0
        self._next_try_at = 0
        self._files: tuple[tuple[int, int] | None, ...] | None = None
        self.fault: str | None = None
        """Why nothing can be written now."""
        self.dropped = 0
        """Pieces of market history that were too many to be kept."""
        self.slowest_ms = 0
        """The longest that the database took to begin or to commit."""

    @property
    def is_clean(self) -> bool:
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
            self._leave()
            self._is_open = False

    def write(self, act: Act, key: object = None, *, is_history: bool = False, otherwise: Any = None) -> Any:
        """Do it, or keep it for later and answer ``otherwise``; of several under one key only the last is kept."""
        self._require_open()
        if is_history and self.fault is not None and self._history >= _MOST_HISTORY:
            self.dropped += 1
            return otherwise
        name = (next(self._numbers),) if key is None else key
        self._uncommitted.pop(name, None)
        self._uncommitted[name] = _Write(act, is_history)
        self._history += is_history
        if self._connection is None:
            return otherwise
        try:
            return act(self._connection)
        except OperationalError as error:
            self._give_up(error)
            return otherwise

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """What a query finds, with the writes of the open transaction, but without those that wait."""
        self._require_open()
        if self._connection is None:
            with reading(self._reader) as connection:
                return query(connection)
        try:
            return query(self._connection)
        except OperationalError as error:
            self._give_up(error)  # what cannot be read could not be committed either
            raise

    def checkpoint(self) -> None:
        """Fold the log into the file, where nothing waits and nobody reads (S6)."""
        if self.fault is not None:
            return
        try:
            checkpoint(self._engine)
        except DatabaseError as error:  # the next commit meets the same fault, and puts off what it writes
            log.warning("the database's log could not be folded into it: %s", error)

    def _require_open(self) -> None:
        if not self._is_open:
            raise InvariantError("the store was used outside a transaction")

    def _begin(self) -> None:
        if self.fault is not None and self._clock.monotonic_ms() < self._next_try_at:
            return
        if self._has_lost_file() and not self._rewrite():
            return
        started_at = self._clock.monotonic_ms()
        try:
            self._connection = self._engine.connect()
            wait_at_most(self._connection, _TRY_FOR_MS if self.fault else PATIENCE_MS)
            self._connection.begin()
            for each in self._uncommitted.values():
                each.act(self._connection)
        except OperationalError as error:
            self._give_up(error)
        else:
            self.fault = None
        self._note(started_at)

    def _commit(self) -> None:
        if self._connection is None:
            return
        started_at = self._clock.monotonic_ms()
        try:
            self._connection.commit()
        except OperationalError as error:
            self._give_up(error)
        else:
            self._uncommitted.clear()
            self._history = 0
            self._files = self._files or self._identity()
        self._note(started_at)

    def _note(self, started_at: int) -> None:
        self.slowest_ms = max(self.slowest_ms, self._clock.monotonic_ms() - started_at)

    def _give_up(self, error: OperationalError) -> None:
        """From here on writes wait; an error that tells of a mistake of ours is raised."""
        fault = fault_of(error)
        if fault is None:
            raise error
        self._put_off(fault)

    def _put_off(self, fault: str) -> None:
        self.fault = fault
        self._next_try_at = self._clock.monotonic_ms() + _TRY_EVERY_MS
        self._leave()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            roll_back(connection)
            connection.close()

    def _has_lost_file(self) -> bool:
        """SQLite goes on writing a file or a log that was deleted or replaced, and nobody would ever read it."""
        return self._files is not None and self._files != self._identity()

    def _rewrite(self) -> bool:
        """Bring the file back from what SQLite still holds; one transaction is put off, for that takes a while."""
        if self.fault != _LOST:
            self._put_off(_LOST)
            return False
        log.critical("the database %s was deleted or replaced: it is written anew from what is still held", self._path)
        try:
            rewrite(self._engine, self._path, self._clock.now_ms())
        except (OSError, ConfigError, DatabaseError) as error:
            log.critical("the database %s could not be written anew: %s", self._path, error)
            self._put_off(_LOST)
            return False
        self._files = None
        return True

    def _identity(self) -> tuple[tuple[int, int] | None, ...]:
        """Which file and which write-ahead log lie there now."""
        return tuple(_identity(self._path.with_name(self._path.name + suffix)) for suffix in ("", "-wal"))


def fault_of(error: OperationalError) -> str | None:
    """What it says of the disk or of other programs; None for a mistake of ours."""
    return _FAULTS.get(_code(error))


def may_pass(error: OperationalError) -> bool:
    """Another program holds it, or the disk is full or failing: nothing that the settings could change."""
    return fault_of(error) is not None and _code(error) not in _OF_PERMISSION


def _code(error: OperationalError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
