"""Leaving a position: market first, a limit at the collar where the market is refused, never past flat (I12)."""

import logging
from decimal import Decimal

from src.core.context import TraderContext
from src.core.order_cleanup import orphaned_protection
from src.core.portfolio import TrackedPosition
from src.core.positions.lifecycle import finish_if_flat, record_end, save_pending_closes
from src.core.positions.protection_plan import (
    ONE_CLOSING_STOP_CODE,
    WOULD_TRIGGER_CODES,
    close_request,
    collar_price,
    is_working,
)
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.events import OrderRejected
from src.domain.orders import Order

log = logging.getLogger("hunter.protection")

_MAX_CLOSE_ATTEMPTS = 5
_MAX_STOP_REJECTIONS = 2
_TRIGGERED_STOP_MS = 5_000
_UNPROTECTED_MS = 5_000
_QUANTITY_ORDER_MS = 10_000
_RETRY_PAUSE_MS = 1_000
_LONG_PAUSE_MS = 30_000
_OWNERSHIP_CHECK_MS = 3_000
"""So long nothing is placed behind a position whose trades are being read: it may be a stranger's."""
_LATE_FILL_MS = 500
_MISSING_FILL_MS = 15_000


class PositionCloser:
    """Sends closing orders one after the other until a slot is flat; its stop stays all the while."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context

    def request_close(self, tracked: TrackedPosition, reason: str) -> None:
        """The position must go; what it takes is tried at every turn until it is flat."""
        if tracked.close_reason is None and tracked.position.is_open:
            tracked.close_reason = reason
            save_pending_closes(self._context)
            log.warning("closing %s %s: %s", *tracked.key, reason)
            self._context.journal("protection", {"state": "closing", "reason": reason}, tracked.position.symbol)

    def advance(self, tracked: TrackedPosition) -> None:
        """The next step toward flat, where one is due."""
        self._check_triggered_stop(tracked)
        if tracked.close_reason is None or not tracked.position.is_open:
            return
        if self.send_close_order(tracked, abs(tracked.position.quantity)):
            is_exhausted = tracked.rejections.get(OrderRole.CLOSE, 0) >= _MAX_CLOSE_ATTEMPTS
            pause = _LONG_PAUSE_MS if is_exhausted else _RETRY_PAUSE_MS
            tracked.next_close_at = self._context.clock.monotonic_ms() + pause
            if is_exhausted and not tracked.close_failure_alerted:
                self._alert_close_failed(tracked)

    def _check_triggered_stop(self, tracked: TrackedPosition) -> None:
        """A stop that fired and has not closed the position within five seconds, or has ended, does not protect."""
        if not tracked.stop_triggered_at or not tracked.position.is_open or tracked.close_reason is not None:
            return
        if (
            tracked.is_stop_ended
            or self._context.clock.monotonic_ms() - tracked.stop_triggered_at >= _TRIGGERED_STOP_MS
        ):
            self._context.warn(f"the stop loss of {tracked.position.symbol} fired and left a part: it is being closed")
            self.request_close(tracked, "its stop loss fired and did not close it")

    def _alert_close_failed(self, tracked: TrackedPosition) -> None:
        """The ladder is at its end; it is climbed again every half minute, and the stop stays (I12)."""
        tracked.close_failure_alerted = True
        symbol = tracked.position.symbol
        stop_state = "its stop loss rests" if self._has_working_stop(tracked) else "it has no stop loss"
        self._context.alert(
            f"{symbol} cannot be closed: {_MAX_CLOSE_ATTEMPTS} orders in a row were refused or expired, and "
            f"{stop_state}. Close it on the exchange's site; the bot goes on trying",
            symbol,
        )

    def send_close_order(self, tracked: TrackedPosition, quantity: Decimal) -> bool:
        """Send one closing order, unless one is under way; False where none was sent."""
        if tracked.entry_order_id is None or self._is_close_pending(tracked):
            return False
        position, symbol = tracked.position, tracked.position.symbol
        rejections = tracked.rejections.get(OrderRole.CLOSE, 0)
        mark, instrument = self._context.mark_price(symbol), self._context.instruments.get(symbol)
        if instrument is None:
            return self._alert_and_pause(
                tracked, f"{symbol} must be closed by hand: the exchange does not list it any more"
            )
        by_limit = rejections % 2 == 1 and mark is not None
        collar = collar_price(position.side.opposite, mark, instrument) if by_limit and mark is not None else None
        name = self._context.next_order_id(tracked.entry_order_id, OrderRole.CLOSE)
        request = close_request(name, position, min(quantity, abs(position.quantity)), instrument, collar)
        if request is None and quantity < abs(position.quantity):
            return False  # a share too small is no reason to close nothing for a while
        if request is None:
            return self._alert_and_pause(tracked, f"what is left of {symbol} is too small to close by an order")
        self._context.submit_order(request, OrderRole.CLOSE, tracked.entry_order_id)
        return True

    def on_rejected(self, tracked: TrackedPosition, order: Order, event: OrderRejected) -> None:
        """A protective or closing order was refused: corrected twice at most, then the position is closed (I11)."""
        if not event.is_order_rejection:
            return  # the audit tries again: a close would be refused as this was
        if event.code == ONE_CLOSING_STOP_CODE and order.request.close_position:
            # The one that stands keeps its place until an order of the position's size stands beside it (I10).
            tracked.quantity_order_until[order.role] = self._context.clock.monotonic_ms() + _QUANTITY_ORDER_MS
            return
        count = tracked.rejections[order.role] = tracked.rejections.get(order.role, 0) + 1
        self._context.warn(f"{order.role} of {order.symbol} was refused: {order.reason}", order.symbol)
        if event.code in WOULD_TRIGGER_CODES and order.role is not OrderRole.CLOSE:
            self.request_close(tracked, f"the price is past its {order.role} already")
        elif order.role is OrderRole.STOP_LOSS and count > _MAX_STOP_REJECTIONS and not self._has_working_stop(tracked):
            self.request_close(tracked, "no stop loss could be placed")
        if order.role is OrderRole.STOP_LOSS and (tracked.close_reason is not None or count > _MAX_STOP_REJECTIONS):
            tracked.next_stop_at = self._context.clock.monotonic_ms() + _LONG_PAUSE_MS

    def check_unprotected(self, tracked: TrackedPosition, *, is_unprotected: bool) -> None:
        """Five seconds without a stop are enough where the exchange answers, and knows none that was sent (I8)."""
        now_ms = self._context.clock.monotonic_ms()
        if not is_unprotected or not self._is_stop_missing(tracked):
            tracked.unprotected_since = None
        elif tracked.unprotected_since is None:
            tracked.unprotected_since = now_ms
        elif now_ms - tracked.unprotected_since >= _UNPROTECTED_MS:
            self.request_close(tracked, "no stop loss has stood for five seconds")

    def may_place(self, tracked: TrackedPosition, role: OrderRole) -> bool:
        """What is refused again and again is tried now and then, not at the speed of the network."""
        now_ms = self._context.clock.monotonic_ms()
        if now_ms < tracked.awaits_filters_until:
            return False
        if tracked.ownership_check is not None and now_ms - tracked.ownership_check.started_at < _OWNERSHIP_CHECK_MS:
            return False
        if role is OrderRole.STOP_LOSS:
            return now_ms >= tracked.next_stop_at
        return tracked.close_reason is None

    def on_flat(self, tracked: TrackedPosition) -> None:
        """A position that is gone: its protection goes with it, and its result is told once its trades are here."""
        waited_ms = self._context.clock.now_ms() - tracked.updated_locally_at
        if tracked.is_flat_unconfirmed and waited_ms < _MISSING_FILL_MS:
            return
        orders = self._context.portfolio.orders_for(tracked.key)
        for order in orphaned_protection(orders, self._context.portfolio.tracked_positions):
            crash_points.reached(Point.SWEEPING, order.role)
            self._context.cancel_order(order)
        if not tracked.opened_at:
            if not orders:
                tracked.reset()
            return
        self._context.store.remove_position(*tracked.key)
        record_end(self._context, tracked)
        exits = [order for order in orders if order.role is not OrderRole.ENTRY or order.has_missing_fills]
        is_complete = (
            not exits and not tracked.unexplained_quantity
        )  # the account's update may precede the last trade's
        patience = _LATE_FILL_MS if is_complete else _MISSING_FILL_MS
        if waited_ms >= patience:
            was_closing = tracked.close_reason is not None
            finish_if_flat(self._context, tracked)
            if was_closing:
                save_pending_closes(self._context)

    def _alert_and_pause(self, tracked: TrackedPosition, reason: str) -> bool:
        self._context.warn(reason, tracked.position.symbol)
        tracked.next_close_at = self._context.clock.monotonic_ms() + _LONG_PAUSE_MS
        return False

    def _has_working_stop(self, tracked: TrackedPosition) -> bool:
        orders = self._context.portfolio.orders_for(tracked.key)
        return any(order.role is OrderRole.STOP_LOSS and is_working(order) for order in orders)

    def _is_stop_missing(self, tracked: TrackedPosition) -> bool:
        orders = self._context.portfolio.orders_for(tracked.key)
        return any(order.role is OrderRole.STOP_LOSS and order.not_found_count for order in orders)

    def _is_close_pending(self, tracked: TrackedPosition) -> bool:
        if tracked.is_ownership_open or self._context.clock.monotonic_ms() < tracked.next_close_at:
            return True
        return any(order.role is OrderRole.CLOSE for order in self._context.portfolio.orders_for(tracked.key))
