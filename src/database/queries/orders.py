"""The bot's orders, their relationships, and their status history."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Row, cast, func, literal_column, or_, select

from src.database.db import older_than
from src.database.models import SIMULATED, OrderRelationshipRow, OrderStatusRow, TradeRow
from src.database.queries.account import is_paper_mode
from src.domain.enums import OrderStatus

STATUSES: tuple[str, ...] = (*(status.value for status in OrderStatus), SIMULATED)
OPEN_STATUSES: tuple[str, ...] = tuple(status.value for status in OrderStatus if not status.is_terminal)
_ALL = select(*TradeRow.__table__.columns)
_MAX_OF_POSITION = 200

OrderRow = Row[Any]


def orders(
    connection: Connection,
    since_ms: int,
    limit: int,
    symbol: str | None = None,
    status: str | None = None,
    before: int | None = None,
    *,
    include_all: bool = False,
) -> list[OrderRow]:
    """Return orders, newest first: those with fills, those of one status, or all.

    ``before`` is the row id of the last one of the previous page.
    """
    query = _ALL.where(TradeRow.created_at >= since_ms).order_by(TradeRow.created_at.desc(), TradeRow.id.desc())
    if symbol is not None:
        query = query.where(TradeRow.symbol == symbol)
    if status == SIMULATED:
        query = query.where(TradeRow.status == literal_column(f"'{SIMULATED}'"))  # as in the condition of its index
    elif status is not None:
        query = query.where(TradeRow.order_status == status)
    elif not include_all:
        query = query.where(cast(TradeRow.filled_quantity, Float) > 0)
    if before is not None:
        query = query.where(older_than(connection, TradeRow.created_at, TradeRow.id, before))
    return list(connection.execute(query.limit(limit)))


def find_order(connection: Connection, name: str) -> OrderRow | None:
    """Find an order by row id, client order id, or the exchange's order id."""
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 19 else -1
    for condition in (TradeRow.id == number, TradeRow.client_order_id == name, TradeRow.order_id == name):
        row = connection.execute(_ALL.where(condition).order_by(TradeRow.id.desc()).limit(1)).first()
        if row is not None:
            return row
    return None


def open_orders(connection: Connection) -> list[OrderRow]:
    """Return open orders of the current mode, newest first."""
    query = _ALL.where(TradeRow.order_status.in_(OPEN_STATUSES), _is_of_mode(connection))
    return list(connection.execute(query.order_by(TradeRow.id.desc())))


def order_group(connection: Connection, entry_client_order_id: str) -> list[OrderRow]:
    """Return an entry and the orders that belong to it, oldest first."""
    condition = or_(
        TradeRow.client_order_id == entry_client_order_id, TradeRow.entry_client_order_id == entry_client_order_id
    )
    return list(connection.execute(_ALL.where(condition).order_by(TradeRow.created_at, TradeRow.id)))


def orders_by_id(connection: Connection, client_order_ids: Iterable[str]) -> dict[str, OrderRow]:
    query = _ALL.where(TradeRow.client_order_id.in_(set(client_order_ids)))
    return {row.client_order_id: row for row in connection.execute(query)}


def orders_of_position(connection: Connection, symbol: str, position_side: str, since_ms: int) -> list[OrderRow]:
    """Return the orders of a position created since it was opened, and older open ones; newest first."""
    own = _ALL.where(_is_of_mode(connection), TradeRow.symbol == symbol, TradeRow.position_side == position_side)
    recent = own.where(TradeRow.created_at >= since_ms).order_by(TradeRow.created_at.desc()).limit(_MAX_OF_POSITION)
    still_open = own.where(TradeRow.order_status.in_(OPEN_STATUSES), TradeRow.created_at < since_ms)
    found = [*connection.execute(recent), *connection.execute(still_open)]
    return sorted(found, key=lambda row: int(row.id), reverse=True)[:_MAX_OF_POSITION]


def _is_of_mode(connection: Connection) -> ColumnElement[bool]:
    return TradeRow.status == SIMULATED if is_paper_mode(connection) else TradeRow.status != SIMULATED


def relationships(connection: Connection, entry_client_order_id: str) -> list[dict[str, Any]]:
    """Return the orders that protect or close the position of an entry."""
    row = OrderRelationshipRow
    query = select(
        row.client_order_id.label("related_order_id"),
        row.entry_client_order_id.label("main_order_id"),
        row.symbol,
        row.position_side,
        row.role,
        row.created_at,
    ).where(row.entry_client_order_id == entry_client_order_id)
    return [dict(each) for each in connection.execute(query.order_by(row.created_at)).mappings()]


def status_history(connection: Connection, client_order_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the status changes of some orders, oldest first."""
    row = OrderStatusRow
    query = select(*row.__table__.columns).where(row.client_order_id.in_(set(client_order_ids))).order_by(row.id)
    return [dict(each) for each in connection.execute(query).mappings()]


def order_totals(connection: Connection, since_ms: int) -> list[dict[str, Any]]:
    """Count entries by symbol: all, filled, simulated."""
    row = TradeRow
    is_filled = (row.order_status == OrderStatus.FILLED.value).cast(Float)
    is_simulated = (row.status == SIMULATED).cast(Float)
    query = (
        select(row.symbol, func.count(), func.sum(is_filled), func.sum(is_simulated))
        .where(row.created_at >= since_ms, row.role == literal_column("'ENTRY'"))  # as in the condition of its index
        .group_by(literal_column("+trades.symbol"))  # the sign keeps SQLite from reading all orders by another index
        .order_by(func.count().desc(), row.symbol)
    )
    return [
        {"symbol": symbol, "trade_count": count, "success_count": int(filled), "simulated_count": int(simulated)}
        for symbol, count, filled, simulated in connection.execute(query)
    ]
