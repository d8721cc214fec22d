"""Polls the account by REST: is the exchange responding, and does it know something our streams missed?"""

from src.core.context import TraderContext
from src.core.health.stream_health import StreamHealth
from src.core.orders.order_manager import OrderManager
from src.core.trading_status import EntryBlock
from src.domain.commands import CheckPositions, TakeSnapshot
from src.domain.events import CommandFailed, PositionsChecked
from src.domain.positions import Snapshot

_TIMEOUT_MS = 5_000
"""Entries are blocked after this time without a response: at most ten seconds with the poll interval (F19)."""


class RestHealth:
    """Polls every two seconds: positions only, or a full snapshot while the user data stream is unreliable (I27)."""

    def __init__(self, context: TraderContext, streams: StreamHealth, orders: OrderManager) -> None:
        self._context = context
        self._streams = streams
        self._orders = orders
        self._requested_at: int | None = None
        """Monotonic time; None while no request is pending."""

    def poll(self) -> None:
        """Send the next request."""
        if not self._streams.is_user_stream_ok:
            self._context.request_snapshot("the user data stream is unreliable", is_poll=True)
        elif self._requested_at is None:
            self._context.queue_command(CheckPositions())
        if self._requested_at is None:
            self._requested_at = self._context.clock.monotonic_ms()

    def on_checked(self, event: PositionsChecked) -> None:
        """Compare the positions; on a difference, request a snapshot and query the orders of that position.

        A fill that was not reported must not delay its protection.
        """
        self._on_response()
        different = self._streams.find_mismatches(event.positions)
        if different:
            self._context.request_snapshot("a position differs")
        for key in different:
            for order in self._context.portfolio.orders_for(key):
                if order.is_open:
                    self._orders.mark_unresolved(order)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Compare the snapshot's positions; the user data stream is expected to report any difference."""
        self._on_response()
        self._streams.find_mismatches(snapshot.positions)

    def on_failed(self, event: CommandFailed) -> None:
        if isinstance(event.command, CheckPositions | TakeSnapshot):
            self._requested_at = None
            self._context.trading_status.block(EntryBlock.REST, f"the account cannot be read: {event.reason}")

    def check(self) -> None:
        """Block entries if a request stays unanswered."""
        waited_ms = 0 if self._requested_at is None else self._context.clock.monotonic_ms() - self._requested_at
        if waited_ms > _TIMEOUT_MS:
            reason = f"the account cannot be read: no response for {waited_ms // 1000} s"
            self._context.trading_status.block(EntryBlock.REST, reason)

    def _on_response(self) -> None:
        """A request has succeeded."""
        self._requested_at = None
        self._context.trading_status.clear(EntryBlock.REST)
