"""The rules an order must pass before anything is known of the account (New Order; Filters)."""

import re
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.domain.instrument import Instrument
from src.domain.orders import OrderRequest
from src.engine.live_orders import only_reduces

_CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT})
_CLOSERS = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
_CLOSING_SIDES = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}


def check_form(request: OrderRequest) -> None:
    """What must be sent with which type, and what must not (New Order, parameters by type)."""
    if request.type is OrderType.TRAILING_STOP_MARKET:
        raise Rejected(-1116, "trailing stops are not traded here")
    if request.client_order_id and not _CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise Rejected(-4015, "the client order id has a forbidden character or more than 36")
    if request.close_position:
        _check_close_position(request)
    else:
        _require(request.quantity, "quantity")
    _check_prices(request)
    if request.type is OrderType.LIMIT:
        _require(request.time_in_force, "timeInForce")
    if request.type is OrderType.MARKET and request.time_in_force is not None:
        raise Rejected(-1114, "timeInForce must not be sent with MARKET")


def _check_prices(request: OrderRequest) -> None:
    if request.type in _LIMITED:
        _require(request.price, "price")
    else:
        _forbid(request.price, "price")
    if request.type.is_conditional:
        _require(request.stop_price, "stopPrice")
    else:
        _forbid(request.stop_price, "stopPrice")


def _check_close_position(request: OrderRequest) -> None:
    if request.type not in _CLOSERS:
        raise Rejected(-4136, f"closePosition does not go with {request.type}")
    if request.quantity:
        raise Rejected(-4137, "closePosition closes everything: quantity must not be sent")
    if request.reduce_only:
        raise Rejected(-1106, "reduceOnly must not be sent with closePosition")
    if request.side is not _CLOSING_SIDES.get(request.position_side, request.side):
        raise Rejected(-4136, f"{request.side} does not close the {request.position_side} position")


def _require(value: object, name: str) -> None:
    if value is None:
        raise Rejected(-1102, f"{name} must be sent")


def _forbid(value: object, name: str) -> None:
    if value is not None:
        raise Rejected(-1106, f"{name} must not be sent with this type")


def check_mode(request: OrderRequest, *, hedge_mode: bool) -> None:
    """The order's slot must exist in the account's position mode."""
    if (request.position_side is not PositionSide.BOTH) is not hedge_mode:
        raise Rejected(-4061, f"positionSide {request.position_side} does not match the position mode")
    if hedge_mode and request.reduce_only:
        raise Rejected(-4062, "reduceOnly must not be sent in hedge mode")


def check_filters(request: OrderRequest, instrument: Instrument, mark: Decimal) -> None:
    """PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE, MIN_NOTIONAL and PERCENT_PRICE."""
    if request.price is not None:
        _check_price(request.price, instrument, below=-4001, above=-4002)
    if request.stop_price is not None:
        _check_price(request.stop_price, instrument, below=-4006, above=-4007)
    if request.quantity is not None:
        _check_quantity(request.quantity, request.type in _LIMITED, instrument)
        _check_notional(request, instrument, mark)
    if request.price is not None:
        _check_band(request, request.price, instrument, mark)


def _check_price(price: Decimal, instrument: Instrument, *, below: int, above: int) -> None:
    """A bound or tick of 0 disables its rule (PRICE_FILTER)."""
    if price <= 0:
        raise Rejected(below, f"price {price} is not positive")
    if _digits(price) > instrument.price_precision:
        raise Rejected(-1111, f"price {price} has more than {instrument.price_precision} digits")
    if price < instrument.min_price:
        raise Rejected(-4013, f"price {price} is less than {instrument.min_price}")
    if 0 < instrument.max_price < price:
        raise Rejected(above, f"price {price} is greater than {instrument.max_price}")
    if instrument.tick and (price - instrument.min_price) % instrument.tick:
        raise Rejected(-4014, f"price {price} is not on the tick {instrument.tick}")


def _check_quantity(quantity: Decimal, is_limited: bool, instrument: Instrument) -> None:
    low, high, step = (
        (instrument.min_quantity, instrument.max_quantity, instrument.step)
        if is_limited
        else (instrument.market_min_quantity, instrument.market_max_quantity, instrument.market_step)
    )
    if quantity <= 0:
        raise Rejected(-4003, f"quantity {quantity} is not positive")
    if _digits(quantity) > instrument.quantity_precision:
        raise Rejected(-1111, f"quantity {quantity} has more than {instrument.quantity_precision} digits")
    if quantity < low:
        raise Rejected(-4004, f"quantity {quantity} is less than {low}")
    if quantity > high:
        raise Rejected(-4005, f"quantity {quantity} is greater than {high}")
    if (quantity - low) % step:
        raise Rejected(-4023, f"quantity {quantity} is not on the step {step}")


def _check_notional(request: OrderRequest, instrument: Instrument, mark: Decimal) -> None:
    """Orders that can only reduce are exempt; without a price, the mark counts (MIN_NOTIONAL)."""
    quantity = request.quantity or Decimal(0)
    if not only_reduces(request) and quantity * (request.price or mark) < instrument.min_notional:
        raise Rejected(-4164, f"the order's notional is smaller than {instrument.min_notional}")


def _check_band(request: OrderRequest, price: Decimal, instrument: Instrument, mark: Decimal) -> None:
    """A limit stays near the mark, the limit of a stop near its stop price (PERCENT_PRICE; -4183, -4184)."""
    anchor = request.stop_price or mark
    is_conditional = request.type.is_conditional
    if request.side is Side.BUY and price > anchor * instrument.multiplier_up:
        raise Rejected(-4183 if is_conditional else -4016, f"price {price} is too far above {anchor}")
    if request.side is Side.SELL and price < anchor * instrument.multiplier_down:
        raise Rejected(-4184 if is_conditional else -4024, f"price {price} is too far below {anchor}")


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
