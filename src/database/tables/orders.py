"""Stores orders and fills, and loads them from their rows."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from src.database.models import SIMULATED, FillRow, OrderRelationshipRow, OrderStatusRow, TradeRow
from src.domain.enums import (
    OrderRole,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from src.domain.numbers import ZERO
from src.domain.orders import Fill, Order, OrderRequest

PositionResult = tuple[Decimal, Decimal, int, Decimal]
"""Realized PnL, fees in dollars, time of the last fill (ms UTC, 0 if none), change in quantity."""
_OPEN = tuple(status for status in OrderStatus if not status.is_terminal)


def add_order(connection: Connection, order: Order, source: str, now_ms: int, *, simulated: bool) -> None:
    """Insert a new order, its relationship to its entry, and its first status."""
    connection.execute(insert(TradeRow), new_trade(order, simulated=simulated))
    if order.entry_client_order_id is not None:
        values = {
            "client_order_id": order.client_order_id,
            "entry_client_order_id": order.entry_client_order_id,
            "symbol": order.symbol,
            "position_side": order.request.position_side.value,
            "role": order.role.value,
            "created_at": order.created_at,
        }
        connection.execute(insert(OrderRelationshipRow), values)
    _add_status(connection, order, source, now_ms)


def change_order(connection: Connection, order: Order, source: str, now_ms: int) -> None:
    """Update the row of an order; add to its status history if status or filled quantity changed."""
    own = TradeRow.client_order_id == order.client_order_id
    before = connection.execute(
        select(TradeRow.status, TradeRow.order_status, TradeRow.filled_quantity).where(own)
    ).one()
    changes = trade_changes(order, before.status, now_ms)
    connection.execute(update(TradeRow).where(own), changes)
    if (before.order_status, before.filled_quantity) != (order.status.value, order.filled_quantity):
        _add_status(connection, order, source, now_ms)


def open_orders(connection: Connection, filled_since_ms: int, *, is_simulated: bool) -> list[Order]:
    """Return the orders of one mode that are open, or have filled recently and lack fills."""
    row = TradeRow
    is_recent = (row.filled_quantity != ZERO) & (row.updated_at > filled_since_ms)
    is_of_mode = (row.status == SIMULATED) if is_simulated else (row.status != SIMULATED)
    query = select(row.__table__).where(is_of_mode, row.order_status.in_(_OPEN) | is_recent).order_by(row.id)
    orders = [load_fills(connection, order_from(each)) for each in connection.execute(query).all()]
    return [order for order in orders if order.is_open or order.has_missing_fills]


def find_order(connection: Connection, client_order_id: str) -> Order | None:
    """Find an order with its fills."""
    query = select(TradeRow.__table__).where(TradeRow.client_order_id == client_order_id)
    row = connection.execute(query).first()
    return None if row is None else load_fills(connection, order_from(row))


def client_order_id_of(connection: Connection, symbol: str, order_id: int) -> str | None:
    """Find a client order id by the exchange's order id, which is unique only within a symbol."""
    is_match = (TradeRow.symbol == symbol) & (TradeRow.order_id == str(order_id))
    return connection.scalar(select(TradeRow.client_order_id).where(is_match))


def new_trade(order: Order, *, simulated: bool) -> dict[str, Any]:
    """Return the values of a new row."""
    request = order.request
    return {
        "client_order_id": order.client_order_id,
        "order_id": None if order.order_id is None else str(order.order_id),
        "symbol": order.symbol,
        "side": request.side.value,
        "position_side": request.position_side.value,
        "order_type": request.type.value,
        "role": order.role.value,
        "entry_client_order_id": order.entry_client_order_id,
        "quantity": request.quantity,
        "price": request.price,
        "stop_price": request.stop_price,
        "time_in_force": request.time_in_force and request.time_in_force.value,
        "reduce_only": request.reduce_only,
        "close_position": request.close_position,
        "working_type": request.working_type and request.working_type.value,
        "price_protect": request.price_protect,
        "realized_pnl": ZERO,
        "commission": ZERO,
        "created_at": order.created_at,
        **trade_changes(order, SIMULATED if simulated else order.status.value, order.created_at),
    }


def trade_changes(order: Order, shown: str, now_ms: int) -> dict[str, Any]:
    """Return the values that change with the order; the status SIMULATED is kept."""
    return {
        "order_id": None if order.order_id is None else str(order.order_id),
        "status": shown if shown == SIMULATED else order.status.value,
        "order_status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "reason": order.reason,
        "sent_at": order.sent_at,
        "event_at": order.event_at,
        "updated_at": now_ms,
        "unresolved_since": order.unresolved_since,
    }


def order_from(row: Any) -> Order:
    """Build the order of a row, without its fills."""
    request = OrderRequest(
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        position_side=PositionSide(row.position_side),
        type=OrderType(row.order_type),
        quantity=row.quantity,
        price=row.price,
        stop_price=row.stop_price,
        time_in_force=row.time_in_force and TimeInForce(row.time_in_force),
        reduce_only=row.reduce_only,
        close_position=row.close_position,
        working_type=row.working_type and WorkingType(row.working_type),
        price_protect=row.price_protect,
    )
    return Order(
        request=request,
        role=OrderRole(row.role),
        created_at=row.created_at,
        entry_client_order_id=row.entry_client_order_id,
        status=OrderStatus(row.order_status),
        order_id=None if row.order_id is None else int(row.order_id),
        filled_quantity=row.filled_quantity,
        average_price=row.average_price,
        sent_at=row.sent_at,
        event_at=row.event_at,
        reason=row.reason,
        unresolved_since=row.unresolved_since,
    )


def _add_status(connection: Connection, order: Order, source: str, now_ms: int) -> None:
    values = {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "recorded_at": now_ms,
        "source": source,
        "reason": order.reason,
    }
    connection.execute(insert(OrderStatusRow), values)


def add_fill(connection: Connection, fill: Fill, now_ms: int, *, is_simulated: bool) -> bool:
    """Store a fill and add it to its order's totals; False if it is already stored (I7)."""
    trade = _trade_for(connection, fill)
    # The Account Trade List has order ids only: the row has the client order id.
    owner = fill.client_order_id if trade is None else trade.client_order_id
    values = asdict(fill) | {
        "order_id": str(fill.order_id),
        "client_order_id": owner,
        "commission_value": fill.fee,
        "is_simulated": is_simulated,
    }
    statement = upsert(FillRow).on_conflict_do_nothing().returning(FillRow.id)
    if connection.scalar(statement, values) is None:
        return False
    if trade is not None:
        changes = _totals(trade, fill) | {"updated_at": now_ms}
        connection.execute(update(TradeRow).where(TradeRow.id == trade.id), changes)
    return True


def has_trade(connection: Connection, symbol: str, trade_id: int, *, is_simulated: bool) -> bool:
    """Whether a fill of this trade is stored."""
    is_same = (FillRow.symbol == symbol) & (FillRow.trade_id == trade_id)
    query = select(FillRow.id).where(is_same, FillRow.is_simulated == is_simulated)
    return connection.scalar(query) is not None


def result_since(
    connection: Connection, symbol: str, position_side: PositionSide, since_ms: int, *, is_simulated: bool
) -> PositionResult:
    """Sum up a position's fills from an instant on: realized PnL, commission, time of the last (0 if none), and the
    change in quantity."""
    row = FillRow
    query = select(row.realized_pnl, row.commission_value, row.traded_at, row.side, row.quantity).where(
        row.symbol == symbol,
        row.position_side == position_side.value,
        row.traded_at >= since_ms,
        row.is_simulated == is_simulated,
    )
    found = connection.execute(query).all()
    profit = sum((each.realized_pnl for each in found), ZERO)
    commission = sum((each.commission_value or ZERO for each in found), ZERO)
    change = sum((Side(each.side).sign * each.quantity for each in found), ZERO)
    return profit, commission, max((each.traded_at for each in found), default=0), change


def load_fills(connection: Connection, order: Order) -> Order:
    """Add the stored fills to the order."""
    query = select(FillRow.trade_id, FillRow.quantity).where(FillRow.client_order_id == order.client_order_id)
    for trade_id, quantity in connection.execute(query):
        order.trade_ids.add(trade_id)
        order.recorded_quantity += quantity
    return order


def _trade_for(connection: Connection, fill: Fill) -> Any:
    """Find the order of a fill; order ids are unique only within a symbol."""
    row = TradeRow
    if fill.client_order_id:
        is_match = row.client_order_id == fill.client_order_id
    else:
        is_match = (row.symbol == fill.symbol) & (row.order_id == str(fill.order_id))
    columns = (row.id, row.client_order_id, row.realized_pnl, row.commission, row.commission_asset)
    return connection.execute(select(*columns).where(is_match).order_by(row.id.desc())).first()


def _totals(trade: Any, fill: Fill) -> dict[str, Decimal | str]:
    """Return the order's new totals; fees in a second asset are only in ``fills``."""
    totals: dict[str, Decimal | str] = {"realized_pnl": trade.realized_pnl + fill.realized_pnl}
    if trade.commission_asset in (None, fill.commission_asset):
        totals["commission"] = trade.commission + fill.commission
        totals["commission_asset"] = fill.commission_asset
    return totals
