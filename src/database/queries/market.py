"""What the market did and what we thought of it: liquidations, verdicts, volumes, instruments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Float, Row, Select, cast, distinct, func, select

from src.database.models import DecisionRow, InstrumentRow, LiquidationRow

HOUR_MS = 3_600_000

_event = LiquidationRow
_verdict = DecisionRow
# Statistics for drawing may be floats; sums of our own money never are (see pnl_tracker).
_VOLUME = func.coalesce(func.sum(cast(_event.usdt_value, Float)), 0.0)


def liquidations(connection: Connection, since_ms: int, limit: int, symbol: str | None = None) -> list[dict[str, Any]]:
    """Forced orders, newest first, each with its verdict; the verdict is None where the symbol is not configured."""
    query = (
        select(_event, *_VERDICT_COLUMNS)
        .outerjoin(_verdict, _verdict.liquidation_id == _event.id)
        .where(_event.traded_at >= since_ms)
        .order_by(_event.traded_at.desc(), _event.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(_event.symbol == symbol)
    return [_liquidation(row) for row in connection.execute(query)]


def decisions(
    connection: Connection, limit: int, symbol: str | None = None, *, only_entries: bool = False
) -> list[dict[str, Any]]:
    """Verdicts, newest first, each with the liquidation it judged."""
    query = (
        select(_event, *_VERDICT_COLUMNS)
        .join(_verdict, _verdict.liquidation_id == _event.id)
        .order_by(_verdict.decided_at.desc(), _event.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(_verdict.symbol == symbol)
    if only_entries:
        query = query.where(_verdict.gate.is_(None))
    return [_decision(row) for row in connection.execute(query)]


def decision_for(connection: Connection, client_order_id: str) -> dict[str, Any] | None:
    """The verdict that led to an entry, with its liquidation."""
    query = (
        select(_event, *_VERDICT_COLUMNS)
        .join(_verdict, _verdict.liquidation_id == _event.id)
        .where(_verdict.client_order_id == client_order_id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _decision(row)


def liquidation_totals(connection: Connection, since_ms: int) -> dict[str, Any]:
    count, volume, symbols = connection.execute(
        select(func.count(), _VOLUME, func.count(distinct(_event.symbol))).where(_event.traded_at >= since_ms)
    ).one()
    return {"total_liquidations": count, "total_liquidation_volume": f"{volume:.2f}", "unique_symbols": symbols}


def hourly_volume(connection: Connection, since_ms: int) -> list[dict[str, Any]]:
    """Liquidated USDT per hour, newest first; ``hour`` is the instant it began."""
    hour = (_event.traded_at // HOUR_MS).label("hour")
    query = select(hour, _VOLUME, func.count()).where(_event.traded_at >= since_ms).group_by(hour).order_by(hour.desc())
    return [
        {"hour": begin * HOUR_MS, "volume": f"{volume:.2f}", "liquidations": count}
        for begin, volume, count in connection.execute(query)
    ]


def volume_by_symbol(connection: Connection, since_ms: int) -> dict[str, tuple[int, str]]:
    """How many liquidations each symbol saw, and their USDT."""
    query = select(_event.symbol, func.count(), _VOLUME).where(_event.traded_at >= since_ms).group_by(_event.symbol)
    return {symbol: (count, f"{volume:.2f}") for symbol, count, volume in connection.execute(query)}


def instruments(connection: Connection) -> Sequence[Row[Any]]:
    """The exchange's symbols as the bot last read them, by name; columns are named as in ``Instrument``."""
    table: Select[Any] = select(InstrumentRow.__table__).order_by(InstrumentRow.symbol)
    return connection.execute(table).all()


_event_columns: Sequence[Any] = tuple(_event.__table__.columns)
_VERDICT_COLUMNS = (
    _verdict.decided_at,
    _verdict.liquidation_side,
    _verdict.gate,
    _verdict.reason,
    _verdict.numbers,
    _verdict.window_volume,
    _verdict.threshold,
    _verdict.client_order_id,
)


def _liquidation(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": row.traded_at,
        "symbol": row.symbol,
        "side": row.side,
        # As PRODUCT §4 values it: filled quantity and its average price, else what was ordered.
        "qty": row.filled_quantity or row.quantity,
        "price": row.average_price or row.price,
        "usdt_value": row.usdt_value,
        "order_qty": row.quantity,
        "limit_price": row.price,
        "received_at": row.received_at,
        **_verdict_of(row),
    }


def _decision(row: Row[Any]) -> dict[str, Any]:
    return {**_liquidation(row), "decided_at": row.decided_at, "is_entry": row.gate is None}


def _verdict_of(row: Row[Any]) -> dict[str, Any]:
    return {
        "gate": row.gate,
        "reason": row.reason,
        "numbers": row.numbers,
        "window_volume": row.window_volume,
        "threshold": row.threshold,
        "client_order_id": row.client_order_id,
    }
