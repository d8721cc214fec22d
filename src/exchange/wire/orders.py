"""Orders and fills: order requests, REST responses, account trades and order events of the user data stream."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import InvariantError, ProtocolError
from src.domain.instrument import Price, Quantity
from src.domain.numbers import ZERO
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.exchange.wire.fields import (
    LIQUIDATION_STATUSES,
    LOCAL_ONLY_STATUSES,
    ORDER_TYPE_ALIASES,
    TIME_IN_FORCE_ALIASES,
    Body,
    Fields,
    decimal_str,
)


def render_order_request(request: OrderRequest) -> dict[str, str]:
    """Render the parameters of New Order; with ``RESULT``, MARKET, IOC and FOK orders return their final state."""
    optional = {
        "timeInForce": request.time_in_force,
        "quantity": _optional_str(request.quantity),
        "price": _optional_str(request.price),
        "stopPrice": _optional_str(request.stop_price),
        "reduceOnly": "true" if request.reduce_only else None,
        "closePosition": "true" if request.close_position else None,
        "workingType": request.working_type,
        "priceProtect": "TRUE" if request.price_protect else None,
    }
    return {
        "symbol": request.symbol,
        "side": request.side.value,
        "positionSide": request.position_side.value,
        "type": request.type.value,
        **{key: str(value) for key, value in optional.items() if value is not None},
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "RESULT",
    }


def _optional_str(value: Decimal | None) -> str | None:
    return None if value is None else decimal_str(value)


def parse_order_request(parameters: Mapping[str, object]) -> OrderRequest:
    """Parse the parameters of New Order without checking any trading rule; a missing client order id is empty."""
    order = Fields(dict(parameters))
    quantity, price, stop_price = (_optional_decimal(order, key) for key in ("quantity", "price", "stopPrice"))
    return OrderRequest(
        client_order_id=order.text("newClientOrderId") if "newClientOrderId" in order else "",
        symbol=order.name("symbol"),
        side=order.enum("side", Side),
        position_side=order.enum("positionSide", PositionSide) if "positionSide" in order else PositionSide.BOTH,
        type=order.enum("type", OrderType),
        quantity=None if quantity is None else Quantity(quantity),
        price=None if price is None else Price(price),
        stop_price=None if stop_price is None else Price(stop_price),
        time_in_force=order.enum("timeInForce", TimeInForce, TIME_IN_FORCE_ALIASES) if "timeInForce" in order else None,
        reduce_only=_is_set(order, "reduceOnly"),
        close_position=_is_set(order, "closePosition"),
        working_type=order.enum("workingType", WorkingType) if "workingType" in order else None,
        price_protect=_is_set(order, "priceProtect"),
    )


def _optional_decimal(order: Fields, key: str) -> Decimal | None:
    return order.decimal(key) if key in order else None


def _is_set(order: Fields, key: str) -> bool:
    return key in order and order.boolean(key)


def parse_order(payload: object) -> OrderUpdate:
    """Parse an order from New Order, Query Order, Cancel Order or an order list.

    Its time in force, flags and working type decide nothing: the bot compares with its own request.
    """
    order = Fields(payload)
    order_type = order.enum("type", OrderType, ORDER_TYPE_ALIASES)
    quantity, filled_quantity = order.decimal("origQty"), order.decimal("executedQty")
    return OrderUpdate(
        symbol=order.name("symbol"),
        client_order_id=order.text("clientOrderId"),
        order_id=order.integer("orderId"),
        side=order.enum("side", Side),
        position_side=order.enum("positionSide", PositionSide),
        type=order_type,
        status=read_status(order, "status", quantity, filled_quantity),
        quantity=quantity,
        filled_quantity=filled_quantity,
        average_price=_average_price(order, filled_quantity),
        price=order.detail(order.decimal, "price", ZERO),
        stop_price=order.detail(order.decimal, "stopPrice", ZERO),
        time_in_force=order.optional_enum("timeInForce", TimeInForce, TIME_IN_FORCE_ALIASES) or TimeInForce.GTC,
        reduce_only=order.detail(order.boolean, "reduceOnly", False),
        close_position=_closes_position(order, "closePosition", quantity),
        working_type=read_working_type(order, "workingType"),
        price_protect=order.detail(order.boolean, "priceProtect", False),
        original_type=order.enum("origType", OrderType, ORDER_TYPE_ALIASES) if "origType" in order else order_type,
        event_at=order.time("updateTime", "time"),
    )


def _average_price(order: Fields, filled_quantity: Decimal) -> Decimal:
    """Return the average fill price; Cancel Order omits ``avgPrice``, so compute it from the cost."""
    average_price = order.detail(order.decimal, "avgPrice", ZERO)
    if average_price or not filled_quantity:
        return average_price
    return order.detail(order.decimal, "cumQuote", ZERO) / filled_quantity


def _closes_position(order: Fields, key: str, quantity: Decimal) -> bool:
    """Whether it closes the whole position; where that is not said, only such an order has no quantity."""
    return order.detail(order.boolean, key, not quantity)


def read_working_type(order: Fields, key: str) -> WorkingType:
    """Read the working type; CONTRACT_PRICE is the documented default (New Order)."""
    return order.optional_enum(key, WorkingType) or WorkingType.CONTRACT_PRICE


def read_status(order: Fields, key: str, quantity: Decimal, filled_quantity: Decimal) -> OrderStatus:
    if order.text(key) in LIQUIDATION_STATUSES:
        if filled_quantity >= quantity:
            return OrderStatus.FILLED
        return OrderStatus.PARTIALLY_FILLED if filled_quantity else OrderStatus.NEW
    status = order.enum(key, OrderStatus)
    if status in LOCAL_ONLY_STATUSES:
        raise ProtocolError(f"{status} is not an exchange status", order.text(key))
    return status


def render_order(order: OrderUpdate, created_at: int | None = None) -> Body:
    """Render an order for REST responses, with the fields of all documented order responses."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": render_status(order.status),
        "clientOrderId": order.client_order_id,
        "price": decimal_str(order.price),
        "avgPrice": decimal_str(order.average_price),
        "origQty": decimal_str(order.quantity),
        "executedQty": decimal_str(order.filled_quantity),
        "cumQty": decimal_str(order.filled_quantity),
        "cumQuote": decimal_str(order.filled_quantity * order.average_price),
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": decimal_str(order.stop_price),
        "workingType": order.working_type.value,
        "priceProtect": order.price_protect,
        "origType": order.original_type.value,
        "time": order.event_at if created_at is None else created_at,
        "updateTime": order.event_at,
    }


def render_status(status: OrderStatus) -> str:
    if status in LOCAL_ONLY_STATUSES:
        raise InvariantError(f"{status} is not an exchange status")
    return status.value


def parse_fill(payload: object, client_order_id: str = "") -> Fill:
    """Parse one trade of Account Trade List, which carries only the exchange's order id.

    Aster's sample shows a paid commission as negative, Binance's as positive; the absolute value is what was paid.
    """
    trade = Fields(payload)
    commission, commission_asset = _fee(trade)
    return Fill(
        symbol=trade.name("symbol"),
        trade_id=trade.integer("id"),
        order_id=trade.integer("orderId"),
        client_order_id=client_order_id,
        side=trade.enum("side", Side),
        position_side=trade.enum("positionSide", PositionSide),
        quantity=trade.positive("qty"),
        price=trade.positive("price"),
        realized_pnl=trade.decimal("realizedPnl"),
        commission=commission,
        commission_asset=commission_asset,
        is_maker=trade.detail(trade.boolean, "maker", False),
        traded_at=trade.integer("time"),
    )


def _fee(trade: Fields) -> tuple[Decimal, str]:
    """Return what was paid and its asset; 0 of no asset if it is not said, as the income history has it later."""
    try:
        return abs(trade.decimal("commission")), trade.text("commissionAsset")
    except ProtocolError:
        return ZERO, ""


def render_fill(fill: Fill) -> Body:
    return {
        "buyer": fill.side is Side.BUY,
        "commission": decimal_str(-fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "maker": fill.is_maker,
        "orderId": fill.order_id,
        "price": decimal_str(fill.price),
        "qty": decimal_str(fill.quantity),
        "quoteQty": decimal_str(fill.quantity * fill.price),
        "realizedPnl": decimal_str(fill.realized_pnl),
        "side": fill.side.value,
        "positionSide": fill.position_side.value,
        "symbol": fill.symbol,
        "time": fill.traded_at,
    }


class ExecutionType(StrEnum):
    """What happened to the order. CALCULATED is a liquidation; like TRADE it may carry a trade."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    CALCULATED = "CALCULATED"
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    REJECTED = "REJECTED"


def parse_order_event(event: Fields) -> OrderUpdate:
    """Parse ORDER_TRADE_UPDATE: the order after the change, and the fill if it traded. Ordered by ``E``.

    As in ``parse_order``, details that decide nothing may be missing.
    """
    order = event.child("o")
    order_type = order.enum("o", OrderType, ORDER_TYPE_ALIASES)
    quantity, filled_quantity = order.decimal("q"), order.decimal("z")
    return OrderUpdate(
        symbol=order.name("s"),
        client_order_id=order.text("c"),
        order_id=order.integer("i"),
        side=order.enum("S", Side),
        position_side=order.enum("ps", PositionSide),
        type=order_type,
        status=read_status(order, "X", quantity, filled_quantity),
        quantity=quantity,
        filled_quantity=filled_quantity,
        average_price=order.detail(order.decimal, "ap", ZERO),
        price=order.detail(order.decimal, "p", ZERO),
        stop_price=order.detail(order.decimal, "sp", ZERO),
        time_in_force=order.optional_enum("f", TimeInForce, TIME_IN_FORCE_ALIASES) or TimeInForce.GTC,
        reduce_only=order.detail(order.boolean, "R", False),
        close_position=_closes_position(order, "cp", quantity),
        working_type=read_working_type(order, "wt"),
        price_protect=order.detail(order.boolean, "pP", False),
        original_type=order.enum("ot", OrderType, ORDER_TYPE_ALIASES) if "ot" in order else order_type,
        event_at=event.time("E", "T"),
        fill=_parse_trade(order, order.time("T", default=event.time("T", "E"))),
    )


def _parse_trade(order: Fields, traded_at: int) -> Fill | None:
    """Parse the trade of an order event; None if it is none.

    One that cannot be read is left out: by the filled quantity it is missed, and fetched from the trade list.
    """
    execution, trade_id = order.optional_enum("x", ExecutionType), order.detail(order.integer, "t", 0)
    if execution not in (ExecutionType.TRADE, ExecutionType.CALCULATED, None) or trade_id <= 0:
        return None
    try:
        return _read_trade(order, trade_id, traded_at)
    except ProtocolError:
        return None


def _read_trade(order: Fields, trade_id: int, traded_at: int) -> Fill:
    return Fill(
        symbol=order.name("s"),
        trade_id=trade_id,
        order_id=order.integer("i"),
        client_order_id=order.text("c"),
        side=order.enum("S", Side),
        position_side=order.enum("ps", PositionSide),
        quantity=order.positive("l"),
        price=order.positive("L"),
        realized_pnl=order.decimal("rp"),
        # "Will not push if no commission": absent means nothing was paid.
        commission=abs(order.decimal("n")) if "n" in order else ZERO,
        commission_asset=order.text("N") if "N" in order else "",
        is_maker=order.detail(order.boolean, "m", False),
        traded_at=traded_at,
    )


def render_order_event(order: OrderUpdate, execution: ExecutionType | None = None) -> Body:
    """Render ORDER_TRADE_UPDATE; the execution type defaults to the one implied by the fill and the status."""
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
            "q": decimal_str(order.quantity),
            "p": decimal_str(order.price),
            "ap": decimal_str(order.average_price),
            "sp": decimal_str(order.stop_price),
            "x": (execution or _execution_type(order)).value,
            "X": render_status(order.status),
            "i": order.order_id,
            "z": decimal_str(order.filled_quantity),
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


def _execution_type(order: OrderUpdate) -> ExecutionType:
    if order.fill or order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED):
        return ExecutionType.TRADE
    return ExecutionType(order.status.value)


def _render_trade(fill: Fill) -> Body:
    return {
        "l": decimal_str(fill.quantity),
        "L": decimal_str(fill.price),
        "N": fill.commission_asset,
        "n": decimal_str(fill.commission),
        "T": fill.traded_at,
        "t": fill.trade_id,
        "m": fill.is_maker,
        "rp": decimal_str(fill.realized_pnl),
    }


def _no_trade(at: int) -> Body:
    return {"l": "0", "L": "0", "T": at, "t": 0, "m": False, "rp": "0"}
