"""SQLite connections, backups and checks, and the functions for liquidated volume."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, ColumnElement, Connection, Engine, and_, create_engine, event, or_, select
from sqlalchemy.pool import NullPool, QueuePool

from src.database.models import LiquidationRow
from src.database.statements import prepared_insert, to_json
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import Side
from src.domain.errors import ConfigError
from src.domain.market import CLOCK_TOLERANCE_MS, Liquidation
from src.domain.numbers import ZERO

LIQUIDATION = prepared_insert(LiquidationRow)
BUSY_TIMEOUT_MS = 5_000
_JOURNAL_SIZE_LIMIT = 4 * 1024 * 1024
_PAGES_PER_STEP = 2_000
IS_COUNTED = LiquidationRow.traded_at <= LiquidationRow.received_at + CLOCK_TOLERANCE_MS
"""Liquidations that count: all but the future-dated ones, as ``Liquidation.is_future_dated``."""
_WRITER_PRAGMAS = (
    "auto_vacuum=INCREMENTAL",  # of a new file only: a full one keeps what it was made with until a VACUUM
    "journal_mode=WAL",
    "synchronous=FULL",  # a committed order must survive a power cut
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "foreign_keys=ON",
    "mmap_size=0",
    f"journal_size_limit={_JOURNAL_SIZE_LIMIT}",
)
_READER_PRAGMAS = (f"busy_timeout={BUSY_TIMEOUT_MS}", "query_only=ON", "wal_autocheckpoint=0", "mmap_size=0")


def open_writer(path: Path) -> Engine:
    """Open the only writing connection to a file; every transaction begins IMMEDIATE.

    Threads that need it at the same time wait for each other.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        json_serializer=to_json,
    )
    _on_connect(engine, _WRITER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _begin_immediate(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # `begin_immediate` has begun one
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_reader(path: Path) -> Engine:
    """Open read-only connections to a file. Raises OperationalError on use while it does not exist."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(_read_only(path), uri=True, check_same_thread=False),
        poolclass=NullPool,
        json_serializer=to_json,
    )
    _on_connect(engine, _READER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def data_version(connection: Connection) -> int:
    """Return a number that changes when another connection commits (PRAGMA data_version, microseconds).

    Call it on the same connection each time, outside a transaction: inside one the number does not change.
    """
    driver: Any = connection.connection.driver_connection  # SQLAlchemy would begin a transaction of its own
    return int(driver.execute("PRAGMA data_version").fetchone()[0])


def checkpoint(engine: Engine) -> bool:
    """Checkpoint and truncate the write-ahead log; only for the writer.

    Never waits: False if a reader still needs the log.
    """
    with closing(engine.raw_connection()) as raw:
        driver: Any = raw.driver_connection
        driver.execute("PRAGMA busy_timeout=0")
        crash_points.reached(Point.CHECKPOINT)
        try:
            return bool(driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
        finally:
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def backup(path: Path, target: Path, heartbeat: Callable[[], None] = lambda: None) -> None:
    """Copy a database as of one moment, including its write-ahead log; the copy is private to the owner.

    The database may be written meanwhile. ``heartbeat`` is called every few pages.
    """
    unfinished = target.with_name(f"{target.name}.unfinished")
    for stale in (unfinished, unfinished.with_name(f"{unfinished.name}-journal")):
        stale.unlink(missing_ok=True)  # left by an interrupted backup
    make_private(unfinished)
    with closing(sqlite3.connect(_read_only(path), uri=True)) as source, closing(sqlite3.connect(unfinished)) as copy:
        crash_points.reached(Point.BACKUP)
        source.execute("BEGIN")  # one snapshot for all steps: a commit meanwhile would restart the backup
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=_PAGES_PER_STEP, progress=lambda *_: heartbeat(), sleep=0)
    unfinished.replace(target)


def quick_check(path: Path, *, thorough: bool = False) -> str | None:
    """Return what is damaged in a file; None if it is intact or missing. ``thorough`` checks indexes too.

    Raises ConfigError if the file cannot be read now (locked, no permission, disk error).
    """
    if not path.exists():
        return None
    try:
        with closing(
            sqlite3.connect(_read_only(path), uri=True)
        ) as connection:  # read-only: closing a writing connection would delete the log
            found = str(connection.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check").fetchone()[0])
    except sqlite3.OperationalError as error:
        raise ConfigError(f"the database {path} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else found


def quarantine(path: Path, now_ms: int, reason: str = "corrupt") -> Path:
    """Rename a database with its companion files, so that nothing is lost; return the new path."""
    target = path.with_name(f"{path.name}.{reason}-{now_ms}")
    for suffix in ("-wal", "-shm", ""):  # the file last: a log left behind would be applied to the new file
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(target.with_name(target.name + suffix))
    return target


def restore_deleted_file(engine: Engine, path: Path, now_ms: int) -> None:
    """Restore a deleted or replaced file from the connection that still has the original open.

    A file found in its place is renamed. The connection is closed first: a log left behind would be applied to the
    restored file.
    """
    rescued = path.with_name(f"{path.name}.rescued")
    rescued.unlink(missing_ok=True)
    make_private(rescued)
    with closing(engine.raw_connection()) as raw, closing(sqlite3.connect(rescued)) as copy:
        driver: Any = raw.driver_connection
        driver.backup(copy)
    engine.dispose()
    quarantine(path, now_ms, "replaced")
    rescued.replace(path)


def set_busy_timeout(connection: Connection, timeout_ms: int) -> None:
    """Set how long this connection waits for a lock of another."""
    driver: Any = connection.connection.driver_connection  # SQLAlchemy would begin a transaction of its own
    driver.execute(f"PRAGMA busy_timeout={timeout_ms}")


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction by the driver; SQLAlchemy joins it with its first statement.

    Raises the driver's ``sqlite3.OperationalError``.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE")


def commit_transaction(connection: Connection) -> None:
    """Commit what ``begin_immediate`` began. Raises either kind of OperationalError."""
    driver: Any = connection.connection.driver_connection
    if connection.in_transaction():
        connection.commit()
    else:
        driver.commit()


def rollback_raw(connection: Connection) -> None:
    """Roll back: after a failed commit SQLite may still be in a transaction that SQLAlchemy considers closed."""
    driver: Any = connection.connection.driver_connection
    with suppress(sqlite3.OperationalError):  # SQLite has already rolled back if the disk was full
        driver.rollback()


def make_private(path: Path) -> None:
    """Create the file and its directory, accessible only to the owner. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.chmod(0o600)
    except OSError as error:
        raise ConfigError(f"the database {path} cannot be written: {error.strerror or error}") from error


def insert_liquidation(connection: Connection, liquidation: Liquidation, row_id: int | None = None) -> int:
    """Store one liquidation, optionally under a given row id; return the row id."""
    values = {"id": row_id, **liquidation_values(liquidation)}
    return LIQUIDATION.execute(connection, values).lastrowid or 0


def get_volume_in_window(
    connection: Connection, symbol: str, window_sec: int, now_ms: int, side: Side | None = None
) -> Decimal:
    """Return the contracts liquidated in the last ``window_sec`` seconds; of both sides if ``side`` is None."""
    return sum(
        (row.filled_quantity or row.quantity for row in _window(connection, symbol, window_sec, now_ms, side)),
        ZERO,
    )


def get_usdt_volume_in_window(
    connection: Connection, symbol: str, window_sec: int, now_ms: int, side: Side | None = None
) -> Decimal:
    """Return the same volume in USDT."""
    return sum((row.usdt_value for row in _window(connection, symbol, window_sec, now_ms, side)), ZERO)


def liquidation_values(liquidation: Liquidation) -> dict[str, Any]:
    """Return the column values of a liquidation, without its row id."""
    return {
        "symbol": liquidation.symbol,
        "side": liquidation.side.value,
        "quantity": liquidation.quantity,
        "price": liquidation.price,
        "average_price": liquidation.average_price,
        "filled_quantity": liquidation.filled_quantity,
        "usdt_value": liquidation.notional,
        "order_type": liquidation.type.value,
        "time_in_force": liquidation.time_in_force.value,
        "status": liquidation.status,
        "traded_at": liquidation.traded_at,
        "event_at": liquidation.event_at,
        "received_at": liquidation.received_at,
    }


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a consistent view for a few queries. Keep it short: an open reader lets the log grow."""
    with engine.connect() as connection, connection.begin():
        yield connection


def older_than(connection: Connection, at: Any, row_id: Any, before: int) -> ColumnElement[bool]:
    """The condition for the rows that follow the row ``before`` in a list sorted by time and id, newest first.

    If that row was deleted meanwhile, those with a lower id.
    """
    last_at = connection.scalar(select(at).where(row_id == before))
    if last_at is None:
        return cast(ColumnElement[bool], row_id < before)
    return and_(at <= last_at, or_(at < last_at, row_id < before))


def _window(connection: Connection, symbol: str, window_sec: int, now_ms: int, side: Side | None) -> list[Any]:
    row = LiquidationRow
    query = select(row.quantity, row.filled_quantity, row.usdt_value).where(
        row.symbol == symbol,
        row.traded_at > now_ms - window_sec * 1000,
        IS_COUNTED,
    )
    if side is not None:
        query = query.where(row.side == side.value)
    return list(connection.execute(query))


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _on_connect(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the begin event of SQLAlchemy starts transactions
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")


def json_round_trip(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the value as a JSON column would return it."""
    read: dict[str, Any] | None = json.loads(to_json(value))
    return read


def file_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, None if it does not exist: another file under the same name differs."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
