"""Parsing of lists and events in which single items may have unrecognized values (I30).

Such an item is returned separately, with the fields that could be read.
"""

from collections.abc import Mapping
from decimal import Decimal

from src.domain.errors import ProtocolError
from src.domain.orders import OrderUpdate, UnrecognizedOrder, UnrecognizedPosition
from src.domain.positions import PositionReport
from src.exchange.wire.account import parse_position
from src.exchange.wire.fields import Fields, read_list
from src.exchange.wire.orders import parse_order, parse_order_event

_MAX_SHOWN = 80
"""Longest text of an unrecognized value that is kept for display."""
_REST_KEYS = {
    "symbol": "symbol",
    "client_order_id": "clientOrderId",
    "order_id": "orderId",
    "side": "side",
    "position_side": "positionSide",
    "type": "type",
    "status": "status",
    "quantity": "origQty",
    "price": "price",
    "stop_price": "stopPrice",
}
_STREAM_KEYS = {
    "symbol": "s",
    "client_order_id": "c",
    "order_id": "i",
    "side": "S",
    "position_side": "ps",
    "type": "o",
    "status": "X",
    "quantity": "q",
    "price": "p",
    "stop_price": "sp",
}


def read_orders(payload: object) -> tuple[tuple[OrderUpdate, ...], tuple[UnrecognizedOrder, ...]]:
    """Return the parsed and the unrecognized orders of a list.

    Raises ``ProtocolError`` if an order has no symbol or id: an order absent from the list counts as missing (I16).
    """
    orders = [read_order(each) for each in read_list(payload)]
    understood = tuple(each for each in orders if isinstance(each, OrderUpdate))
    return understood, tuple(each for each in orders if isinstance(each, UnrecognizedOrder))


def read_order(payload: object) -> OrderUpdate | UnrecognizedOrder:
    """Parse an order; if a value is unrecognized, return at least which order it is."""
    try:
        return parse_order(payload)
    except ProtocolError as error:
        return _unrecognized_order(Fields(payload), _REST_KEYS, error)


def read_order_event(event: Fields) -> OrderUpdate | UnrecognizedOrder:
    """Parse ORDER_TRADE_UPDATE; if a value is unrecognized, return at least which order it is about."""
    try:
        return parse_order_event(event)
    except ProtocolError as error:
        return _unrecognized_order(event.child("o"), _STREAM_KEYS, error)


def _unrecognized_order(order: Fields, keys: Mapping[str, str], error: ProtocolError) -> UnrecognizedOrder:
    return UnrecognizedOrder(
        symbol=order.text(keys["symbol"]),
        client_order_id=order.text(keys["client_order_id"]),
        order_id=order.integer(keys["order_id"]),
        problem=str(error)[:_MAX_SHOWN],
        side=_optional_text(order, keys["side"]),
        position_side=_optional_text(order, keys["position_side"]),
        type=_optional_text(order, keys["type"]),
        status=_optional_text(order, keys["status"]),
        quantity=_optional_decimal(order, keys["quantity"]),
        price=_optional_decimal(order, keys["price"]),
        stop_price=_optional_decimal(order, keys["stop_price"]),
    )


def _optional_text(order: Fields, key: str) -> str:
    try:
        return order.text(key)[:_MAX_SHOWN]
    except ProtocolError:
        return ""


def _optional_decimal(order: Fields, key: str) -> Decimal | None:
    try:
        return order.decimal(key)
    except ProtocolError:
        return None


def read_positions(payload: object) -> tuple[tuple[PositionReport, ...], tuple[UnrecognizedPosition, ...]]:
    """Return the parsed and the unrecognized positions of a list; raise ``ProtocolError`` if one has no symbol."""
    positions = [_read_position(each) for each in read_list(payload)]
    understood = tuple(each for each in positions if isinstance(each, PositionReport))
    return understood, tuple(each for each in positions if isinstance(each, UnrecognizedPosition))


def _read_position(payload: object) -> PositionReport | UnrecognizedPosition:
    try:
        return parse_position(payload)
    except ProtocolError as error:
        position = Fields(payload)
        is_flat = _optional_decimal(position, "positionAmt") == 0
        return UnrecognizedPosition(position.name("symbol"), str(error)[:_MAX_SHOWN], is_flat)
