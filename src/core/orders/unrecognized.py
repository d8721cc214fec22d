"""Orders and positions with unrecognized values (I30): counted, reported once, never guessed."""

import logging
from collections.abc import Iterable, Sequence

from src.core.context import TraderContext
from src.core.orders.lost_orders import REQUEST_LIFETIME_MS
from src.core.orders.order_manager import OrderManager
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import OrdersFetched
from src.domain.orders import Order, UnrecognizedOrder, UnrecognizedPosition
from src.domain.positions import PositionKey, Snapshot

log = logging.getLogger("hunter.account")

_REQUEST_INTERVAL_MS = 5_000
_MAX_REPORTED = 100
_CLOSED_STATUSES = frozenset(status.value for status in OrderStatus if status.is_terminal)


class UnrecognizedOrders:
    """One rule for our orders: the exchange's list of open orders decides.

    A listed order is open. Any other with an unknown status is in doubt: the account is read, and if that does not list
    it, it has ended. An entry is cancelled as well. An external order counts as one of its symbol; an unrecognized
    position may use any margin, so it blocks entries until the operator checks it.
    """

    def __init__(self, context: TraderContext, orders: OrderManager) -> None:
        self._context = context
        self._orders = orders
        self._reported: set[str] = set()
        self.count = 0
        """Unrecognized orders and positions reported since the start; each counts once."""

    def on_snapshot(self, snapshot: Snapshot) -> list[PositionKey]:
        """Apply a snapshot's unrecognized orders and positions; returns the keys of positions with our orders."""
        keys = [key for each in snapshot.unrecognized_orders for key in self._record(each, is_listed_open=True)]
        self._record_positions([each for each in snapshot.unrecognized_positions if not each.is_flat])
        return keys

    def end_unlisted(self, snapshot: Snapshot) -> list[PositionKey]:
        """End our doubtful orders that the snapshot does not list, once the position agrees with ours.

        Call it after the snapshot's positions were adopted: a close is then decided again on the size that is left.
        """
        listed = {each.client_order_id for each in snapshot.listed_orders}
        held = {each.key: each.quantity for each in snapshot.positions}
        ended = []
        for order in self._context.portfolio.open_orders():
            ours = self._context.portfolio.tracked(order.key)
            quantity = ours.position.quantity
            if (
                _may_have_ended(order, snapshot.requested_at)
                and order.client_order_id not in listed
                and held.get(order.key, quantity) == quantity
            ):
                before = order.status
                order.end_uncertain()
                if order.role is OrderRole.CLOSE:
                    ours.exits.rejections[order.role] = ours.exits.rejections.get(order.role, 0) + 1
                self._save(order, before)
                self._orders.fills.request_missing_fills(order)
                ended.append(order.key)
        return ended

    def on_report(self, order: UnrecognizedOrder) -> Iterable[PositionKey]:
        """Apply an unrecognized order of the user data stream or of a query, and read the account to settle it."""
        if self._context.may_request("unrecognized values", _REQUEST_INTERVAL_MS):
            self._context.request_snapshot("unrecognized event", repeat_if_pending=True)
        return self._record(order, is_listed_open=False)

    def on_order_list(self, event: OrdersFetched) -> None:
        """Apply the unrecognized ones of our open orders in a list of all orders of their symbol."""
        for each in event.unrecognized:
            if each.client_order_id in self._context.portfolio.orders:
                self._record(each, is_listed_open=False)

    def _record(self, report: UnrecognizedOrder, *, is_listed_open: bool) -> list[PositionKey]:
        """Record an unrecognized order; returns the position key if it is ours and may be open."""
        order = self._orders.identity.known(report.client_order_id)
        is_revived = is_listed_open and order is not None and order.status is OrderStatus.REJECTED
        if order is not None and (order.is_open or is_revived):
            self._record_own(order, report, is_listed_open=is_listed_open)
            return [order.key]
        if is_listed_open or (order is None and report.status not in _CLOSED_STATUSES):
            self._context.portfolio.external_orders[report.number] = report
            self._warn_external(report)
        elif order is None:
            self._context.portfolio.external_orders.pop(report.number, None)
        return []

    def _record_own(self, order: Order, report: UnrecognizedOrder, *, is_listed_open: bool) -> None:
        before = order.status
        order.acknowledge(report, self._context.clock.now_ms(), is_listed_open=is_listed_open)
        if order.role is OrderRole.ENTRY:
            self._context.cancel_order(order)
        if order.uncertain_since is not None:
            self._orders.mark_unresolved(order)
            self._orders.fills.request_missing_fills(order)
        self._save(order, before)
        if self._is_first_report(order.client_order_id, report.problem):
            self._context.alert(
                f"unrecognized value for {order.role} {order.client_order_id} of {order.symbol} ({report.problem}): it "
                "counts as open only while the exchange lists it, so the account is read. Check it on the exchange's "
                "site",
                order.symbol,
            )

    def _save(self, order: Order, before: OrderStatus) -> None:
        self._context.store.update_order(order, "unrecognized")
        if order.status is not before:
            self._context.journal_order(order)

    def _warn_external(self, report: UnrecognizedOrder) -> None:
        if self._is_first_report(f"{report.symbol} {report.problem}", report.problem):
            origin = "has the bot's id but is not in its database" if report.is_ours else "is external"
            self._context.warn(
                f"an order of {report.symbol} {origin} and has an unrecognized value ({report.problem}): "
                f"it is left alone, and {report.symbol} has no entries while it is open",
                report.symbol,
            )

    def _record_positions(self, positions: Sequence[UnrecognizedPosition]) -> None:
        messages = [f"unrecognized value for a position of {each.symbol} ({each.problem})" for each in positions]
        reason = f"{'; '.join(messages)}: check it on the exchange's site" if messages else None
        self._context.trading_status.set_or_clear(EntryBlock.UNRECOGNIZED_POSITION, reason)
        for each, message in zip(positions, messages, strict=True):
            if self._is_first_report(message, each.problem):
                self._context.alert(f"{message}: entries are blocked; the bot's positions stay protected", each.symbol)

    def _is_first_report(self, subject: str, problem: str) -> bool:
        """Whether this was not reported yet; limited, so that many such orders do not fill the journal."""
        if subject in self._reported or self.count >= _MAX_REPORTED:
            return False
        self._reported.add(subject)
        self.count += 1
        log.warning("unrecognized value count=%s subject=%s reason=%s", self.count, subject, problem)
        return True


def _may_have_ended(order: Order, read_at: int) -> bool:
    """Whether an order that is missing from a list read at ``read_at`` has ended.

    A close does not rest in the book: it has also ended if its request had expired and no answer or query says more.
    """
    if order.unknown_status and order.uncertain_since is not None:
        return order.uncertain_since <= read_at
    since = order.unresolved_since
    return order.role is OrderRole.CLOSE and since is not None and read_at - since >= REQUEST_LIFETIME_MS
