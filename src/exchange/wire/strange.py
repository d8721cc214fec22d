"""Lists and events of which one item may say what we do not know: it is kept beside the others, by its names (I30)."""

from collections.abc import Mapping
from decimal import Decimal

from src.domain.errors import ProtocolError
from src.domain.orders import OrderUpdate
from src.domain.positions import PositionReport
from src.domain.strange import StrangeOrder, StrangePosition
from src.exchange.wire.account import parse_position
from src.exchange.wire.fields import Fields, read_list
from src.exchange.wire.order_events import parse_order_event
from src.exchange.wire.orders import parse_order

_SHOWN = 80
"""Characters of what was written that a person is shown."""
_REST = {
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
_STREAM = {
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


def read_orders(payload: object) -> tuple[tuple[OrderUpdate, ...], tuple[StrangeOrder, ...]]:
    """The orders of a list, and those of them that are not understood. One without its names spoils the list: it may
    be any order, and what is not in a list counts as missing there (I16)."""
    orders = [_read_order(each) for each in read_list(payload)]
    understood = tuple(each for each in orders if isinstance(each, OrderUpdate))
    return understood, tuple(each for each in orders if isinstance(each, StrangeOrder))


def _read_order(payload: object) -> OrderUpdate | StrangeOrder:
    try:
        return parse_order(payload)
    except ProtocolError as error:
        return _strange(Fields(payload), _REST, error)


def read_order_event(event: Fields) -> OrderUpdate | StrangeOrder:
    """ORDER_TRADE_UPDATE; of one that is not understood at least which order it is about."""
    try:
        return parse_order_event(event)
    except ProtocolError as error:
        return _strange(event.part("o"), _STREAM, error)


def _strange(order: Fields, names: Mapping[str, str], error: ProtocolError) -> StrangeOrder:
    return StrangeOrder(
        symbol=order.text(names["symbol"]),
        client_order_id=order.text(names["client_order_id"]),
        order_id=order.integer(names["order_id"]),
        fault=str(error)[:_SHOWN],
        side=_word(order, names["side"]),
        position_side=_word(order, names["position_side"]),
        type=_word(order, names["type"]),
        status=_word(order, names["status"]),
        quantity=_number(order, names["quantity"]),
        price=_number(order, names["price"]),
        stop_price=_number(order, names["stop_price"]),
    )


def _word(order: Fields, key: str) -> str:
    try:
        return order.text(key)[:_SHOWN]
    except ProtocolError:
        return ""


def _number(order: Fields, key: str) -> Decimal | None:
    try:
        return order.decimal(key)
    except ProtocolError:
        return None


def read_positions(payload: object) -> tuple[tuple[PositionReport, ...], tuple[StrangePosition, ...]]:
    """The slots of a list, and those of them that are not understood; one that names no symbol spoils the list."""
    slots = [_read_position(each) for each in read_list(payload)]
    understood = tuple(each for each in slots if isinstance(each, PositionReport))
    return understood, tuple(each for each in slots if isinstance(each, StrangePosition))


def _read_position(payload: object) -> PositionReport | StrangePosition:
    try:
        return parse_position(payload)
    except ProtocolError as error:
        position = Fields(payload)
        is_flat = _number(position, "positionAmt") == 0
        return StrangePosition(position.text("symbol"), str(error)[:_SHOWN], is_flat)
