"""Liquidations, decisions, liquidated volume, and instruments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Float, Row, Select, cast, distinct, func, select

from src.database.db import IS_COUNTED
from src.database.models import DecisionRow, InstrumentRow, LiquidationRow
from src.domain.clock import HOUR_MS
from src.domain.instrument import UNLISTED

_DECISION_COLUMNS = (
    DecisionRow.decided_at,
    DecisionRow.liquidation_side,
    DecisionRow.gate,
    DecisionRow.reason,
    DecisionRow.numbers,
    DecisionRow.window_volume,
    DecisionRow.threshold,
    DecisionRow.client_order_id,
)

# Market statistics may be floats; totals of our own money never are (see pnl_tracker).
_VOLUME = func.coalesce(func.sum(cast(LiquidationRow.usdt_value, Float)), 0.0)


def liquidations(connection: Connection, since_ms: int, limit: int, symbol: str | None = None) -> list[dict[str, Any]]:
    """Return liquidations with their decisions, newest first; no decision if the symbol is not configured."""
    query = (
        select(LiquidationRow, *_DECISION_COLUMNS)
        .outerjoin(DecisionRow, DecisionRow.liquidation_id == LiquidationRow.id)
        .where(LiquidationRow.traded_at >= since_ms)
        .order_by(LiquidationRow.traded_at.desc(), LiquidationRow.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(LiquidationRow.symbol == symbol)
    return [_liquidation(row) for row in connection.execute(query)]


def decisions(
    connection: Connection, limit: int, symbol: str | None = None, *, only_entries: bool = False
) -> list[dict[str, Any]]:
    """Return decisions with their liquidations, newest first."""
    query = (
        select(LiquidationRow, *_DECISION_COLUMNS)
        .join(DecisionRow, DecisionRow.liquidation_id == LiquidationRow.id)
        .order_by(DecisionRow.decided_at.desc(), LiquidationRow.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(DecisionRow.symbol == symbol)
    if only_entries:
        query = query.where(DecisionRow.gate.is_(None))
    return [_decision(row) for row in connection.execute(query)]


def decision_for(connection: Connection, client_order_id: str) -> dict[str, Any] | None:
    """Return the decision that led to an entry, with its liquidation."""
    query = (
        select(LiquidationRow, *_DECISION_COLUMNS)
        .join(DecisionRow, DecisionRow.liquidation_id == LiquidationRow.id)
        .where(DecisionRow.client_order_id == client_order_id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _decision(row)


def liquidation_totals(connection: Connection, since_ms: int) -> dict[str, Any]:
    count, volume, symbols = connection.execute(
        select(func.count(), _VOLUME, func.count(distinct(LiquidationRow.symbol))).where(
            LiquidationRow.traded_at >= since_ms, IS_COUNTED
        )
    ).one()
    return {"total_liquidations": count, "total_liquidation_volume": f"{volume:.2f}", "unique_symbols": symbols}


def hourly_volume(connection: Connection, since_ms: int) -> list[dict[str, Any]]:
    """Return liquidated USDT per hour, newest first; ``hour`` is the start of the hour in ms UTC."""
    hour = (LiquidationRow.traded_at // HOUR_MS).label("hour")
    query = (
        select(hour, _VOLUME, func.count())
        .where(LiquidationRow.traded_at >= since_ms, IS_COUNTED)
        .group_by(hour)
        .order_by(hour.desc())
    )
    return [
        {"hour": begin * HOUR_MS, "volume": f"{volume:.2f}", "liquidations": count}
        for begin, volume, count in connection.execute(query)
    ]


def volume_by_symbol(connection: Connection, since_ms: int) -> dict[str, tuple[int, str]]:
    """Return number and USDT value of the liquidations by symbol."""
    query = (
        select(LiquidationRow.symbol, func.count(), _VOLUME)
        .where(LiquidationRow.traded_at >= since_ms, IS_COUNTED)
        .group_by(LiquidationRow.symbol)
    )
    return {symbol: (count, f"{volume:.2f}") for symbol, count, volume in connection.execute(query)}


def instruments(connection: Connection) -> Sequence[Row[Any]]:
    """Return the symbols the exchange lists, as last fetched; columns are named as in ``Instrument``."""
    table: Select[Any] = (
        select(InstrumentRow.__table__).where(InstrumentRow.status != UNLISTED).order_by(InstrumentRow.symbol)
    )
    return connection.execute(table).all()


def _liquidation(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": row.traded_at,
        "symbol": row.symbol,
        "side": row.side,
        # The filled quantity and its average price, else what was ordered.
        "qty": row.filled_quantity or row.quantity,
        "price": row.average_price or row.price,
        "usdt_value": row.usdt_value,
        "order_qty": row.quantity,
        "limit_price": row.price,
        "received_at": row.received_at,
        **_decision_fields(row),
    }


def _decision(row: Row[Any]) -> dict[str, Any]:
    return {**_liquidation(row), "decided_at": row.decided_at, "is_entry": row.gate is None}


def _decision_fields(row: Row[Any]) -> dict[str, Any]:
    return {
        "gate": row.gate,
        "reason": row.reason,
        "numbers": row.numbers,
        "window_volume": row.window_volume,
        "threshold": row.threshold,
        "client_order_id": row.client_order_id,
    }
