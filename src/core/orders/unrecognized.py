"""Orders and positions with unrecognized values (I30): counted, reported once, never guessed, never taken as absent."""

import logging
from collections.abc import Container, Iterable, Sequence

from src.core.context import TraderContext
from src.core.orders.order_manager import OrderManager
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderStatus
from src.domain.events import OrdersFetched
from src.domain.orders import Order, UnrecognizedOrder, UnrecognizedPosition
from src.domain.positions import PositionKey, Snapshot

log = logging.getLogger("hunter.account")

_REQUEST_INTERVAL_MS = 5_000
_MAX_REPORTED = 100
_CLOSED_STATUSES = frozenset(status.value for status in OrderStatus if status.is_terminal)


class UnrecognizedOrders:
    """Handles orders and positions that have unrecognized values.

    An external order counts as an external order of its symbol. One of ours keeps its last known status and is
    queried: if it were treated as closed, its stop loss would be placed again on every read. An unrecognized position
    may use any margin, so it blocks entries until the operator checks it.
    """

    def __init__(self, context: TraderContext, orders: OrderManager) -> None:
        self._context = context
        self._orders = orders
        self._reported: set[tuple[str, str]] = set()
        self.count = 0
        """Unrecognized orders and positions reported since the start; each counts once."""

    def on_snapshot(self, snapshot: Snapshot) -> list[PositionKey]:
        """Apply a snapshot's unrecognized orders and positions; returns the keys of positions with our orders."""
        known, self._context.portfolio.unrecognized_orders = self._context.portfolio.unrecognized_orders, {}
        keys = [self._record(order, known, is_listed_open=True) for order in snapshot.unrecognized_orders]
        self._record_positions([each for each in snapshot.unrecognized_positions if not each.is_flat])
        return [key for key in keys if key is not None]

    def on_stream_event(self, order: UnrecognizedOrder) -> Iterable[PositionKey]:
        """Apply an unrecognized order of the user data stream, and read the account to learn what it is."""
        portfolio = self._context.portfolio
        key = self._record(order, portfolio.unrecognized_orders, is_listed_open=False)
        if key is None and order.status in _CLOSED_STATUSES:
            portfolio.unrecognized_orders.pop(order.key, None)
        self._request_account()
        return () if key is None else (key,)

    def on_order_list(self, event: OrdersFetched) -> None:
        """Mark our open orders as existing if a list of all orders of their symbol names them."""
        for unrecognized in event.unrecognized:
            order = self._context.portfolio.orders.get(unrecognized.client_order_id)
            if order is not None and order.is_open:
                self._record_own(order, unrecognized, is_listed_open=False)

    def _request_account(self) -> None:
        """Request a snapshot to clarify an unrecognized event, at most once per interval."""
        if self._context.may_request("unrecognized values", _REQUEST_INTERVAL_MS):
            self._context.request_snapshot("unrecognized event", repeat_if_pending=True)

    def _record(
        self, unrecognized: UnrecognizedOrder, known: Container[tuple[str, int]], *, is_listed_open: bool
    ) -> PositionKey | None:
        """Record an unrecognized order; returns the position key if it is ours and may be open.

        Any other order blocks entries of its symbol.
        """
        order = self._context.portfolio.orders.get(unrecognized.client_order_id)
        if order is not None and order.is_open:
            return self._record_own(order, unrecognized, is_listed_open=is_listed_open)
        if unrecognized.key not in known:
            self._warn_external(unrecognized)
        self._context.portfolio.unrecognized_orders[unrecognized.key] = unrecognized
        return None

    def _record_own(self, order: Order, unrecognized: UnrecognizedOrder, *, is_listed_open: bool) -> PositionKey:
        before = order.status
        order.acknowledge(unrecognized.order_id, is_listed_open=is_listed_open)
        self._orders.mark_unresolved(order)
        self._context.store.update_order(order, "strange")
        if order.status is not before:
            self._context.journal_order(order)
        if self._is_first_report(unrecognized.client_order_id, unrecognized.problem):
            self._log(unrecognized.symbol, unrecognized.client_order_id, unrecognized.problem)
            self._context.alert(
                f"unrecognized value for {order.role} {order.client_order_id} of {order.symbol} "
                f"({unrecognized.problem}): treated as {order.status}, querying the exchange. "
                "Check it on the exchange's site",
                order.symbol,
            )
        return order.key

    def _warn_external(self, unrecognized: UnrecognizedOrder) -> None:
        self._log(unrecognized.symbol, unrecognized.client_order_id, unrecognized.problem)
        if self._is_first_report(unrecognized.symbol, unrecognized.problem):
            origin = "has the bot's id but is not in its database" if unrecognized.is_ours else "is external"
            self._context.warn(
                f"an order of {unrecognized.symbol} {origin} and has an unrecognized value ({unrecognized.problem}): "
                f"it is left alone, and {unrecognized.symbol} has no entries while it is open",
                unrecognized.symbol,
            )

    def _record_positions(self, positions: Sequence[UnrecognizedPosition]) -> None:
        messages = [f"unrecognized value for a position of {each.symbol} ({each.problem})" for each in positions]
        reason = f"{'; '.join(messages)}: check it on the exchange's site" if messages else None
        self._context.trading_status.set_or_clear(EntryBlock.UNRECOGNIZED_POSITION, reason)
        for each, message in zip(positions, messages, strict=True):
            if self._is_first_report(each.symbol, each.problem):
                self._log(each.symbol, "position", each.problem)
                self._context.alert(f"{message}: entries are blocked; the bot's positions stay protected", each.symbol)

    def _is_first_report(self, subject: str, problem: str) -> bool:
        """Whether this was not reported yet; limited, so that many such orders do not fill the journal."""
        if (subject, problem) in self._reported or len(self._reported) >= _MAX_REPORTED:
            return False
        self._reported.add((subject, problem))
        return True

    def _log(self, symbol: str, name: str, problem: str) -> None:
        self.count += 1
        log.warning("unrecognized value count=%s symbol=%s id=%s reason=%s", self.count, symbol, name, problem)
