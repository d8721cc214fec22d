"""Closes positions: a market order first, a limit order if the market order is rejected, never past flat (I12)."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from src.core.context import TraderContext
from src.core.order_cleanup import orphaned_protection
from src.core.portfolio import CloseRequest, TrackedPosition
from src.core.positions.lifecycle import finish_if_flat, record_end, reset_position, save_pending_closes
from src.core.positions.protection_plan import (
    ONE_CLOSING_STOP_CODE,
    WOULD_TRIGGER_CODES,
    close_request,
    collar_price,
    has_working_stop,
)
from src.core.trading_status import EntryBlock
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.events import OrderRejected
from src.domain.orders import Order

log = logging.getLogger("hunter.protection")

_MAX_CLOSE_ATTEMPTS = 5
_MAX_STOP_REJECTIONS = 2
_TRIGGERED_STOP_MS = 5_000
_QUANTITY_ORDER_MS = 10_000
_RETRY_PAUSE_MS = 1_000
_CLOSE_LIFETIME_MS = 30_000
"""A close that waited longer to be sent, as over a suspension, is decided again on the position as it is then."""
_LONG_PAUSE_MS = 30_000
_LATE_FILL_MS = 500
_MISSING_FILL_MS = 15_000


class PositionCloser:
    """Sends one close order at a time until the position is flat; its stop loss stays open meanwhile."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context

    def request_close(self, tracked: TrackedPosition, reason: str, *, is_protective: bool = False) -> None:
        """Request that the position be closed; `advance` retries until it is flat.

        The entries of its symbol are cancelled. What one of the same position fills nevertheless is closed too.
        ``is_protective``: it is closed in place of a stop loss, which would close it whoever opened it.
        """
        if not tracked.position.is_open:
            return
        if tracked.closing is not None:
            tracked.closing = replace(tracked.closing, is_protective=tracked.is_protective_close or is_protective)
        else:
            tracked.closing = CloseRequest(reason, is_protective)
            pending = self._context.portfolio.pending_entries()
            self.close_when_filled((order for order in pending if order.key == tracked.key), reason)
            log.warning("closing %s %s: %s", *tracked.key, reason)
            self._context.journal("protection", {"state": "closing", "reason": reason}, tracked.position.symbol)

    def close_when_filled(self, entries: Iterable[Order], reason: str) -> None:
        """Close the position of each of these entries if it fills; also after a restart, until each is settled."""
        for order in entries:
            self._context.entries_to_close.setdefault(order.client_order_id, reason)
        save_pending_closes(self._context)

    def forget_settled_entries(self) -> None:
        """Forget the entries of `close_when_filled` that cannot fill any more and whose position is closed."""
        context, portfolio = self._context, self._context.portfolio
        needed = {order.client_order_id for order in portfolio.pending_entries()}
        needed |= {tracked.entry_order_id or "" for tracked in portfolio.open_positions()}
        settled = context.entries_to_close.keys() - needed
        if settled:
            context.entries_to_close = {
                name: reason for name, reason in context.entries_to_close.items() if name not in settled
            }
            save_pending_closes(context)

    def advance(self, tracked: TrackedPosition) -> None:
        """Send the next close order if one is due, and keep entries away from the symbol until it is flat."""
        self._check_triggered_stop(tracked)
        covered = self._context.entries_to_close.get(tracked.entry_order_id or "")
        if covered is not None:
            self.request_close(tracked, covered)
        if tracked.close_reason is None or not tracked.position.is_open:
            return
        for order in self._context.portfolio.open_orders(tracked.position.symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)
        if self.send_close_order(tracked, abs(tracked.position.quantity)):
            is_exhausted = tracked.exits.rejections.get(OrderRole.CLOSE, 0) >= _MAX_CLOSE_ATTEMPTS
            pause = _LONG_PAUSE_MS if is_exhausted else _RETRY_PAUSE_MS
            tracked.exits.next_close_at = self._context.clock.monotonic_ms() + pause
            if is_exhausted and not tracked.exits.close_failure_alerted:
                self._alert_close_failed(tracked)

    def _check_triggered_stop(self, tracked: TrackedPosition) -> None:
        """Close the position if its triggered stop has ended or has not closed it within five seconds."""
        if not tracked.exits.stop_triggered_at or not tracked.position.is_open or tracked.close_reason is not None:
            return
        if (
            tracked.exits.is_stop_ended
            or self._context.clock.monotonic_ms() - tracked.exits.stop_triggered_at >= _TRIGGERED_STOP_MS
        ):
            symbol = tracked.position.symbol
            self._context.warn(
                f"stop loss of {symbol} triggered but closed only part of the position; closing the rest"
            )
            self.request_close(tracked, "its stop loss triggered and did not close it", is_protective=True)

    def _alert_close_failed(self, tracked: TrackedPosition) -> None:
        """Alert once after the maximum number of attempts; retries go on every 30 s and the stop stays open (I12)."""
        tracked.exits.close_failure_alerted = True
        symbol = tracked.position.symbol
        stop_state = "its stop loss is still open" if self._has_working_stop(tracked) else "it has no stop loss"
        self._context.alert(
            f"{symbol} cannot be closed: {_MAX_CLOSE_ATTEMPTS} orders in a row were rejected or expired; {stop_state}. "
            "Close it on the exchange; the bot keeps trying",
            symbol,
        )

    def send_close_order(self, tracked: TrackedPosition, quantity: Decimal) -> bool:
        """Send one close order unless one is pending; returns whether it was sent."""
        if tracked.entry_order_id is None or self._is_close_pending(tracked):
            return False
        position, symbol = tracked.position, tracked.position.symbol
        rejections = tracked.exits.rejections.get(OrderRole.CLOSE, 0)
        mark, instrument = self._context.mark_price(symbol), self._context.instruments.get(symbol)
        if instrument is None and quantity < abs(position.quantity):
            return False  # a part may be no valid size; the whole position is one
        by_limit = rejections % 2 == 1 and mark is not None and instrument is not None
        collar = collar_price(position.side.opposite, mark, instrument) if by_limit and mark and instrument else None
        name = self._context.next_order_id(tracked.entry_order_id, OrderRole.CLOSE)
        request = close_request(name, position, min(quantity, abs(position.quantity)), instrument, collar)
        if request is None and quantity < abs(position.quantity):
            return False  # a partial close that is too small must not delay a full one
        if request is None:
            return self._alert_and_pause(tracked, f"the rest of {symbol} is too small to be closed by an order")
        not_after = self._context.clock.now_ms() + _CLOSE_LIFETIME_MS
        self._context.submit_order(request, OrderRole.CLOSE, tracked.entry_order_id, not_after)
        return True

    def on_rejected(self, tracked: TrackedPosition, order: Order, event: OrderRejected) -> None:
        """Handle a rejected protective or close order; after two rejected stop losses the position is closed (I11)."""
        if not event.is_order_rejection:
            return  # retried by the periodic check; a close order would fail for the same reason
        tracked.exits.amended_at.pop(order.role, None)  # it replaced nothing
        if event.code == ONE_CLOSING_STOP_CODE and order.request.close_position:
            # The existing stop stays until an order with the position's quantity is working beside it (I10).
            tracked.exits.quantity_order_until[order.role] = self._context.clock.monotonic_ms() + _QUANTITY_ORDER_MS
            return
        count = tracked.exits.rejections[order.role] = tracked.exits.rejections.get(order.role, 0) + 1
        self._context.warn(f"{order.role} of {order.symbol} was rejected: {order.reason}", order.symbol)
        if event.code in WOULD_TRIGGER_CODES and order.role is not OrderRole.CLOSE:
            is_stop = order.role is OrderRole.STOP_LOSS
            self.request_close(tracked, f"the price is already past its {order.role}", is_protective=is_stop)
        elif order.role is OrderRole.STOP_LOSS and count > _MAX_STOP_REJECTIONS and not self._has_working_stop(tracked):
            self.request_close(tracked, "no stop loss could be placed", is_protective=True)
        if order.role is OrderRole.STOP_LOSS and (tracked.close_reason is not None or count > _MAX_STOP_REJECTIONS):
            tracked.exits.next_stop_at = self._context.clock.monotonic_ms() + _LONG_PAUSE_MS

    def may_close(self, tracked: TrackedPosition) -> bool:
        """Whether close orders may be sent: while it is unknown whose position it is, only in place of a stop loss.

        After a suspension the position may be another one, until the account has been read.
        """
        is_unknown = tracked.is_unexplained or self._context.trading_status.has(EntryBlock.PROCESS_STALLED)
        return tracked.is_protective_close or not is_unknown

    def may_place(self, tracked: TrackedPosition, role: OrderRole) -> bool:
        """Whether a protective order may be placed now; rejected ones are retried after a pause."""
        now_ms = self._context.clock.monotonic_ms()
        if now_ms < tracked.exits.awaits_filters_until:
            return False
        if role is OrderRole.STOP_LOSS:
            return now_ms >= tracked.exits.next_stop_at
        return tracked.close_reason is None

    def on_flat(self, tracked: TrackedPosition) -> None:
        """Clean up after a flat position: cancel its protection and journal its result once all trades arrived."""
        waited_ms = self._context.clock.now_ms() - tracked.updated_locally_at
        if tracked.is_flat_unconfirmed and waited_ms < _MISSING_FILL_MS:
            return
        orders = self._context.portfolio.orders_for(tracked.key)
        for order in orphaned_protection(orders, self._context.portfolio.tracked_positions):
            crash_points.reached(Point.SWEEPING, order.role)
            self._context.cancel_order(order)
        if not tracked.opened_at:
            if not orders:
                reset_position(self._context, tracked)
            return
        self._context.store.remove_position(*tracked.key)
        record_end(self._context, tracked)
        exits = [order for order in orders if order.role is not OrderRole.ENTRY or order.has_missing_fills]
        is_complete = not exits and not tracked.trades.quantity  # the account update may arrive before the last trade
        patience = _LATE_FILL_MS if is_complete else _MISSING_FILL_MS
        if waited_ms >= patience:
            finish_if_flat(self._context, tracked)

    def _alert_and_pause(self, tracked: TrackedPosition, reason: str) -> bool:
        self._context.warn(reason, tracked.position.symbol)
        tracked.exits.next_close_at = self._context.clock.monotonic_ms() + _LONG_PAUSE_MS
        return False

    def _has_working_stop(self, tracked: TrackedPosition) -> bool:
        return has_working_stop(self._context.portfolio.orders_for(tracked.key), tracked.position)

    def _is_close_pending(self, tracked: TrackedPosition) -> bool:
        if not self.may_close(tracked) or self._context.clock.monotonic_ms() < tracked.exits.next_close_at:
            return True
        return any(order.role is OrderRole.CLOSE for order in self._context.portfolio.orders_for(tracked.key))
