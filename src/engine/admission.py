"""Whether an account may place an order: its position, its open orders and its margin."""

from collections.abc import Sequence
from decimal import Decimal

from src.domain.enums import OrderType
from src.domain.errors import Rejected
from src.domain.orders import OrderRequest
from src.engine.equity import Demand, available, demand, exposure, order_margin, resting_demands
from src.engine.filters import check_filters, check_form, check_mode
from src.engine.floor import Floor
from src.engine.live_orders import LiveOrder, only_reduces
from src.engine.margin import max_notional
from src.engine.matching import Part
from src.engine.triggers import is_reached

ZERO = Decimal(0)


def check_request(floor: Floor, request: OrderRequest) -> None:
    """Everything but margin, in the order the exchange would find it. Raises ``Rejected`` with the documented code."""
    instrument = floor.instrument(request.symbol)
    check_form(request)
    check_mode(request, hedge_mode=floor.account.hedge_mode)
    if not instrument.is_trading and not only_reduces(request):
        raise Rejected(-4140, f"{request.symbol} is {instrument.status}: nothing can be opened")
    check_filters(request, instrument, floor.mark_price(request.symbol))
    _check_room(floor, request)


def _check_room(floor: Floor, request: OrderRequest) -> None:
    """MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS, and ids that are unique among open orders."""
    instrument, orders = floor.instrument(request.symbol), floor.orders.open_in(request.symbol)
    if floor.orders.has_open_name(request.symbol, request.client_order_id):
        raise Rejected(-4116, f"the client order id {request.client_order_id} belongs to an open order")
    if len(orders) >= instrument.max_orders:
        raise Rejected(-2025, f"{len(orders)} orders of {request.symbol} are open")
    waiting = sum(order.type.is_conditional for order in orders)
    if request.type.is_conditional and waiting >= instrument.max_conditional_orders:
        raise Rejected(-4045, f"{waiting} conditional orders of {request.symbol} are open")


def check_position(floor: Floor, order: LiveOrder) -> None:
    """An order that may only reduce needs a position, and in hedge mode one of its size.

    A closePosition order needs neither (the document asks for none): it closes what is there when it fires. A
    conditional one may be larger: the position may grow before it fires.
    """
    if not order.only_reduces or order.request.close_position:
        return
    closable = floor.closable(order)
    is_larger = floor.account.hedge_mode and not order.type.is_conditional and order.quantity > closable
    if not closable or is_larger:
        raise Rejected(-2022, f"{order.quantity} cannot be closed: there is {closable}")


def check_trigger(floor: Floor, order: LiveOrder) -> None:
    """A conditional order whose price is already reached is refused (-2021)."""
    if not order.type.is_conditional:
        return
    price = floor.book(order.symbol).working_price(order.working_type)
    if price is not None and is_reached(order.request, price):
        raise Rejected(-2021, f"the order would trigger at once: the price is {price}")


def check_margin(floor: Floor, order: LiveOrder, parts: Sequence[Part]) -> None:
    """Enough free margin for what the order adds, its fee, and what it would lose at once (-2019; -2027)."""
    if order.only_reduces or order.type.is_conditional:
        return
    price = parts[-1].price if parts and order.type is OrderType.MARKET else order.price
    wanted = demand(order, price)
    further = order_margin(floor, order.symbol, wanted) - order_margin(floor, order.symbol)
    if further <= 0:
        return
    _check_bracket(floor, order, wanted)
    loss = max(ZERO, (price - floor.mark_price(order.symbol)) * order.side.sign) * order.remaining
    needed = further + loss + floor.costs.commission(wanted.value, is_maker=False)
    free = available(floor, floor.instrument(order.symbol).quote_asset)
    if needed > free:
        raise Rejected(-2019, f"the order needs {needed:f} of margin and {free:f} is free")


def _check_bracket(floor: Floor, order: LiveOrder, wanted: Demand) -> None:
    leverage = floor.account.terms(order.symbol).leverage
    cap = max_notional(floor.brackets(order.symbol), leverage)
    _, reach = exposure(floor, order.symbol, [*resting_demands(floor, order.symbol), wanted])
    if reach > cap:
        raise Rejected(-2027, f"at leverage {leverage} a position may be worth {cap} and could become {reach:f}")
