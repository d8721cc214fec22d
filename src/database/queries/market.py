"""Liquidations, decisions, liquidated volume, and instruments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select, text

from src.database.db import older_than
from src.database.models import DecisionRow, InstrumentRow, LiquidationRow
from src.database.tables.market import summarized_liquidation
from src.domain.clock import DAY_MS, HOUR_MS
from src.domain.instrument import UNLISTED
from src.domain.market import CLOCK_TOLERANCE_MS

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


def liquidations(
    connection: Connection, since_ms: int, limit: int, symbol: str | None = None, before: int | None = None
) -> list[dict[str, Any]]:
    """Return liquidations with their decisions, newest first; no decision if the symbol is not configured.

    ``before`` is the id of the last one of the previous page.
    """
    query = (
        select(LiquidationRow, *_DECISION_COLUMNS)
        .outerjoin(DecisionRow, DecisionRow.liquidation_id == LiquidationRow.id)
        .where(LiquidationRow.traded_at >= since_ms)
        .order_by(LiquidationRow.traded_at.desc(), LiquidationRow.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(LiquidationRow.symbol == symbol)
    if before is not None:
        query = query.where(older_than(connection, LiquidationRow.traded_at, LiquidationRow.id, before))
    return [_liquidation(row) for row in connection.execute(query)]


def decisions(
    connection: Connection,
    limit: int,
    symbol: str | None = None,
    before: int | None = None,
    *,
    only_entries: bool = False,
) -> list[dict[str, Any]]:
    """Return decisions with their liquidations, newest first; ``before`` as for ``liquidations``."""
    query = (
        select(LiquidationRow, *_DECISION_COLUMNS)
        .join(DecisionRow, DecisionRow.liquidation_id == LiquidationRow.id)
        .order_by(DecisionRow.decided_at.desc(), DecisionRow.liquidation_id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(DecisionRow.symbol == symbol)
    if only_entries:
        query = query.where(DecisionRow.gate.is_(None))
    if before is not None:
        query = query.where(older_than(connection, DecisionRow.decided_at, DecisionRow.liquidation_id, before))
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


_COUNTED = f"traded_at <= received_at + {CLOCK_TOLERANCE_MS}"  # as db.IS_COUNTED
_SUM = "count(*) AS liquidations, sum(CAST(usdt_value AS REAL)) AS volume FROM liquidations"
_BY_SYMBOL = text(
    f"""
    SELECT symbol, sum(liquidations), sum(volume) FROM (
      SELECT symbol, {_SUM} WHERE traded_at >= :since AND traded_at < :first_hour AND +id <= :last AND {_COUNTED}
      GROUP BY +symbol
      UNION ALL
      SELECT symbol, liquidations, volume FROM symbol_volume
      WHERE span = {HOUR_MS} AND begins_at >= :first_hour AND begins_at < :first_day
      UNION ALL
      SELECT symbol, liquidations, volume FROM symbol_volume WHERE span = {DAY_MS} AND begins_at >= :first_day
      UNION ALL
      SELECT symbol, {_SUM} WHERE id > :last AND +traded_at >= :since AND {_COUNTED} GROUP BY +symbol
    ) GROUP BY symbol
    """
)
"""Summed up hours and days, the part of an hour before them, and what came after the last summary.

A plus sign keeps SQLite from choosing the index of that column, and from reading all rows in its order.
"""
_BY_HOUR = text(
    f"""
    SELECT hour, sum(volume), sum(liquidations) FROM (
      SELECT traded_at - traded_at % {HOUR_MS} AS hour, {_SUM}
      WHERE traded_at >= :since AND traded_at < :first_hour AND +id <= :last AND {_COUNTED} GROUP BY hour
      UNION ALL
      SELECT hour, liquidations, volume FROM hourly_volume WHERE hour >= :first_hour
      UNION ALL
      SELECT traded_at - traded_at % {HOUR_MS} AS hour, {_SUM}
      WHERE id > :last AND +traded_at >= :since AND {_COUNTED} GROUP BY hour
    ) GROUP BY hour ORDER BY hour DESC
    """
)


def _period(connection: Connection, since_ms: int) -> dict[str, int]:
    first_hour = since_ms + -since_ms % HOUR_MS
    return {
        "since": since_ms,
        "first_hour": first_hour,
        "first_day": first_hour + -first_hour % DAY_MS,
        "last": summarized_liquidation(connection),
    }


def hourly_volume(connection: Connection, since_ms: int) -> list[dict[str, Any]]:
    """Return liquidated USDT per hour, newest first; ``hour`` is the start of the hour in ms UTC."""
    return [
        {"hour": hour, "volume": f"{volume:.2f}", "liquidations": count}
        for hour, volume, count in connection.execute(_BY_HOUR, _period(connection, since_ms))
    ]


def volume_by_symbol(connection: Connection, since_ms: int) -> dict[str, tuple[int, float]]:
    """Return number and USDT value of the liquidations by symbol."""
    found = connection.execute(_BY_SYMBOL, _period(connection, since_ms))
    return {symbol: (count, volume) for symbol, count, volume in found}


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
