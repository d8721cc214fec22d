"""Parameters of New Order: what each type requires and forbids, with the documented error codes."""

import re
from collections.abc import Iterable
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest
from src.exchange.wire import ErrorBody
from src.sandbox.rest.parameters import MANDATORY, Parameters, rejected

NEW_ORDER_PARAMETERS = (
    "symbol",
    "side",
    "positionSide",
    "type",
    "timeInForce",
    "quantity",
    "reduceOnly",
    "price",
    "newClientOrderId",
    "stopPrice",
    "closePosition",
    "activationPrice",
    "callbackRate",
    "workingType",
    "priceProtect",
    "newOrderRespType",
)
_CLIENT_ID = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
_RESPONSE_TYPES = ("ACK", "RESULT")
_BAD_SYMBOL = ErrorBody(-1121, "Invalid symbol.")
_BAD_SIDE = ErrorBody(-1117, "Invalid side.")
_BAD_TYPE = ErrorBody(-1116, "Invalid orderType.")
_BAD_TIME_IN_FORCE = ErrorBody(-1115, "Invalid timeInForce.")
_BAD_POSITION_SIDE = ErrorBody(-4060, "Invalid position side.")
_BAD_WORKING_TYPE = ErrorBody(-4031, "Invalid parameter working type.")
_QUANTITY_BESIDE_CLOSE = ErrorBody(-4137, "Quantity must be zero with closePosition equals true")
_UNSUPPORTED = ErrorBody(-1020, "This operation is not supported.")

_T = OrderType
_REQUIRED: dict[OrderType, tuple[str, ...]] = {
    _T.LIMIT: ("timeInForce", "quantity", "price"),
    _T.MARKET: ("quantity",),
    _T.STOP: ("quantity", "price", "stopPrice"),
    _T.TAKE_PROFIT: ("quantity", "price", "stopPrice"),
    _T.STOP_MARKET: ("stopPrice",),
    _T.TAKE_PROFIT_MARKET: ("stopPrice",),
    _T.TRAILING_STOP_MARKET: ("callbackRate",),
}
"""Additional mandatory parameters by type."""
_NOT_ALLOWED: dict[OrderType, tuple[str, ...]] = {
    _T.LIMIT: ("stopPrice", "activationPrice", "callbackRate"),
    _T.MARKET: ("price", "timeInForce", "stopPrice", "activationPrice", "callbackRate"),
    _T.STOP: ("activationPrice", "callbackRate"),
    _T.TAKE_PROFIT: ("activationPrice", "callbackRate"),
    _T.STOP_MARKET: ("price", "activationPrice", "callbackRate"),
    _T.TAKE_PROFIT_MARKET: ("price", "activationPrice", "callbackRate"),
    _T.TRAILING_STOP_MARKET: ("price", "stopPrice"),
}
_CLOSE_POSITION_TYPES = (_T.STOP_MARKET, _T.TAKE_PROFIT_MARKET)


def read_new_order(parameters: Parameters, symbols: Iterable[str], hedge_mode: bool) -> OrderRequest:
    """Read a new order; the client order id is empty if none was sent. Raises Rejected with the documented code."""
    symbol = read_symbol(parameters, symbols)
    side = parameters.enum("side", Side, _BAD_SIDE)
    order_type = parameters.enum("type", OrderType, _BAD_TYPE)
    if order_type is OrderType.TRAILING_STOP_MARKET:
        raise rejected(_UNSUPPORTED)  # the engine has no trailing stops: an accepted one would never trigger
    closing = parameters.optional_boolean("closePosition")
    _check_combination(parameters, order_type, closing, hedge_mode)
    return OrderRequest(
        client_order_id=_client_id(parameters),
        symbol=symbol,
        side=side,
        position_side=read_position_side(parameters),
        type=order_type,
        quantity=None if closing else Quantity(parameters.decimal("quantity")),
        price=_price(parameters.optional_decimal("price")),
        stop_price=_price(parameters.optional_decimal("stopPrice")),
        time_in_force=parameters.optional_enum("timeInForce", _time_in_force, _BAD_TIME_IN_FORCE),
        reduce_only=parameters.optional_boolean("reduceOnly"),
        close_position=closing,
        working_type=parameters.optional_enum("workingType", WorkingType, _BAD_WORKING_TYPE),
        price_protect=parameters.optional_boolean("priceProtect"),
    )


def read_symbol(parameters: Parameters, symbols: Iterable[str], name: str = "symbol") -> str:
    symbol = parameters.text(name)
    if symbol not in symbols:
        raise rejected(_BAD_SYMBOL)
    return symbol


def read_optional_symbol(parameters: Parameters, symbols: Iterable[str]) -> str | None:
    return read_symbol(parameters, symbols) if parameters.optional("symbol") is not None else None


def read_position_side(parameters: Parameters) -> PositionSide:
    """Read the position side; BOTH if it is missing."""
    return parameters.optional_enum("positionSide", PositionSide, _BAD_POSITION_SIDE) or PositionSide.BOTH


def is_result_requested(parameters: Parameters) -> bool:
    """Return whether the response should have the final state (newOrderRespType RESULT)."""
    response_type = parameters.optional("newOrderRespType")
    if response_type not in (None, *_RESPONSE_TYPES):
        raise Rejected(-1136, "Invalid newOrderRespType.")
    return response_type == "RESULT"


def _check_combination(parameters: Parameters, order_type: OrderType, closing: bool, hedge_mode: bool) -> None:
    for name in _NOT_ALLOWED[order_type]:
        parameters.forbid(name)
    if hedge_mode:
        parameters.forbid("reduceOnly")
    if closing:
        _check_closing(parameters, order_type)
    required = (
        _REQUIRED[order_type]
        if closing or order_type not in _CLOSE_POSITION_TYPES
        else ("quantity", *_REQUIRED[order_type])
    )
    for name in required:
        parameters.text(name)


def _check_closing(parameters: Parameters, order_type: OrderType) -> None:
    """closePosition is for STOP_MARKET and TAKE_PROFIT_MARKET, without quantity and reduceOnly (New Order)."""
    if order_type not in _CLOSE_POSITION_TYPES:
        parameters.forbid("closePosition")
    if "quantity" in parameters:
        raise rejected(_QUANTITY_BESIDE_CLOSE)
    parameters.forbid("reduceOnly")


def _client_id(parameters: Parameters) -> str:
    if "newClientOrderId" not in parameters:
        return ""
    text = parameters.optional("newClientOrderId") or ""
    if not _CLIENT_ID.match(text):
        raise Rejected(-4015, "Client order id is not valid.")
    return text


def _price(value: Decimal | None) -> Price | None:
    return None if value is None else Price(value)


def _time_in_force(text: str) -> TimeInForce:
    """Treat HIDDEN like GTC: there are no other traders who could see the order."""
    return TimeInForce.GTC if text == "HIDDEN" else TimeInForce(text)


def read_order_ids(parameters: Parameters) -> tuple[int | None, str | None]:
    """Read order id and client order id. Raises Rejected -1102 if neither was sent."""
    order_id, client_id = parameters.optional_integer("orderId"), parameters.optional("origClientOrderId")
    if order_id is None and client_id is None:
        reason = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise Rejected(MANDATORY, reason)
    return order_id, client_id
