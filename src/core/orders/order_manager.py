"""Our orders: merges responses, stream events and fills into the portfolio and the database."""

import logging
from collections.abc import Iterable
from typing import assert_never

from src.core.context import CancelAttempts, TraderContext
from src.core.limits.symbol_locks import SymbolLocks
from src.core.orders.fills import REQUEST_INTERVAL_MS, FillRecorder, ForcedOrders, forced_reason
from src.core.orders.lost_orders import LostOrders
from src.core.orders.order_identity import OrderIdentity
from src.core.portfolio import TrackedPosition
from src.domain.commands import QueryOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import CancelRejected, FillsFetched, OrderNotFound, OrderRejected, OrdersFetched, OrderUnresolved
from src.domain.orders import Order, OrderUpdate
from src.domain.positions import PositionKey, Snapshot

log = logging.getLogger("hunter.orders")

_RESPONSE_TIMEOUT_MS = 5_000
_MANY_EXTERNAL_CANCELS = 3
_ACCEPTED = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)

OrderEvent = OrderUpdate | OrderUnresolved | CancelRejected | OrderNotFound | FillsFetched | OrdersFetched


class OrderManager:
    """Applies order events. Methods return the key of the position they touched, or None if nothing changed."""

    def __init__(self, context: TraderContext, locks: SymbolLocks) -> None:
        self._context = context
        self._forced_orders = ForcedOrders(context, locks)
        self._lost_orders = LostOrders(context)
        self.identity = OrderIdentity(context)
        self.fills = FillRecorder(context, self._forced_orders)

    def on_order_update(self, update: OrderUpdate, source: str = "exchange") -> PositionKey | None:
        """Apply an order update of the stream, a response or a query."""
        external_orders = self._context.portfolio.external_orders
        external_orders.pop(update.number, None)
        order = self.identity.find(update)
        if order is None:
            self._forced_orders.record(update)
            if not update.status.is_terminal:
                external_orders[update.number] = update
            return self.fills.record(update.fill) if update.fill else None
        before, filled_before = order.status, order.filled_quantity
        if order.apply(update):
            self._context.store.update_order(order, source)
            self._on_stop_triggered(order, update)
            if (order.status, order.filled_quantity) != (before, filled_before):
                self._on_change(order, before)
        if update.fill is not None:
            self.fills.record(update.fill)
        elif order.filled_quantity > filled_before:
            self.fills.request_missing_fills(order)
        return order.key

    def _on_change(self, order: Order, before: OrderStatus) -> None:
        self._context.journal_order(order)
        self._context.log_later(
            "order changed symbol=%s role=%s id=%s status=%s",
            *(order.symbol, order.role, order.client_order_id, order.status),
        )
        tracked = self._context.portfolio.tracked(order.key)
        self._count_rejection(order, before, tracked)
        if before is OrderStatus.REJECTED:
            self._on_late_order(order)
        if order.status is OrderStatus.CANCELED and before is not OrderStatus.PENDING_CANCEL:
            self._on_external_cancel(order, tracked)
        if order.role is OrderRole.ENTRY and order.has_missing_fills:
            tracked.assign_entry(order.client_order_id)  # the position holds its fills, whichever event comes first
        if order.client_order_id in self._context.entries_to_cancel:
            self._context.cancel_order(order)

    def _on_late_order(self, order: Order) -> None:
        """Cancel an entry that was considered lost but exists: its signal has expired. Its fills are protected."""
        name = f"{order.role} {order.client_order_id}"
        self._context.warn(f"order {name} was considered lost but exists ({order.status})", order.symbol)
        if order.role is OrderRole.ENTRY:
            self._context.cancel_order(order)

    def _count_rejection(self, order: Order, before: OrderStatus, tracked: TrackedPosition) -> None:
        """Count closes that expired unfilled; reset the count once protection is accepted or a close fills (I12)."""
        if order.role is not OrderRole.CLOSE:
            if before is OrderStatus.PENDING_NEW and order.status in _ACCEPTED:
                self._on_accepted(order, tracked)
        elif order.filled_quantity:
            tracked.exits.rejections.pop(order.role, None)
        elif order.status is OrderStatus.EXPIRED:
            tracked.exits.rejections[order.role] = tracked.exits.rejections.get(order.role, 0) + 1
            self._context.warn(f"{order.role} of {order.symbol} expired without a fill", order.symbol)

    def _on_accepted(self, order: Order, tracked: TrackedPosition) -> None:
        """Reset the rejections of its role, and say so if it replaces an order that was cancelled externally."""
        tracked.exits.rejections.pop(order.role, None)
        if order.role in tracked.exits.to_replace:
            tracked.exits.to_replace.discard(order.role)
            message = f"{order.role} of {order.symbol}, cancelled externally, is replaced"
            self._context.journal("alert", {"level": "info", "message": message}, order.symbol)

    def _on_stop_triggered(self, order: Order, update: OrderUpdate) -> None:
        """Note when a stop loss triggered: from then on it is a market order, which may fail."""
        if order.role is not OrderRole.STOP_LOSS or update.type is update.original_type:
            return
        tracked = self._context.portfolio.tracked(order.key)
        if tracked.position.is_open and order.status is not OrderStatus.FILLED:
            tracked.exits.stop_triggered_at = tracked.exits.stop_triggered_at or self._context.clock.monotonic_ms()
            tracked.exits.is_stop_ended = order.status.is_terminal

    def _on_external_cancel(self, order: Order, tracked: TrackedPosition) -> None:
        """Warn about protection that was cancelled externally; `_on_accepted` reports its replacement."""
        if order.role is OrderRole.ENTRY or not tracked.position.is_open:
            return
        tracked.exits.external_cancels += 1
        count = tracked.exits.external_cancels
        times = f" ({count} times)" if count >= _MANY_EXTERNAL_CANCELS else ""
        tracked.exits.to_replace.add(order.role)
        self._context.warn(f"{order.role} of {order.symbol} was cancelled externally{times}", order.symbol)

    def handle(self, event: OrderEvent, snapshot: Snapshot | None) -> Iterable[PositionKey]:
        """Apply any order event; returns the keys of the positions it touched."""
        match event:
            case OrderUpdate():
                key = self.on_order_update(event)
            case OrderUnresolved():
                key = self.on_unresolved(event)
            case CancelRejected():
                key = self.on_cancel_rejected(event)
            case OrderNotFound():
                key = self.on_not_found(event, snapshot)
            case FillsFetched():
                self._lost_orders.record(event)
                return self.fills.record_all(event)
            case OrdersFetched():
                return self.on_orders(event)
            case _:
                assert_never(event)
        return () if key is None else (key,)

    def on_orders(self, event: OrdersFetched) -> list[PositionKey]:
        """Apply a list of a symbol's orders, except closed ones that are neither ours nor forced by the exchange."""
        self._lost_orders.record(event)
        known = self._context.portfolio.orders
        updates = [each for each in event.orders if each.client_order_id in known or not _is_closed_history(each)]
        touched = [self.on_order_update(update, "all orders") for update in updates]
        return [key for key in touched if key is not None]

    def on_rejected(self, event: OrderRejected) -> Order | None:
        """Record that an order was not accepted; returns the order, None if it is no longer pending."""
        order = self._context.portfolio.orders.get(event.client_order_id)
        if order is None or order.status is not OrderStatus.PENDING_NEW:
            return None
        order.advance(OrderStatus.REJECTED)
        order.reason = event.reason if event.code is None else f"{event.reason} ({event.code})"
        self._context.store.update_order(order, "refused")
        self._context.journal_order(order)
        log.warning("order rejected symbol=%s role=%s reason=%s", order.symbol, order.role, order.reason)
        return order

    def on_unresolved(self, event: OrderUnresolved) -> PositionKey | None:
        """The response was lost: the order stays pending and is queried, never sent again (I2)."""
        order = self._context.portfolio.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        if order.unresolved_since is None:
            order.unresolved_since = event.at
            order.reason = event.reason
            self._context.store.update_order(order, "unresolved")
            name = f"{order.role} {order.client_order_id}"
            self._context.warn(f"no response to {name}; querying its status", order.symbol)
        self._query(order)
        return order.key

    def on_cancel_rejected(self, event: CancelRejected) -> PositionKey | None:
        """Query the order: a rejected cancel does not say what its status is."""
        order = self._context.portfolio.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        attempts = self._context.cancel_attempts.setdefault(order.client_order_id, CancelAttempts())
        attempts.reason = event.reason if event.code is None else f"{event.reason} ({event.code})"
        log.warning("cancel rejected symbol=%s id=%s reason=%s", order.symbol, order.client_order_id, attempts.reason)
        order.unresolved_since = order.unresolved_since or event.at
        self._query(order)
        return order.key

    def on_not_found(self, event: OrderNotFound, snapshot: Snapshot | None) -> PositionKey | None:
        """The exchange knows no such order (-2013): believed once nothing else shows it either."""
        order = self._context.portfolio.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        order.unresolved_since = order.unresolved_since or event.at
        order.not_found_count += 1
        if not self._lost_orders.is_confirmed_absent(order, event.at, snapshot):
            return None
        order.advance(OrderStatus.REJECTED if order.status is OrderStatus.PENDING_NEW else OrderStatus.CANCELED)
        order.reason = "the exchange knows no such order"
        self._context.store.update_order(order, "absent")
        self._context.journal_order(order)
        return order.key

    def needs_snapshot(self, now_ms: int, snapshot: Snapshot | None) -> bool:
        """Whether a snapshot that does not list an order is the last missing evidence that it is lost."""
        return self._lost_orders.needs_snapshot(now_ms, snapshot)

    def query_unresolved(self, now_ms: int) -> None:
        """Query unresolved and overdue orders, and missing fills."""
        for order in self._context.portfolio.orders.values():
            if order.is_open and (order.unresolved_since is not None or self._is_overdue(order, now_ms)):
                self.mark_unresolved(order)
            elif order.has_missing_fills:
                self.fills.request_missing_fills(order)
            elif order.status is OrderStatus.REJECTED and self._may_have_filled(order):
                self._query(order)
        for order in self._context.portfolio.open_orders(role=OrderRole.ENTRY):
            if order.client_order_id in self._context.entries_to_cancel:
                self._context.cancel_order(order)
        self._lost_orders.request_history(now_ms)

    def mark_unresolved(self, order: Order) -> None:
        """Query the order, because its known state may be outdated."""
        order.unresolved_since = order.unresolved_since or self._context.clock.now_ms()
        self._query(order)

    def _is_overdue(self, order: Order, now_ms: int) -> bool:
        """Whether a submit or cancel has had no response for too long, or the entry may have filled unnoticed."""
        if order.status is OrderStatus.PENDING_NEW:
            return now_ms - (order.sent_at or order.created_at) >= _RESPONSE_TIMEOUT_MS
        attempts = self._context.cancel_attempts.get(order.client_order_id)
        if (
            order.status is OrderStatus.PENDING_CANCEL
            and attempts
            and attempts.is_overdue(self._context.clock.monotonic_ms())
        ):
            return True
        return self._may_have_filled(order)

    def _may_have_filled(self, order: Order) -> bool:
        """Whether the entry may have opened a position that has no known owner."""
        tracked = self._context.portfolio.tracked(order.key)
        return order.role is OrderRole.ENTRY and tracked.position.is_open and not tracked.is_managed

    def _query(self, order: Order) -> None:
        if self._context.may_request(order.client_order_id, REQUEST_INTERVAL_MS):
            self._context.queue_command(QueryOrder(order.symbol, order.client_order_id))


def _is_closed_history(update: OrderUpdate) -> bool:
    """Whether the order is closed and was not forced by the exchange (liquidation, ADL, settlement)."""
    return update.status.is_terminal and forced_reason(update.client_order_id) is None
