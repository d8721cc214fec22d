"""What is told in words we do not know (I30): counted, said once, never guessed, and never taken for absent."""

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
    """An order of somebody else counts as foreign in its symbol. One of ours counts as what we last knew of it, and is
    asked about: taken for gone, a stop loss would be placed anew each time it is read. A position nobody understands
    may bind any margin, so that entries wait for a person; protection needs no more than it has."""

    def __init__(self, context: TraderContext, orders: OrderManager) -> None:
        self._context = context
        self._orders = orders
        self._reported: set[tuple[str, str]] = set()
        self.count = 0
        """How many orders and positions were not understood since the start; each counts once."""

    def on_snapshot(self, snapshot: Snapshot) -> list[PositionKey]:
        """All that is open is listed; the slots of ours that are among it are returned."""
        known, self._context.portfolio.unrecognized_orders = self._context.portfolio.unrecognized_orders, {}
        keys = [self._record(order, known, is_listed_open=True) for order in snapshot.unrecognized_orders]
        self._record_positions([each for each in snapshot.unrecognized_positions if not each.is_flat])
        return [key for key in keys if key is not None]

    def on_stream_event(self, order: UnrecognizedOrder) -> Iterable[PositionKey]:
        """By the private stream: what became of it REST may say in words we know; if not, that it is listed at all."""
        portfolio = self._context.portfolio
        key = self._record(order, portfolio.unrecognized_orders, is_listed_open=False)
        if key is None and order.status in _CLOSED_STATUSES:
            portfolio.unrecognized_orders.pop(order.key, None)
        self._request_account()
        return () if key is None else (key,)

    def on_order_list(self, event: OrdersFetched) -> None:
        """Among all orders of a symbol, ended ones too: ours that is named there has come to be."""
        for unrecognized in event.unrecognized:
            order = self._context.portfolio.orders.get(unrecognized.client_order_id)
            if order is not None and order.is_open:
                self._record_own(order, unrecognized, is_listed_open=False)

    def _request_account(self) -> None:
        """Something was told that only the account itself can make clear; not at the speed of the stream."""
        if self._context.may_request("strange words", _REQUEST_INTERVAL_MS):
            self._context.request_snapshot("an event is not understood", repeat_if_pending=True)

    def _record(
        self, unrecognized: UnrecognizedOrder, known: Container[tuple[str, int]], *, is_listed_open: bool
    ) -> PositionKey | None:
        """The slot of an order of ours that is open for all we know; any other stands in the way of entries."""
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
                f"{order.role} {order.client_order_id} of {order.symbol} is told in words not known here "
                f"({unrecognized.problem}): it counts as {order.status} and is asked about. "
                "Look at it on the exchange's site",
                order.symbol,
            )
        return order.symbol, order.request.position_side

    def _warn_external(self, unrecognized: UnrecognizedOrder) -> None:
        self._log(unrecognized.symbol, unrecognized.client_order_id, unrecognized.problem)
        if self._is_first_report(unrecognized.symbol, unrecognized.problem):
            origin = "bears a name of the bot and is unknown here" if unrecognized.is_ours else "is not the bot's"
            self._context.warn(
                f"an order of {unrecognized.symbol} {origin}, and is told in words not known here "
                f"({unrecognized.problem}): it is left alone, and no entry is made "
                f"in {unrecognized.symbol} while it is there",
                unrecognized.symbol,
            )

    def _record_positions(self, positions: Sequence[UnrecognizedPosition]) -> None:
        messages = [
            f"a position of {each.symbol} is told in words not known here ({each.problem})" for each in positions
        ]
        reason = f"{'; '.join(messages)}: look at it on the exchange's site" if messages else None
        self._context.trading_status.set_or_clear(EntryBlock.UNRECOGNIZED_POSITION, reason)
        for each, message in zip(positions, messages, strict=True):
            if self._is_first_report(each.symbol, each.problem):
                self._log(each.symbol, "position", each.problem)
                self._context.alert(f"{message}: entries wait, and what is the bot's stays protected", each.symbol)

    def _is_first_report(self, subject: str, fault: str) -> bool:
        """Said once; an account full of such orders must not fill the journal."""
        if (subject, fault) in self._reported or len(self._reported) >= _MAX_REPORTED:
            return False
        self._reported.add((subject, fault))
        return True

    def _log(self, symbol: str, name: str, fault: str) -> None:
        self.count += 1
        log.warning("not understood number=%s symbol=%s name=%s reason=%s", self.count, symbol, name, fault)
