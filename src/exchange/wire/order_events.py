"""ORDER_TRADE_UPDATE: one change of one order, and the trade that caused it (Event: Order Update)."""

from decimal import Decimal
from enum import StrEnum

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.orders import Fill, OrderUpdate
from src.exchange.wire.fields import Body, Fields, number
from src.exchange.wire.orders import read_status, read_working_type, render_status
from src.exchange.wire.words import ORDER_TYPES, TIMES_IN_FORCE

_ZERO = Decimal(0)


class Execution(StrEnum):
    """What happened to the order. CALCULATED is a liquidation, which may carry its trade as TRADE does."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    CALCULATED = "CALCULATED"
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    REJECTED = "REJECTED"


def parse_order_event(event: Fields) -> OrderUpdate:
    """The order after the change, with the fill where it traded; ordered by ``E`` (User Data Streams)."""
    order = event.part("o")
    quantity, filled_quantity = order.decimal("q"), order.decimal("z")
    return OrderUpdate(
        symbol=order.text("s"),
        client_order_id=order.text("c"),
        order_id=order.integer("i"),
        side=order.word("S", Side),
        position_side=order.word("ps", PositionSide),
        type=order.word("o", OrderType, ORDER_TYPES),
        status=read_status(order, "X", quantity, filled_quantity),
        quantity=quantity,
        filled_quantity=filled_quantity,
        average_price=order.decimal("ap"),
        price=order.decimal("p"),
        stop_price=order.decimal("sp"),
        time_in_force=order.word("f", TimeInForce, TIMES_IN_FORCE),
        reduce_only=order.truth("R"),
        close_position="cp" in order and order.truth("cp"),
        working_type=read_working_type(order, "wt"),
        price_protect="pP" in order and order.truth("pP"),
        original_type=order.word("ot", OrderType, ORDER_TYPES),
        event_at=event.integer("E"),
        fill=_fill(order),
    )


def _fill(order: Fields) -> Fill | None:
    execution, trade_id = order.word("x", Execution), order.integer("t")
    is_trade = execution is Execution.TRADE or (execution is Execution.CALCULATED and trade_id > 0)
    if not is_trade or not order.decimal("l"):
        return None
    return Fill(
        symbol=order.text("s"),
        trade_id=trade_id,
        order_id=order.integer("i"),
        client_order_id=order.text("c"),
        side=order.word("S", Side),
        position_side=order.word("ps", PositionSide),
        quantity=order.decimal("l"),
        price=order.decimal("L"),
        realized_pnl=order.decimal("rp"),
        # "Will not push if no commission": absent means nothing was paid.
        commission=abs(order.decimal("n")) if "n" in order else _ZERO,
        commission_asset=order.text("N") if "N" in order else "",
        is_maker=order.truth("m"),
        traded_at=order.integer("T"),
    )


def render_order_event(order: OrderUpdate, execution: Execution | None = None) -> Body:
    """The event for an order; the execution follows from its fill and its status where it is not given."""
    fill = order.fill
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": order.event_at,
        "T": fill.traded_at if fill else order.event_at,
        "o": {
            "s": order.symbol,
            "c": order.client_order_id,
            "S": order.side.value,
            "o": order.type.value,
            "f": order.time_in_force.value,
            "q": number(order.quantity),
            "p": number(order.price),
            "ap": number(order.average_price),
            "sp": number(order.stop_price),
            "x": (execution or _execution(order)).value,
            "X": render_status(order.status),
            "i": order.order_id,
            "z": number(order.filled_quantity),
            "b": "0",
            "a": "0",
            "R": order.reduce_only,
            "wt": order.working_type.value,
            "ot": order.original_type.value,
            "ps": order.position_side.value,
            "cp": order.close_position,
            "pP": order.price_protect,
            **(_render_trade(fill) if fill else _no_trade(order.event_at)),
        },
    }


def _execution(order: OrderUpdate) -> Execution:
    if order.fill or order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED):
        return Execution.TRADE
    return Execution(order.status.value)


def _render_trade(fill: Fill) -> Body:
    return {
        "l": number(fill.quantity),
        "L": number(fill.price),
        "N": fill.commission_asset,
        "n": number(fill.commission),
        "T": fill.traded_at,
        "t": fill.trade_id,
        "m": fill.is_maker,
        "rp": number(fill.realized_pnl),
    }


def _no_trade(at: int) -> Body:
    return {"l": "0", "L": "0", "T": at, "t": 0, "m": False, "rp": "0"}
