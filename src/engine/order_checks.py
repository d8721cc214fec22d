"""Checks of a new order: parameters, filters, open order limits, position, trigger price and margin."""

import re
from collections.abc import Sequence
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.domain.instrument import Instrument
from src.domain.margin import max_notional
from src.domain.numbers import ZERO
from src.domain.orders import OrderRequest
from src.engine.equity import (
    OrderExposure,
    available_margin,
    current_and_max_exposure,
    order_exposure,
    order_margin,
    resting_exposures,
)
from src.engine.matching import Match, is_stop_price_reached
from src.engine.orders import EngineOrder, only_reduces
from src.engine.state import EngineState

_CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_LIMIT_TYPES = frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT})
_CLOSE_POSITION_TYPES = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
_CLOSING_SIDES = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}


def check_request(state: EngineState, request: OrderRequest) -> None:
    """Run all checks that need no matching, in the exchange's order. Raises ``Rejected`` with the documented code."""
    instrument = state.instrument(request.symbol)
    check_parameters(request)
    check_position_mode(request, hedge_mode=state.account.hedge_mode)
    if not instrument.is_trading and not only_reduces(request):
        raise Rejected(-4140, f"{request.symbol} is {instrument.status}: positions cannot be opened")
    check_filters(request, instrument, state.mark_price(request.symbol))
    _check_open_order_limits(state, request)


def _check_open_order_limits(state: EngineState, request: OrderRequest) -> None:
    """Check MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS and that the client order id is unique among open orders."""
    instrument, orders = state.instrument(request.symbol), state.orders.open_for(request.symbol)
    if state.orders.has_open_client_id(request.symbol, request.client_order_id):
        raise Rejected(-4116, f"client order id {request.client_order_id} is used by an open order")
    if len(orders) >= instrument.max_orders:
        raise Rejected(-2025, f"{request.symbol} already has {len(orders)} open orders")
    conditional = sum(order.type.is_conditional for order in orders)
    if request.type.is_conditional and conditional >= instrument.max_conditional_orders:
        raise Rejected(-4045, f"{request.symbol} already has {conditional} open conditional orders")


def check_position(state: EngineState, order: EngineOrder) -> None:
    """Check that an order that may only reduce has a position to reduce, in hedge mode at least of its size.

    closePosition orders need no position: they close what is open when they trigger. Conditional orders may be larger
    than the position, which may grow before they trigger.
    """
    if not order.only_reduces or order.request.close_position:
        return
    closable = state.closable_quantity(order)
    is_larger = state.account.hedge_mode and not order.type.is_conditional and order.quantity > closable
    if not closable or is_larger:
        raise Rejected(-2022, f"cannot close {order.quantity}: the position is {closable}")


def check_trigger(state: EngineState, order: EngineOrder) -> None:
    """Reject a conditional order that would trigger at once (-2021)."""
    if not order.type.is_conditional:
        return
    price = state.book(order.symbol).working_price(order.working_type)
    if price is not None and is_stop_price_reached(order.request, price):
        raise Rejected(-2021, f"the order would trigger at once: the price is {price}")


def check_margin(state: EngineState, order: EngineOrder, matches: Sequence[Match]) -> None:
    """Check the available margin for the added exposure, its fee and its immediate loss (-2019; -2027)."""
    if order.only_reduces or order.type.is_conditional:
        return
    price = matches[-1].price if matches and order.type is OrderType.MARKET else order.price
    added = order_exposure(order, price)
    extra_margin = order_margin(state, order.symbol, added) - order_margin(state, order.symbol)
    if extra_margin <= 0:
        return
    _check_bracket(state, order, added)
    loss = max(ZERO, (price - state.mark_price(order.symbol)) * order.side.sign) * order.remaining
    needed = extra_margin + loss + state.fees.commission(added.notional, is_maker=False)
    free = available_margin(state, state.instrument(order.symbol).quote_asset)
    if needed > free:
        raise Rejected(-2019, f"the order needs {needed:f} margin, {free:f} is available")


def _check_bracket(state: EngineState, order: EngineOrder, added: OrderExposure) -> None:
    leverage = state.account.config(order.symbol).leverage
    cap = max_notional(state.brackets(order.symbol), leverage)
    _, max_exposure = current_and_max_exposure(state, order.symbol, [*resting_exposures(state, order.symbol), added])
    if max_exposure > cap:
        raise Rejected(-2027, f"notional {max_exposure:f} exceeds the maximum {cap} at leverage {leverage}")


def check_parameters(request: OrderRequest) -> None:
    """Check which parameters are required and forbidden for the order type (New Order)."""
    if request.type is OrderType.TRAILING_STOP_MARKET:
        raise Rejected(-1116, "trailing stops are not supported")
    if request.client_order_id and not _CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise Rejected(-4015, "the client order id is longer than 36 characters or has an invalid one")
    if request.close_position:
        _check_close_position(request)
    else:
        _require(request.quantity, "quantity")
    _check_price_parameters(request)
    if request.type is OrderType.LIMIT:
        _require(request.time_in_force, "timeInForce")
    if request.type is OrderType.MARKET and request.time_in_force is not None:
        raise Rejected(-1114, "timeInForce must not be sent with MARKET")


def _check_price_parameters(request: OrderRequest) -> None:
    if request.type in _LIMIT_TYPES:
        _require(request.price, "price")
    else:
        _forbid(request.price, "price")
    if request.type.is_conditional:
        _require(request.stop_price, "stopPrice")
    else:
        _forbid(request.stop_price, "stopPrice")


def _check_close_position(request: OrderRequest) -> None:
    if request.type not in _CLOSE_POSITION_TYPES:
        raise Rejected(-4136, f"closePosition is not allowed with {request.type}")
    if request.quantity:
        raise Rejected(-4137, "quantity must not be sent with closePosition")
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


def check_position_mode(request: OrderRequest, *, hedge_mode: bool) -> None:
    """Check that the order's position side matches the account's position mode."""
    if (request.position_side is not PositionSide.BOTH) is not hedge_mode:
        raise Rejected(-4061, f"positionSide {request.position_side} does not match the position mode")
    if hedge_mode and request.reduce_only:
        raise Rejected(-4062, "reduceOnly must not be sent in hedge mode")


def check_filters(request: OrderRequest, instrument: Instrument, mark: Decimal) -> None:
    """Check PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE, MIN_NOTIONAL and PERCENT_PRICE."""
    if request.price is not None:
        _check_price(request.price, instrument, below=-4001, above=-4002)
    if request.stop_price is not None:
        _check_price(request.stop_price, instrument, below=-4006, above=-4007)
    if request.quantity is not None:
        _check_quantity(request.quantity, request.type in _LIMIT_TYPES, instrument)
        _check_notional(request, instrument, mark)
    if request.price is not None:
        _check_percent_price(request, request.price, instrument, mark)


def _check_price(price: Decimal, instrument: Instrument, *, below: int, above: int) -> None:
    """Check PRICE_FILTER; a limit or tick of 0 disables its rule."""
    if price <= 0:
        raise Rejected(below, f"price {price} is not positive")
    if _digits(price) > instrument.price_precision:
        raise Rejected(-1111, f"price {price} has more than {instrument.price_precision} decimal places")
    if price < instrument.min_price:
        raise Rejected(-4013, f"price {price} is less than {instrument.min_price}")
    if 0 < instrument.max_price < price:
        raise Rejected(above, f"price {price} is greater than {instrument.max_price}")
    if instrument.tick and (price - instrument.min_price) % instrument.tick:
        raise Rejected(-4014, f"price {price} is not a multiple of the tick size {instrument.tick}")


def _check_quantity(quantity: Decimal, is_limit: bool, instrument: Instrument) -> None:
    low, high, step = (
        (instrument.min_quantity, instrument.max_quantity, instrument.step)
        if is_limit
        else (instrument.market_min_quantity, instrument.market_max_quantity, instrument.market_step)
    )
    if quantity <= 0:
        raise Rejected(-4003, f"quantity {quantity} is not positive")
    if _digits(quantity) > instrument.quantity_precision:
        raise Rejected(-1111, f"quantity {quantity} has more than {instrument.quantity_precision} decimal places")
    if quantity < low:
        raise Rejected(-4004, f"quantity {quantity} is less than {low}")
    if quantity > high:
        raise Rejected(-4005, f"quantity {quantity} is greater than {high}")
    if (quantity - low) % step:
        raise Rejected(-4023, f"quantity {quantity} is not a multiple of the step size {step}")


def _check_notional(request: OrderRequest, instrument: Instrument, mark: Decimal) -> None:
    """Check MIN_NOTIONAL, at the mark price for orders without a price; orders that only reduce are exempt."""
    quantity = request.quantity or ZERO
    if not only_reduces(request) and quantity * (request.price or mark) < instrument.min_notional:
        raise Rejected(-4164, f"the order's notional is smaller than {instrument.min_notional}")


def _check_percent_price(request: OrderRequest, price: Decimal, instrument: Instrument, mark: Decimal) -> None:
    """Check that a limit price is near the mark price, or near the stop price if there is one (PERCENT_PRICE)."""
    anchor = request.stop_price or mark
    is_conditional = request.type.is_conditional
    if request.side is Side.BUY and price > anchor * instrument.multiplier_up:
        raise Rejected(-4183 if is_conditional else -4016, f"price {price} is too far above {anchor}")
    if request.side is Side.SELL and price < anchor * instrument.multiplier_down:
        raise Rejected(-4184 if is_conditional else -4024, f"price {price} is too far below {anchor}")


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
