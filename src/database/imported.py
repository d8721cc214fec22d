"""``imported.db``: history imported from other bots, and what each import said.

It is a file of its own beside the bot's database, written by ``main.py --import-db`` and ``--import-settings`` only and
read by the dashboard. The bot never opens it: imported trades are no fills of the bot, so they count in no position,
statistic or limit, and a running bot is not disturbed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Engine, Index, UniqueConstraint, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.database.db import liquidation_values, make_private, open_reader, open_writer, read_transaction
from src.database.models import COLUMN_TYPES, new_metadata
from src.database.other_bots import OtherTrade
from src.domain.errors import ConfigError
from src.domain.market import Liquidation
from src.utils.files import lock_exclusively

FILE_NAME = "imported.db"


class ImportedBase(DeclarativeBase):
    """The database of imported history."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


class ImportRow(ImportedBase):
    """One finished import."""

    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    imported_at: Mapped[int]
    kind: Mapped[str]
    """``settings`` or ``database``."""
    source: Mapped[str]
    summary: Mapped[str]
    notes: Mapped[list[str]] = mapped_column(JSON)
    """What was left out, changed or added, one sentence each."""


class ImportedLiquidationRow(ImportedBase):
    """A liquidation that another bot recorded."""

    __tablename__ = "liquidations"
    __table_args__ = (
        UniqueConstraint("program", "source_id", "traded_at", "symbol"),
        Index(None, "symbol", "traded_at"),
        Index(None, "traded_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    program: Mapped[str]
    source_id: Mapped[int]
    """Its row there: together with time and symbol it is the same row in every copy of that file."""
    symbol: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    average_price: Mapped[Decimal]
    filled_quantity: Mapped[Decimal]
    usdt_value: Mapped[Decimal]
    order_type: Mapped[str]
    time_in_force: Mapped[str]
    status: Mapped[str]
    traded_at: Mapped[int]
    event_at: Mapped[int]
    received_at: Mapped[int]


class ImportedTradeRow(ImportedBase):
    """An order that another bot recorded; see ``OtherTrade``."""

    __tablename__ = "trades"
    __table_args__ = (UniqueConstraint("program", "source_id", "recorded_at", "symbol"), Index(None, "recorded_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    program: Mapped[str]
    source_id: Mapped[int]
    symbol: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal | None]
    status: Mapped[str]
    order_id: Mapped[str | None]
    order_type: Mapped[str | None]
    parent_order_id: Mapped[str | None]
    trade_ids: Mapped[str | None]
    filled_quantity: Mapped[Decimal | None]
    average_price: Mapped[Decimal | None]
    realized_pnl: Mapped[Decimal | None]
    commission: Mapped[Decimal | None]
    recorded_at: Mapped[int]


_TRADE_KEY = ("program", "source_id", "recorded_at", "symbol")


class ImportedHistory:
    """Writes ``imported.db``. Adding the same rows again changes nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_liquidations(self, program: str, rows: Sequence[tuple[int, Liquidation]]) -> int:
        """Add liquidations with their row ids there; return how many are new."""
        values = [{"program": program, "source_id": number, **liquidation_values(each)} for number, each in rows]
        return self._write(upsert(ImportedLiquidationRow).on_conflict_do_nothing(), values)

    def add_trades(self, program: str, rows: Sequence[tuple[int, OtherTrade]]) -> int:
        """Add trades, or bring those known up to date; return how many are new or changed."""
        values = [{"program": program, "source_id": number, **asdict(trade)} for number, trade in rows]
        statement = upsert(ImportedTradeRow)
        changing = ("status", "filled_quantity", "average_price", "realized_pnl", "commission", "trade_ids")
        later = {name: getattr(statement.excluded, name) for name in changing}
        row = ImportedTradeRow
        is_changed = (row.status != later["status"]) | row.filled_quantity.is_distinct_from(later["filled_quantity"])
        return self._write(
            statement.on_conflict_do_update(index_elements=_TRADE_KEY, set_=later, where=is_changed), values
        )

    def record_import(self, kind: str, source: str, summary: str, notes: Sequence[str], now_ms: int) -> None:
        """Keep what an import said, for the dashboard."""
        values = {"imported_at": now_ms, "kind": kind, "source": source, "summary": summary, "notes": list(notes)}
        self._write(insert(ImportRow), [values])

    def _write(self, statement: Any, values: list[dict[str, Any]]) -> int:
        if not values:
            return 0
        with self._engine.begin() as connection:
            return connection.execute(statement, values).rowcount


@contextmanager
def open_imported(database: Path) -> Iterator[ImportedHistory]:
    """Open ``imported.db`` beside the bot's database for one import at a time. Raises ConfigError."""
    path = database.with_name(FILE_NAME)
    lock = path.with_name(f"{path.name}.lock")
    make_private(lock)
    with lock.open("r+", encoding="ascii") as file:
        try:
            lock_exclusively(file.fileno())
        except OSError as error:
            raise ConfigError("another import is running: wait until it has ended, then run this again") from error
        make_private(path)
        engine = open_writer(path)
        try:
            ImportedBase.metadata.create_all(engine)
            yield ImportedHistory(engine)
        except DatabaseError as error:
            raise ConfigError(
                f"{path} cannot be written ({error.orig}): make room on the disk, or move the file away; "
                "then run this again"
            ) from error
        finally:
            engine.dispose()


@dataclass(frozen=True, slots=True)
class ImportedPart:
    """What was imported of one kind from one program."""

    program: str
    count: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class ImportedReport:
    """What ``imported.db`` holds, for the dashboard."""

    imports: tuple[dict[str, Any], ...] = ()
    """The last imports, newest first."""
    liquidations: tuple[ImportedPart, ...] = ()
    trades: tuple[ImportedPart, ...] = ()
    newest_trades: tuple[dict[str, Any], ...] = ()


def read_imported(database: Path, limit: int) -> ImportedReport:
    """Read what was imported; empty if nothing was. Raises DatabaseError."""
    path = database.with_name(FILE_NAME)
    if not path.exists():
        return ImportedReport()
    engine = open_reader(path)
    try:
        with read_transaction(engine) as connection:
            return _report(connection, limit)
    finally:
        engine.dispose()


def _report(connection: Connection, limit: int) -> ImportedReport:
    imports = select(ImportRow.__table__).order_by(ImportRow.id.desc()).limit(limit)
    trades = select(ImportedTradeRow.__table__).order_by(ImportedTradeRow.recorded_at.desc()).limit(limit)
    return ImportedReport(
        imports=tuple(dict(row) for row in connection.execute(imports).mappings()),
        liquidations=_parts(connection, ImportedLiquidationRow, ImportedLiquidationRow.traded_at),
        trades=_parts(connection, ImportedTradeRow, ImportedTradeRow.recorded_at),
        newest_trades=tuple(dict(row) for row in connection.execute(trades).mappings()),
    )


def _parts(connection: Connection, row: Any, at: Any) -> tuple[ImportedPart, ...]:
    query = select(row.program, func.count(), func.min(at), func.max(at)).group_by(row.program).order_by(row.program)
    return tuple(ImportedPart(*found) for found in connection.execute(query))
