"""The bot's database as the dashboard sees it: read-only, and perhaps not there yet."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, StaticPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from src.api.sse import Version
from src.database.db import data_version, open_reader, reading
from src.database.models import Ledger
from src.database.queries.journal import JournalEntry, journal_after, journal_bounds

_TABLES = text("SELECT count(*) FROM sqlite_master")


class LedgerReader:
    """Short reads of the bot's database. Before the bot's first start every question has an empty answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = open_reader(path)
        self._nothing: Engine | None = None
        self._was_made = False
        self._lock = threading.Lock()  # the empty stand-in is one connection: one request at a time

    @property
    def exists(self) -> bool:
        """The file is there, and the bot that creates it has made its tables. Raises as ``reading``."""
        if not self._path.exists():
            return False
        if not self._was_made:
            with reading(self._engine) as connection:
                self._was_made = bool(connection.scalar(_TABLES))
        return self._was_made

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view. Raises SQLAlchemyError where the file cannot be read."""
        if self.exists:
            with reading(self._engine) as connection:
                yield connection
        else:
            with self._lock, reading(self._stand_in()) as connection:
                yield connection

    def _stand_in(self) -> Engine:
        if self._nothing is None:
            self._nothing = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
            Ledger.metadata.create_all(self._nothing)
        return self._nothing


class LedgerJournal:
    """The journal as ``sse.Journal`` wants it. ``version`` belongs to the monitor's thread, the rest to any."""

    def __init__(self, path: Path, ledger: LedgerReader) -> None:
        self._path = path
        self._ledger = ledger
        self._engine = open_reader(path)
        self._file: tuple[int, int] | None = None
        self._connection: Connection | None = None

    def version(self) -> Version | None:
        """None while there is no database, or none that can be read."""
        file = self._file_identity()
        if file is None or file != self._file:
            self._close()
        if file is None:
            return None
        try:
            # Only a connection that stays open can see the number change.
            connection = self._connection or self._engine.connect()
            self._file, self._connection = file, connection
            return file, data_version(connection)
        except (SQLAlchemyError, sqlite3.Error):
            self._close()
            return None

    def bounds(self) -> tuple[int, int]:
        with self._ledger.reading() as connection:
            return journal_bounds(connection)

    def after(self, entry_id: int, limit: int) -> Sequence[JournalEntry]:
        with self._ledger.reading() as connection:
            return journal_after(connection, entry_id, limit)

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None
