"""Reads and deletes rows of the market history: liquidations, decisions, journal."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.sqlite import insert as upsert

from src.database.models import AccountHistoryRow, DecisionRow, JournalRow, LiquidationRow
from src.database.tables.history import SummarizedRow, SymbolVolumeRow
from src.domain.clock import DAY_MS, HOUR_MS
from src.domain.decisions import Decision
from src.domain.enums import OrderType, Side, TimeInForce
from src.domain.market import CLOCK_TOLERANCE_MS, Liquidation

_LIQUIDATIONS = "liquidations"
"""The name of their row in ``summarized``."""
_SUMMED = (
    f"count(*), sum(CAST(usdt_value AS REAL)) FROM liquidations WHERE id > :first AND id <= :last "
    f"AND traded_at <= received_at + {CLOCK_TOLERANCE_MS} GROUP BY"
)
_ADDED = "DO UPDATE SET liquidations = liquidations + excluded.liquidations, volume = volume + excluded.volume"
_ADD_VOLUMES = (
    text(
        f"INSERT INTO hourly_volume SELECT traded_at - traded_at % {HOUR_MS} AS at, {_SUMMED} at "
        f"ON CONFLICT (hour) {_ADDED}"
    ),
    *(
        text(
            f"INSERT INTO symbol_volume SELECT {span}, traded_at - traded_at % {span} AS at, symbol, {_SUMMED} at, "
            "symbol "
            f"ON CONFLICT (span, begins_at, symbol) {_ADDED}"
        )
        for span in (HOUR_MS, DAY_MS)
    ),
)


def recent_liquidations(connection: Connection, since_ms: int) -> list[tuple[int, Liquidation]]:
    """Return liquidations traded after an instant with their row ids, oldest first."""
    query = select(LiquidationRow.__table__).where(LiquidationRow.traded_at > since_ms)
    # Sorted here: to sort by id, SQLite would read the whole table in that order.
    found = sorted(connection.execute(query), key=lambda row: int(row.id))
    return [(row.id, _liquidation_from(row)) for row in found]


def last_entries(connection: Connection) -> dict[tuple[str, Side], tuple[int, int]]:
    """Return the newest entry per symbol and side: exchange time and row id of its liquidation.

    The time is at most the receipt plus the clock tolerance: a cooldown must not last until a date in the future.
    """
    newest = (
        select(func.max(DecisionRow.liquidation_id))
        .where(DecisionRow.gate.is_(None))
        .group_by(DecisionRow.symbol, DecisionRow.liquidation_side)
    )
    row = LiquidationRow
    query = select(row.id, row.symbol, row.side, row.traded_at, row.received_at).where(row.id.in_(newest))
    return {
        (each.symbol, Side(each.side).opposite): (min(each.traded_at, each.received_at + CLOCK_TOLERANCE_MS), each.id)
        for each in connection.execute(query)
    }


def decision_values(decision: Decision, liquidation_id: int) -> dict[str, Any]:
    """Return the column values of a decision."""
    return {
        "liquidation_id": liquidation_id,
        "symbol": decision.symbol,
        "liquidation_side": decision.liquidation_side.value,
        "decided_at": decision.decided_at,
        "gate": decision.gate and decision.gate.value,
        "reason": decision.reason,
        "numbers": decision.numbers,
        "window_volume": decision.window_volume,
        "threshold": decision.threshold,
        "client_order_id": decision.client_order_id,
    }


def newest_liquidation(connection: Connection) -> int:
    """Return the highest row id ever given; 0 if there was none. All rows may have been deleted meanwhile."""
    return max(connection.scalar(select(func.max(LiquidationRow.id))) or 0, summarized_liquidation(connection))


def summarized_liquidation(connection: Connection) -> int:
    """Return the row id up to which the liquidations are part of the hourly and daily volumes."""
    return connection.scalar(select(SummarizedRow.last_id).where(SummarizedRow.name == _LIQUIDATIONS)) or 0


def summarize_liquidations(connection: Connection, limit: int) -> int:
    """Add up to ``limit`` liquidations to the hourly and daily volumes; return how many rows there were."""
    first = summarized_liquidation(connection)
    newest = select(LiquidationRow.id).where(LiquidationRow.id > first).order_by(LiquidationRow.id).limit(limit)
    ids = list(connection.scalars(newest))
    if ids:
        for statement in _ADD_VOLUMES:
            connection.execute(statement, {"first": first, "last": ids[-1]})
        values = {"name": _LIQUIDATIONS, "last_id": ids[-1]}
        connection.execute(
            upsert(SummarizedRow)
            .values(values)
            .on_conflict_do_update(index_elements=["name"], set_={"last_id": ids[-1]})
        )
    return len(ids)


def _liquidation_from(row: Any) -> Liquidation:
    return Liquidation(
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        average_price=row.average_price,
        filled_quantity=row.filled_quantity,
        traded_at=row.traded_at,
        event_at=row.event_at,
        received_at=row.received_at,
        type=OrderType(row.order_type),
        time_in_force=TimeInForce(row.time_in_force),
        status=row.status,
    )


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Instants, ms UTC: older rows are deleted."""

    liquidations: int
    """Verdicts and the hourly volumes of symbols are deleted with them."""
    journal: int
    equity: int


def prune(connection: Connection, before: Cutoffs, limit: int) -> int:
    """Delete up to ``limit`` old rows of each table; return how many were deleted."""
    deleted = 0
    for row_id, at, until in (
        (LiquidationRow.id, LiquidationRow.traded_at, before.liquidations),
        (JournalRow.id, JournalRow.recorded_at, before.journal),
        (AccountHistoryRow.recorded_at, AccountHistoryRow.recorded_at, before.equity),
    ):
        old = select(row_id).where(at < until).limit(limit)
        deleted += connection.execute(delete(row_id.class_).where(row_id.in_(old))).rowcount
    return deleted + _prune_hour(connection, before.liquidations)


def _prune_hour(connection: Connection, before_ms: int) -> int:
    """Delete the volumes by symbol of one old hour; those of whole days, and of all symbols together, are kept."""
    row = SymbolVolumeRow
    oldest = connection.scalar(select(func.min(row.begins_at)).where(row.span == HOUR_MS))
    if oldest is None or oldest >= before_ms:
        return 0
    return connection.execute(delete(row).where(row.span == HOUR_MS, row.begins_at == oldest)).rowcount
