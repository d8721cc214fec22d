"""Leaving a position: market first, a limit at the collar where the market is refused, never past flat (I12)."""

import logging
from decimal import Decimal

from src.core.books import Holding
from src.core.desk import Desk
from src.core.protection import WOULD_TRIGGER_CODES, close_request, collar_price
from src.domain.enums import OrderRole
from src.domain.messages import OrderRefused
from src.domain.orders import Order

log = logging.getLogger("hunter.protection")

_LADDER = 5
_STOP_REFUSALS = 2
_PAUSE_MS = 1_000
_PAUSE_AFTER_LADDER_MS = 30_000


class ClosingDesk:
    """Sends closing orders one after the other until a slot is flat; its stop stays all the while."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def demand(self, holding: Holding, reason: str) -> None:
        """The position must go; what it takes is tried at every turn until it is flat."""
        if holding.close_reason is None and holding.position.is_open:
            holding.close_reason = reason
            log.warning("closing %s %s: %s", *holding.slot, reason)
            self._desk.tell("protection", {"state": "closing", "reason": reason}, holding.position.symbol)

    def work(self, holding: Holding) -> None:
        """The next step toward flat, where one is due."""
        if holding.close_reason is not None and self.reduce(holding, abs(holding.position.quantity)):
            refusals = holding.refusals.get(OrderRole.CLOSE, 0)
            pause = _PAUSE_MS if refusals < _LADDER else _PAUSE_AFTER_LADDER_MS
            holding.next_close_at = self._desk.clock.monotonic_ms() + pause

    def reduce(self, holding: Holding, quantity: Decimal) -> bool:
        """Send one closing order, unless one is under way; False where none was sent."""
        if holding.entry is None or self._is_under_way(holding):
            return False
        position, symbol = holding.position, holding.position.symbol
        refusals = holding.refusals.get(OrderRole.CLOSE, 0)
        mark, instrument = self._desk.mark_price(symbol), self._desk.instruments[symbol]
        by_limit = refusals % 2 == 1 and mark is not None
        collar = collar_price(position.side.opposite, mark, instrument) if by_limit and mark is not None else None
        name = self._desk.next_id(holding.entry, OrderRole.CLOSE)
        request = close_request(name, position, min(quantity, abs(position.quantity)), instrument, collar)
        if request is None:
            self._desk.alert(f"what is left of {symbol} is too small to close by an order", symbol)
            holding.next_close_at = self._desk.clock.monotonic_ms() + _PAUSE_AFTER_LADDER_MS
            return False
        self._desk.place(request, OrderRole.CLOSE, holding.entry)
        return True

    def on_refused(self, holding: Holding, order: Order, event: OrderRefused) -> None:
        """A protective or closing order was refused: corrected twice at most, then the position is closed (I11)."""
        if event.code in WOULD_TRIGGER_CODES and order.role is not OrderRole.CLOSE:
            self.demand(holding, f"the price is past its {order.role} already")
        elif event.code is not None:
            count = holding.refusals[order.role] = holding.refusals.get(order.role, 0) + 1
            self._desk.alert(f"{order.role} of {order.symbol} was refused: {order.reason}", order.symbol)
            if order.role is OrderRole.STOP_LOSS and count > _STOP_REFUSALS:
                self.demand(holding, "no stop loss could be placed")

    def _is_under_way(self, holding: Holding) -> bool:
        if self._desk.clock.monotonic_ms() < holding.next_close_at:
            return True
        return any(order.role is OrderRole.CLOSE for order in self._desk.books.orders_in(holding.slot))
