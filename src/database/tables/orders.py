"""Stores orders and fills, and loads them from their rows."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from src.database.models import SIMULATED, FillRow, OrderRelationshipRow, OrderStatusRow, TradeRow
from src.database.statements import Prepared, prepared_insert
from src.domain.enums import (
    OrderRole,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from src.domain.errors import InvariantError
from src.domain.numbers import ZERO
from src.domain.orders import Fill, Order, OrderRequest

PositionResult = tuple[Decimal, Decimal, int, Decimal]
"""Realized PnL, fees in dollars, time of the last fill (ms UTC, 0 if none), change in quantity."""
_IDS_PER_QUERY = 10_000  # SQLite allows 32,766 values in a statement
_OPEN = tuple(status for status in OrderStatus if not status.is_terminal)
_CHANGED = (
    *("order_id", "status", "order_status", "filled_quantity", "average_price", "reason"),
    *("sent_at", "event_at", "updated_at", "unresolved_since"),
)
_ADDED = ("realized_pnl", "commission", "commission_asset", "updated_at")
_FILL_FIELDS = (
    *("symbol", "trade_id", "side", "position_side", "quantity", "price", "realized_pnl"),
    *("commission", "commission_asset", "is_maker", "traded_at"),
)
_TRADE, _RELATIONSHIP, _STATUS = map(prepared_insert, (TradeRow, OrderRelationshipRow, OrderStatusRow))
_FILL = prepared_insert(FillRow, ignores_known=True)
_IS_OWN = TradeRow.client_order_id == bindparam("own_id")
_STORED_STATUS = Prepared(select(TradeRow.status, TradeRow.order_status, TradeRow.filled_quantity).where(_IS_OWN))
_CHANGE_TRADE = Prepared(update(TradeRow).where(_IS_OWN), ["own_id", *_CHANGED])
_ADD_TO_TRADE = Prepared(update(TradeRow).where(TradeRow.id == bindparam("row_id")), ["row_id", *_ADDED])
_UNCOUNTED_FEES = Prepared(
    select(FillRow.commission_asset, FillRow.commission).where(
        FillRow.symbol == bindparam("symbol"),
        FillRow.position_side == bindparam("position_side"),
        FillRow.traded_at >= bindparam("since_ms"),
        FillRow.commission_value.is_(None),
        FillRow.is_simulated == bindparam("is_simulated"),
    )
)


class _Totals(NamedTuple):
    """The totals of an order's fills as stored."""

    id: int
    client_order_id: str
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str | None


_TOTALS = select(*(getattr(TradeRow, name) for name in _Totals._fields)).order_by(TradeRow.id.desc())
_TRADE_BY_ID = Prepared(_TOTALS.where(_IS_OWN))
_TRADE_BY_NUMBER = Prepared(
    _TOTALS.where(TradeRow.symbol == bindparam("of_symbol"), TradeRow.order_id == bindparam("number"))
)


def add_order(connection: Connection, order: Order, source: str, now_ms: int, *, simulated: bool) -> None:
    """Insert a new order, its relationship to its entry, and its first status."""
    _TRADE.execute(connection, {"id": None, **new_trade(order, simulated=simulated)})
    if order.entry_client_order_id is not None:
        values = {
            "client_order_id": order.client_order_id,
            "entry_client_order_id": order.entry_client_order_id,
            "symbol": order.symbol,
            "position_side": order.request.position_side.value,
            "role": order.role.value,
            "created_at": order.created_at,
        }
        _RELATIONSHIP.execute(connection, values)
    _add_status(connection, order, source, now_ms)


def change_order(connection: Connection, order: Order, source: str, now_ms: int) -> None:
    """Update the row of an order; add to its status history if status or filled quantity changed."""
    own = {"own_id": order.client_order_id}
    before = _STORED_STATUS.first(connection, own)
    if before is None:
        raise InvariantError(f"order {order.client_order_id} is not stored")
    shown, *stored = before
    _CHANGE_TRADE.execute(connection, own | trade_changes(order, shown, now_ms))
    if stored != [order.status.value, order.filled_quantity]:
        _add_status(connection, order, source, now_ms)


def open_orders(connection: Connection, filled_since_ms: int, *, is_simulated: bool) -> list[Order]:
    """Return the orders of one mode that are open, or have filled recently and lack fills."""
    row = TradeRow
    is_recent = (row.filled_quantity != ZERO) & (row.updated_at > filled_since_ms)
    is_of_mode = (row.status == SIMULATED) if is_simulated else (row.status != SIMULATED)
    found = {  # two queries, each with its index
        each.id: each
        for condition in (row.order_status.in_(_OPEN), is_recent)
        for each in connection.execute(select(row.__table__).where(is_of_mode, condition))
    }
    orders = [order_from(found[row_id]) for row_id in sorted(found)]
    _load_all_fills(connection, orders)
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
        "commission_asset": None,
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
        "id": None,
    }
    _STATUS.execute(connection, values)


def add_fill(connection: Connection, fill: Fill, now_ms: int, *, is_simulated: bool) -> bool:
    """Store a fill and add it to its order's totals; False if it is already stored (I7)."""
    trade = _trade_for(connection, fill)
    values = {name: getattr(fill, name) for name in _FILL_FIELDS} | {
        "id": None,
        "order_id": str(fill.order_id),
        # The Account Trade List has order ids only: the row has the client order id.
        "client_order_id": fill.client_order_id if trade is None else trade.client_order_id,
        "commission_value": fill.fee,
        "is_simulated": is_simulated,
    }
    if not _FILL.execute(connection, values).rowcount:
        return False
    if trade is not None:
        _ADD_TO_TRADE.execute(connection, {"row_id": trade.id, **_totals(trade, fill), "updated_at": now_ms})
    return True


def uncounted_fees(connection: Connection, position: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return asset and amount of each fee of a position with an unknown value in dollars; ``since_ms`` is among the
    values of ``position``."""
    return _UNCOUNTED_FEES.rows(connection, position)


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


def _load_all_fills(connection: Connection, orders: Sequence[Order]) -> None:
    """Add the stored fills to many orders, with few queries."""
    by_id = {order.client_order_id: order for order in orders}
    names = list(by_id)
    for start in range(0, len(names), _IDS_PER_QUERY):
        part = FillRow.client_order_id.in_(names[start : start + _IDS_PER_QUERY])
        query = select(FillRow.client_order_id, FillRow.trade_id, FillRow.quantity).where(part)
        for client_order_id, trade_id, quantity in connection.execute(query):
            by_id[client_order_id].trade_ids.add(trade_id)
            by_id[client_order_id].recorded_quantity += quantity


def load_fills(connection: Connection, order: Order) -> Order:
    """Add the stored fills to the order."""
    query = select(FillRow.trade_id, FillRow.quantity).where(FillRow.client_order_id == order.client_order_id)
    for trade_id, quantity in connection.execute(query):
        order.trade_ids.add(trade_id)
        order.recorded_quantity += quantity
    return order


def _trade_for(connection: Connection, fill: Fill) -> _Totals | None:
    """Find the order of a fill; order ids are unique only within a symbol."""
    if fill.client_order_id:
        found = _TRADE_BY_ID.first(connection, {"own_id": fill.client_order_id})
    else:
        by_number = {"number": str(fill.order_id), "of_symbol": fill.symbol}
        found = _TRADE_BY_NUMBER.first(connection, by_number)
    return None if found is None else _Totals(*found)


def _totals(trade: _Totals, fill: Fill) -> dict[str, Decimal | str | None]:
    """Return the order's new totals; fees in a second asset are only in ``fills``."""
    commission, asset = trade.commission, trade.commission_asset
    if asset in (None, fill.commission_asset):
        commission, asset = commission + fill.commission, fill.commission_asset
    realized_pnl = trade.realized_pnl + fill.realized_pnl
    return {"realized_pnl": realized_pnl, "commission": commission, "commission_asset": asset}
