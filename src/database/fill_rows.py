"""Trades of our orders: each counted once, and added up on the order it belongs to."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from src.database.models import FillRow, TradeRow
from src.domain.enums import PositionSide, Side
from src.domain.orders import Fill, Order

ZERO = Decimal(0)
SlotResult = tuple[Decimal, Decimal, int, Decimal]


def add_fill(connection: Connection, fill: Fill, now_ms: int, *, is_simulated: bool) -> bool:
    """Store a trade and add it to its order's sums; False where it is known already (I7)."""
    trade = _trade_of(connection, fill)
    # A trade list names the order by number alone (Account Trade List): the row says whose it is.
    owner = fill.client_order_id if trade is None else trade.client_order_id
    values = asdict(fill) | {"order_id": str(fill.order_id), "client_order_id": owner, "is_simulated": is_simulated}
    statement = upsert(FillRow).on_conflict_do_nothing().returning(FillRow.id)
    if connection.scalar(statement, values) is None:
        return False
    if trade is not None:
        changes = _sums(trade, fill) | {"updated_at": now_ms}
        connection.execute(update(TradeRow).where(TradeRow.id == trade.id), changes)
    return True


def has_fill(connection: Connection, fill: Fill, *, is_simulated: bool) -> bool:
    """The trade is stored."""
    is_same = (FillRow.symbol == fill.symbol) & (FillRow.trade_id == fill.trade_id)
    query = select(FillRow.id).where(is_same, FillRow.is_simulated == is_simulated)
    return connection.scalar(query) is not None


def result_since(
    connection: Connection, symbol: str, position_side: PositionSide, since_ms: int, *, is_simulated: bool
) -> SlotResult:
    """Realised profit and commission of a slot's trades from an instant on, when the last was (0 for none), and what
    they have changed of its quantity."""
    row = FillRow
    query = select(row.realized_pnl, row.commission, row.traded_at, row.side, row.quantity).where(
        row.symbol == symbol,
        row.position_side == position_side.value,
        row.traded_at >= since_ms,
        row.is_simulated == is_simulated,
    )
    found = connection.execute(query).all()
    profit = sum((each.realized_pnl for each in found), ZERO)
    paid = sum((each.commission for each in found), ZERO)
    change = sum((Side(each.side).sign * each.quantity for each in found), ZERO)
    return profit, paid, max((each.traded_at for each in found), default=0), change


def with_fills(connection: Connection, order: Order) -> Order:
    """The order, with the trades of it that are stored."""
    query = select(FillRow.trade_id, FillRow.quantity).where(FillRow.client_order_id == order.client_order_id)
    for trade_id, quantity in connection.execute(query):
        order.trade_ids.add(trade_id)
        order.booked_quantity += quantity
    return order


def _trade_of(connection: Connection, fill: Fill) -> Any:
    """The order it belongs to. Numbers of orders are unique within a symbol only."""
    row = TradeRow
    if fill.client_order_id:
        is_its_own = row.client_order_id == fill.client_order_id
    else:
        is_its_own = (row.symbol == fill.symbol) & (row.order_id == str(fill.order_id))
    columns = (row.id, row.client_order_id, row.realized_pnl, row.commission, row.commission_asset)
    return connection.execute(select(*columns).where(is_its_own).order_by(row.id.desc())).first()


def _sums(trade: Any, fill: Fill) -> dict[str, Decimal | str]:
    """The order's new sums; fees in a second asset are never added to those in the first, but stay in ``fills``."""
    sums: dict[str, Decimal | str] = {"realized_pnl": trade.realized_pnl + fill.realized_pnl}
    if trade.commission_asset in (None, fill.commission_asset):
        sums["commission"] = trade.commission + fill.commission
        sums["commission_asset"] = fill.commission_asset
    return sums
