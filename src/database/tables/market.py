"""Reads and deletes rows of the market history: liquidations, decisions, journal."""

from typing import Any

from sqlalchemy import Connection, delete, func, select

from src.database.models import DecisionRow, JournalRow, LiquidationRow
from src.domain.decisions import Decision
from src.domain.enums import OrderType, Side, TimeInForce
from src.domain.market import CLOCK_TOLERANCE_MS, Liquidation


def recent_liquidations(connection: Connection, since_ms: int) -> list[tuple[int, Liquidation]]:
    """Return liquidations traded after an instant with their row ids, oldest first."""
    query = select(LiquidationRow.__table__).where(LiquidationRow.traded_at > since_ms).order_by(LiquidationRow.id)
    return [(row.id, _liquidation_from(row)) for row in connection.execute(query)]


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
    """Return the highest row id; 0 if there is none."""
    return connection.scalar(select(func.max(LiquidationRow.id))) or 0


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


def prune(connection: Connection, before_ms: int, limit: int) -> int:
    """Delete up to ``limit`` old rows of each table; return how many were deleted."""
    old = select(LiquidationRow.id).where(LiquidationRow.traded_at < before_ms).limit(limit)
    old_entries = select(JournalRow.id).where(JournalRow.recorded_at < before_ms).limit(limit)
    deleted = connection.execute(delete(LiquidationRow).where(LiquidationRow.id.in_(old))).rowcount
    return deleted + connection.execute(delete(JournalRow).where(JournalRow.id.in_(old_entries))).rowcount
