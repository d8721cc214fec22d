"""Change of price and quantity of an open limit order (V3, Modify Order).

The modified order is checked like a new one in place of the old one and goes to the end of the queue. Aster documents
no error codes for orders that cannot be modified; those of a new order are used.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderType
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.engine.execution import Executor
from src.engine.order_checks import check_filters, check_margin, check_position
from src.engine.orders import EngineOrder
from src.engine.state import EngineState


@dataclass(frozen=True, slots=True)
class Modification:
    """The requested price and quantity, not yet checked against the filters."""

    price: Price
    quantity: Quantity


def modify(state: EngineState, executor: Executor, order: EngineOrder, modification: Modification, at: int) -> None:
    """Modify the order; if it raises ``Rejected``, the order is unchanged."""
    _check_modifiable(order, modification.quantity)
    request = replace(order.request, price=modification.price, quantity=modification.quantity)
    changed = replace(order, request=request, quantity=modification.quantity, event_at=at)
    check_filters(request, state.instrument(order.symbol), state.mark_price(order.symbol))
    with state.orders.without(order):
        check_position(state, changed)
        matches = executor.plan(changed)
        check_margin(state, changed, matches)
    state.orders.add(changed)
    state.events.append(changed.to_update())
    executor.enter(changed, matches, at)


def _check_modifiable(order: EngineOrder, quantity: Decimal) -> None:
    if not order.is_open:
        raise Rejected(-2013, f"the order is {order.status}")
    if order.request.type is not OrderType.LIMIT:
        raise Rejected(-1116, "only LIMIT orders can be modified")
    if quantity <= order.filled_quantity:
        raise Rejected(-4003, f"{order.filled_quantity} of the order is already filled")
