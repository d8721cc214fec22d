"""The dashboard's access to the bot: reads its database, which may not exist yet, and writes commands for it."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from src.api.sse import Version
from src.database.control import CommandWriter, SettingsVersion, settings_history
from src.database.db import data_version, file_identity, open_reader, read_transaction
from src.database.foreign import ForeignDatabase, reject_foreign
from src.database.models import BotBase
from src.database.queries.account import JournalEntry, is_bot_alive, journal_after, journal_bounds, state
from src.domain.clock import Clock
from src.domain.commands import OperatorAction

_COUNT_TABLES = text("SELECT count(*) FROM sqlite_master")


class UnusableDatabase(SQLAlchemyError):
    """The file belongs to another program; the message says which and what to do."""


class BotDatabase:
    """Read-only access to the bot's database. Before the bot's first start every query has an empty result."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = open_reader(path)
        self._empty_engine: Engine | None = None
        self._has_tables = False
        self._lock = threading.Lock()  # the empty database is one connection, for one request at a time

    @property
    def exists(self) -> bool:
        """Whether the file exists and has its tables. Raises SQLAlchemyError if it cannot be read."""
        if not self._path.exists():
            return False
        if not self._has_tables:
            self.check_owner()
            with read_transaction(self._engine) as connection:
                self._has_tables = bool(connection.scalar(_COUNT_TABLES))
        return self._has_tables

    def check_owner(self) -> None:
        """Raise UnusableDatabase if the file belongs to another program."""
        try:
            reject_foreign(self._path)
        except ForeignDatabase as error:
            raise UnusableDatabase(str(error)) from error

    @contextmanager
    def read_transaction(self) -> Iterator[Connection]:
        """A connection with one consistent view. Raises SQLAlchemyError if the file cannot be read."""
        if self.exists:
            with read_transaction(self._engine) as connection:
                yield connection
        else:
            with self._lock, read_transaction(self._open_empty_engine()) as connection:
                yield connection

    def _open_empty_engine(self) -> Engine:
        if self._empty_engine is None:
            self._empty_engine = create_engine(
                "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
            BotBase.metadata.create_all(self._empty_engine)
        return self._empty_engine


class JournalTail:
    """The journal for the event hub. Call ``version`` from the hub's thread only; the rest is thread-safe."""

    def __init__(self, path: Path, database: BotDatabase) -> None:
        self._path = path
        self._database = database
        self._engine = open_reader(path)
        self._file: tuple[int, int] | None = None
        self._connection: Connection | None = None

    def version(self) -> Version | None:
        """None while the database is missing or cannot be read. Raises UnusableDatabase if it is another program's."""
        file = file_identity(self._path)
        if file is None or file != self._file:
            self._close()
        if file is None:
            return None
        if self._connection is None:
            self._database.check_owner()
        try:
            # SQLite's data_version changes only within a connection that stays open.
            connection = self._connection or self._engine.connect()
            self._file, self._connection = file, connection
            return file, data_version(connection)
        except (SQLAlchemyError, sqlite3.Error):
            self._close()
            return None

    def bounds(self) -> tuple[int, int]:
        with self._database.read_transaction() as connection:
            return journal_bounds(connection)

    def after(self, entry_id: int, limit: int) -> Sequence[JournalEntry]:
        with self._database.read_transaction() as connection:
            return journal_after(connection, entry_id, limit)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None


@dataclass(frozen=True, slots=True)
class BotState:
    """The status values that the bot publishes, read at ``now_ms``."""

    values: Mapping[str, Mapping[str, Any]]
    now_ms: int
    is_alive: bool

    def get(self, key: str) -> Mapping[str, Any]:
        """One value; empty if the bot never published it."""
        return self.values.get(key, {})

    @property
    def heartbeat_age_ms(self) -> int | None:
        return self.age_ms(self.get("bot").get("heartbeat_at"))

    @property
    def is_simulated(self) -> bool | None:
        """Whether the bot runs in paper mode; None if it has never run."""
        bot = self.get("bot")
        if "is_simulated" in bot:
            return bool(bot["is_simulated"])
        return bot["mode"] == "PAPER" if "mode" in bot else None

    def age_ms(self, at: int | None) -> int | None:
        return None if at is None else max(0, self.now_ms - at)

    def stream_status(self, key: str) -> dict[str, Any]:
        """The state of a stream and the age of its last event."""
        value = self.get(key)
        at = value.get("last_event_at")
        return {"state": value.get("state"), "last_event_at": at, "age_ms": self.age_ms(at)}


def read_bot_state(connection: Connection, now_ms: int) -> BotState:
    return BotState(state(connection), now_ms, is_bot_alive(connection, now_ms))


class Commands:
    """Writes commands and settings versions to ``control.db``. Thread-safe."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._writer = CommandWriter(engine)
        self._clock = clock
        self._lock = threading.Lock()  # the writer has one connection; requests run in parallel

    def monotonic_ms(self) -> int:
        return self._clock.monotonic_ms()

    def submit(self, action: OperatorAction, nonce: str, **details: Any) -> int:
        """Store a command and return its id; the same nonce again returns the same command."""
        with self._lock:
            return self._writer.add(action, nonce, self._clock.now_ms(), **details)

    def add_settings_version(self, document: dict[str, Any], message: str) -> None:
        with self._lock:
            self._writer.add_settings_version(document, message, self._clock.now_ms())

    def settings_history(self, limit: int) -> list[SettingsVersion]:
        """Saved versions, newest first."""
        with self._lock, read_transaction(self._engine) as connection:
            return settings_history(connection, limit)
