"""Orders and their fills: requests, answers, trade lists and the order events of the private stream."""

from collections.abc import Mapping
from decimal import Decimal

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import InvariantError, ProtocolError
from src.domain.instrument import Price, Quantity
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.exchange.wire.fields import Body, Fields, number
from src.exchange.wire.words import LIQUIDATION_STATUSES, ORDER_TYPES, TIMES_IN_FORCE, UNTOLD_STATUSES

_ZERO = Decimal(0)


def render_order_request(request: OrderRequest) -> dict[str, str]:
    """The parameters of New Order. ``RESULT`` makes MARKET, IOC and FOK orders answer with their end."""
    optional = {
        "timeInForce": request.time_in_force,
        "quantity": _written(request.quantity),
        "price": _written(request.price),
        "stopPrice": _written(request.stop_price),
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


def _written(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


def parse_order_request(parameters: Mapping[str, object]) -> OrderRequest:
    """An order as a client asks for it: structure only, no rule is checked. An id not given is empty."""
    order = Fields(dict(parameters))
    quantity, price, stop_price = (_asked(order, key) for key in ("quantity", "price", "stopPrice"))
    return OrderRequest(
        client_order_id=order.text("newClientOrderId") if "newClientOrderId" in order else "",
        symbol=order.text("symbol"),
        side=order.word("side", Side),
        position_side=order.word("positionSide", PositionSide) if "positionSide" in order else PositionSide.BOTH,
        type=order.word("type", OrderType),
        quantity=None if quantity is None else Quantity(quantity),
        price=None if price is None else Price(price),
        stop_price=None if stop_price is None else Price(stop_price),
        time_in_force=order.word("timeInForce", TimeInForce, TIMES_IN_FORCE) if "timeInForce" in order else None,
        reduce_only=_claimed(order, "reduceOnly"),
        close_position=_claimed(order, "closePosition"),
        working_type=order.word("workingType", WorkingType) if "workingType" in order else None,
        price_protect=_claimed(order, "priceProtect"),
    )


def _asked(order: Fields, key: str) -> Decimal | None:
    return order.decimal(key) if key in order else None


def _claimed(order: Fields, key: str) -> bool:
    return key in order and order.truth(key)


def parse_order(payload: object) -> OrderUpdate:
    """An order as New Order, Query Order, Cancel Order and the order lists answer it."""
    order = Fields(payload)
    order_type = order.word("type", OrderType, ORDER_TYPES)
    quantity, filled_quantity = order.decimal("origQty"), order.decimal("executedQty")
    return OrderUpdate(
        symbol=order.text("symbol"),
        client_order_id=order.text("clientOrderId"),
        order_id=order.integer("orderId"),
        side=order.word("side", Side),
        position_side=order.word("positionSide", PositionSide),
        type=order_type,
        status=read_status(order, "status", quantity, filled_quantity),
        quantity=quantity,
        filled_quantity=filled_quantity,
        average_price=_average_price(order, filled_quantity),
        price=order.decimal("price"),
        stop_price=order.decimal("stopPrice") if "stopPrice" in order else _ZERO,
        time_in_force=order.word("timeInForce", TimeInForce, TIMES_IN_FORCE),
        reduce_only=order.truth("reduceOnly"),
        close_position=_claimed(order, "closePosition"),
        working_type=read_working_type(order, "workingType"),
        price_protect=_claimed(order, "priceProtect"),
        original_type=order.word("origType", OrderType, ORDER_TYPES) if "origType" in order else order_type,
        event_at=order.integer("updateTime"),
    )


def _average_price(order: Fields, filled_quantity: Decimal) -> Decimal:
    """Cancel Order tells no ``avgPrice``: what was filled and what it cost tell it too."""
    told = order.decimal("avgPrice") if "avgPrice" in order else _ZERO
    if told or not filled_quantity:
        return told
    return order.decimal("cumQuote") / filled_quantity


def read_working_type(order: Fields, key: str) -> WorkingType:
    """CONTRACT_PRICE is the documented default (New Order)."""
    return order.word(key, WorkingType) if key in order else WorkingType.CONTRACT_PRICE


def read_status(order: Fields, key: str, quantity: Decimal, filled_quantity: Decimal) -> OrderStatus:
    if order.text(key) in LIQUIDATION_STATUSES:
        if filled_quantity >= quantity:
            return OrderStatus.FILLED
        return OrderStatus.PARTIALLY_FILLED if filled_quantity else OrderStatus.NEW
    status = order.word(key, OrderStatus)
    if status in UNTOLD_STATUSES:
        raise ProtocolError(f"the exchange cannot know {status}", order.text(key))
    return status


def render_order(order: OrderUpdate, created_at: int | None = None) -> Body:
    """An order as every REST answer shows it: the union of their documented fields."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": render_status(order.status),
        "clientOrderId": order.client_order_id,
        "price": number(order.price),
        "avgPrice": number(order.average_price),
        "origQty": number(order.quantity),
        "executedQty": number(order.filled_quantity),
        "cumQty": number(order.filled_quantity),
        "cumQuote": number(order.filled_quantity * order.average_price),
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": number(order.stop_price),
        "workingType": order.working_type.value,
        "priceProtect": order.price_protect,
        "origType": order.original_type.value,
        "time": order.event_at if created_at is None else created_at,
        "updateTime": order.event_at,
    }


def render_status(status: OrderStatus) -> str:
    if status in UNTOLD_STATUSES:
        raise InvariantError(f"an exchange does not say {status}")
    return status.value


def parse_fill(payload: object, client_order_id: str = "") -> Fill:
    """One trade of Account Trade List, which names the order by its number only.

    The document's sample shows a paid commission negative, Binance's positive: what was paid is its absolute value.
    """
    trade = Fields(payload)
    return Fill(
        symbol=trade.text("symbol"),
        trade_id=trade.integer("id"),
        order_id=trade.integer("orderId"),
        client_order_id=client_order_id,
        side=trade.word("side", Side),
        position_side=trade.word("positionSide", PositionSide),
        quantity=trade.decimal("qty"),
        price=trade.decimal("price"),
        realized_pnl=trade.decimal("realizedPnl"),
        commission=abs(trade.decimal("commission")),
        commission_asset=trade.text("commissionAsset"),
        is_maker=trade.truth("maker"),
        traded_at=trade.integer("time"),
    )


def render_fill(fill: Fill) -> Body:
    return {
        "buyer": fill.side is Side.BUY,
        "commission": number(-fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "maker": fill.is_maker,
        "orderId": fill.order_id,
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "quoteQty": number(fill.quantity * fill.price),
        "realizedPnl": number(fill.realized_pnl),
        "side": fill.side.value,
        "positionSide": fill.position_side.value,
        "symbol": fill.symbol,
        "time": fill.traded_at,
    }
