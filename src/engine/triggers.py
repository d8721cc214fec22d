"""When a conditional order fires (New Order, condition orders)."""

from decimal import Decimal

from src.domain.enums import Side
from src.domain.orders import OrderRequest
from src.engine.live_orders import LiveOrder
from src.engine.matching import Book


def is_reached(request: OrderRequest, price: Decimal) -> bool:
    """STOP BUY at ≥ stop, STOP SELL at ≤; take profits the other way."""
    stop = request.stop_price or Decimal(0)
    waits_for_rise = (request.side is Side.BUY) is not request.type.is_take_profit
    return price >= stop if waits_for_rise else price <= stop


def fires(order: LiveOrder, book: Book) -> bool:
    """Reached, and not withheld by price protection."""
    price = book.working_price(order.working_type)
    if price is None or not is_reached(order.request, price):
        return False
    return not (order.request.price_protect and _is_torn(book))


def _is_torn(book: Book) -> bool:
    """Mark and contract price differ by more than the symbol's ``triggerProtect``."""
    mark, contract = book.mark_price, book.contract_price
    if mark is None or contract is None:
        return True
    return abs(mark - contract) > mark * book.instrument.trigger_protect
