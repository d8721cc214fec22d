"""Leaving a position: market first, a limit at the collar where the market is refused, never past flat (I12)."""

import logging
from decimal import Decimal

from src.core.books import Holding
from src.core.desks.close_wishes import remember_wishes
from src.core.desks.desk import Desk
from src.core.desks.news import conclude_flat
from src.core.desks.unsettled import note_end
from src.core.order_cleanup import orphans
from src.core.plans.protection import (
    ONE_CLOSING_STOP_CODE,
    WOULD_TRIGGER_CODES,
    close_request,
    collar_price,
    is_confirmed,
)
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.messages import OrderRefused
from src.domain.orders import Order

log = logging.getLogger("hunter.protection")

_LADDER = 5
_STOP_REFUSALS = 2
_FIRED_MS = 5_000
_BARE_MS = 5_000
_SIZED_MS = 10_000
_PAUSE_MS = 1_000
_PAUSE_AFTER_LADDER_MS = 30_000
_QUESTIONED_MS = 3_000
"""So long nothing is placed behind a position whose trades are being read: it may be a stranger's."""
_LATE_FILL_MS = 500
_MISSING_FILL_MS = 15_000


class ClosingDesk:
    """Sends closing orders one after the other until a slot is flat; its stop stays all the while."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def demand(self, holding: Holding, reason: str) -> None:
        """The position must go; what it takes is tried at every turn until it is flat."""
        if holding.close_reason is None and holding.position.is_open:
            holding.close_reason = reason
            remember_wishes(self._desk)
            log.warning("closing %s %s: %s", *holding.slot, reason)
            self._desk.tell("protection", {"state": "closing", "reason": reason}, holding.position.symbol)

    def work(self, holding: Holding) -> None:
        """The next step toward flat, where one is due."""
        self._heed_fired(holding)
        if holding.close_reason is None or not holding.position.is_open:
            return
        if self.reduce(holding, abs(holding.position.quantity)):
            is_exhausted = holding.refusals.get(OrderRole.CLOSE, 0) >= _LADDER
            pause = _PAUSE_AFTER_LADDER_MS if is_exhausted else _PAUSE_MS
            holding.next_close_at = self._desk.clock.monotonic_ms() + pause
            if is_exhausted and not holding.is_alarmed:
                self._sound_alarm(holding)

    def _heed_fired(self, holding: Holding) -> None:
        """A stop that fired and has not closed the position within five seconds, or has ended, does not protect."""
        if not holding.fired_at or not holding.position.is_open or holding.close_reason is not None:
            return
        if holding.is_stop_spent or self._desk.clock.monotonic_ms() - holding.fired_at >= _FIRED_MS:
            self._desk.alert(f"the stop loss of {holding.position.symbol} fired and left a part: it is being closed")
            self.demand(holding, "its stop loss fired and did not close it")

    def _sound_alarm(self, holding: Holding) -> None:
        """The ladder is at its end; it is climbed again every half minute, and the stop stays (I12)."""
        holding.is_alarmed = True
        symbol = holding.position.symbol
        rests = "its stop loss rests" if self._is_stopped(holding) else "it has no stop loss"
        self._desk.alarm(
            f"{symbol} cannot be closed: {_LADDER} orders in a row were refused or expired, and {rests}. "
            "Close it on the exchange's site; the bot goes on trying",
            symbol,
        )

    def reduce(self, holding: Holding, quantity: Decimal) -> bool:
        """Send one closing order, unless one is under way; False where none was sent."""
        if holding.entry is None or self._is_under_way(holding):
            return False
        position, symbol = holding.position, holding.position.symbol
        refusals = holding.refusals.get(OrderRole.CLOSE, 0)
        mark, instrument = self._desk.mark_price(symbol), self._desk.instruments.get(symbol)
        if instrument is None:
            return self._wait(holding, f"{symbol} must be closed by hand: the exchange does not list it any more")
        by_limit = refusals % 2 == 1 and mark is not None
        collar = collar_price(position.side.opposite, mark, instrument) if by_limit and mark is not None else None
        name = self._desk.next_id(holding.entry, OrderRole.CLOSE)
        request = close_request(name, position, min(quantity, abs(position.quantity)), instrument, collar)
        if request is None and quantity < abs(position.quantity):
            return False  # a share too small is no reason to close nothing for a while
        if request is None:
            return self._wait(holding, f"what is left of {symbol} is too small to close by an order")
        self._desk.place(request, OrderRole.CLOSE, holding.entry)
        return True

    def on_refused(self, holding: Holding, order: Order, event: OrderRefused) -> None:
        """A protective or closing order was refused: corrected twice at most, then the position is closed (I11)."""
        if not event.judges_order:
            return  # the audit tries again: a close would be refused as this was
        if event.code == ONE_CLOSING_STOP_CODE and order.request.close_position:
            # The one that stands keeps its place until an order of the position's size stands beside it (I10).
            holding.sized_until[order.role] = self._desk.clock.monotonic_ms() + _SIZED_MS
            return
        count = holding.refusals[order.role] = holding.refusals.get(order.role, 0) + 1
        self._desk.alert(f"{order.role} of {order.symbol} was refused: {order.reason}", order.symbol)
        if event.code in WOULD_TRIGGER_CODES and order.role is not OrderRole.CLOSE:
            self.demand(holding, f"the price is past its {order.role} already")
        elif order.role is OrderRole.STOP_LOSS and count > _STOP_REFUSALS and not self._is_stopped(holding):
            self.demand(holding, "no stop loss could be placed")
        if order.role is OrderRole.STOP_LOSS and (holding.close_reason is not None or count > _STOP_REFUSALS):
            holding.next_stop_at = self._desk.clock.monotonic_ms() + _PAUSE_AFTER_LADDER_MS

    def heed_bare(self, holding: Holding, *, is_bare: bool) -> None:
        """Five seconds without a stop are enough where the exchange answers, and knows none that was sent (I8)."""
        now_ms = self._desk.clock.monotonic_ms()
        if not is_bare or not self._is_stop_denied(holding):
            holding.bare_since = None
        elif holding.bare_since is None:
            holding.bare_since = now_ms
        elif now_ms - holding.bare_since >= _BARE_MS:
            self.demand(holding, "no stop loss has stood for five seconds")

    def may_place(self, holding: Holding, role: OrderRole) -> bool:
        """What is refused again and again is tried now and then, not at the speed of the network."""
        now_ms = self._desk.clock.monotonic_ms()
        if now_ms < holding.awaits_rules_until:
            return False
        if holding.question is not None and now_ms - holding.question.at < _QUESTIONED_MS:
            return False
        if role is OrderRole.STOP_LOSS:
            return now_ms >= holding.next_stop_at
        return holding.close_reason is None

    def settle_flat(self, holding: Holding) -> None:
        """A position that is gone: its protection goes with it, and its result is told once its trades are here."""
        waited_ms = self._desk.clock.now_ms() - holding.touched_at
        if holding.is_flat_in_doubt and waited_ms < _MISSING_FILL_MS:
            return
        in_slot = self._desk.books.orders_in(holding.slot)
        for order in orphans(in_slot, self._desk.books.holdings):
            crash_points.reached(Point.SWEEPING, order.role)
            self._desk.cancel(order)
        if not holding.opened_at:
            if not in_slot:
                holding.reset()
            return
        self._desk.store.remove_position(*holding.slot)
        note_end(self._desk, holding)
        exits = [order for order in in_slot if order.role is not OrderRole.ENTRY or order.lacks_fills]
        is_complete = not exits and not holding.unexplained  # the account's update may precede the last trade's
        patience = _LATE_FILL_MS if is_complete else _MISSING_FILL_MS
        if waited_ms >= patience:
            was_closing = holding.close_reason is not None
            conclude_flat(self._desk, holding)
            if was_closing:
                remember_wishes(self._desk)

    def _wait(self, holding: Holding, reason: str) -> bool:
        self._desk.alert(reason, holding.position.symbol)
        holding.next_close_at = self._desk.clock.monotonic_ms() + _PAUSE_AFTER_LADDER_MS
        return False

    def _is_stopped(self, holding: Holding) -> bool:
        orders = self._desk.books.orders_in(holding.slot)
        return any(order.role is OrderRole.STOP_LOSS and is_confirmed(order) for order in orders)

    def _is_stop_denied(self, holding: Holding) -> bool:
        orders = self._desk.books.orders_in(holding.slot)
        return any(order.role is OrderRole.STOP_LOSS and order.not_found for order in orders)

    def _is_under_way(self, holding: Holding) -> bool:
        if holding.is_in_question or self._desk.clock.monotonic_ms() < holding.next_close_at:
            return True
        return any(order.role is OrderRole.CLOSE for order in self._desk.books.orders_in(holding.slot))
