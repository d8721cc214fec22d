"""A resting limit order takes another price and quantity under its number (V3, Modify Order).

It is judged as a new order would be, in place of the old one, and goes to the end of the queue. The document names no
codes for what cannot be modified: those of a new order of that kind are taken.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderType
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.engine.admission import check_margin, check_position
from src.engine.execution import Executor
from src.engine.filters import check_filters
from src.engine.floor import Floor
from src.engine.live_orders import LiveOrder


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is asked for in place of what was; on its grid or not."""

    price: Price
    quantity: Quantity


def amend(floor: Floor, executor: Executor, order: LiveOrder, wish: Amendment, at: int) -> None:
    """``Rejected`` leaves the order as it was."""
    _check_amendable(order, wish.quantity)
    request = replace(order.request, price=wish.price, quantity=wish.quantity)
    changed = replace(order, request=request, quantity=wish.quantity, event_at=at)
    check_filters(request, floor.instrument(order.symbol), floor.mark_price(order.symbol))
    with floor.orders.without(order):
        check_position(floor, changed)
        parts = executor.plan(changed)
        check_margin(floor, changed, parts)
    floor.orders.add(changed)
    floor.events.append(changed.told())
    executor.enter(changed, parts, at)


def _check_amendable(order: LiveOrder, quantity: Decimal) -> None:
    if not order.is_open:
        raise Rejected(-2013, f"the order is {order.status}")
    if order.request.type is not OrderType.LIMIT:
        raise Rejected(-1116, "only LIMIT orders can be modified")
    if quantity <= order.filled_quantity:
        raise Rejected(-4003, f"{order.filled_quantity} of the order is filled already")
