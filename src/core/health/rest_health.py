"""Does the exchange answer by REST, and does it know what our streams have not told? Looked at every few seconds."""

from src.core.account.account_sync import AccountSync
from src.core.context import TraderContext
from src.core.health.stream_health import StreamHealth
from src.core.orders.order_manager import OrderManager
from src.core.trading_status import EntryBlock
from src.domain.commands import CheckPositions, TakeSnapshot
from src.domain.events import CommandFailed, PositionsChecked
from src.domain.positions import Snapshot

_TIMEOUT_MS = 5_000
"""No answer for so long is an answer: with the look's own pause entries wait within ten seconds (F19)."""


class RestHealth:
    """Every two seconds: the whole account while the private stream is not to be trusted (I27), else its positions."""

    def __init__(
        self, context: TraderContext, streams: StreamHealth, account: AccountSync, orders: OrderManager
    ) -> None:
        self._context = context
        self._streams = streams
        self._account = account
        self._orders = orders
        self._requested_at: int | None = None
        """Monotonic; None while no question is open."""

    def poll(self) -> None:
        """It is time for a look."""
        if not self._streams.is_user_stream_ok:
            self._account.poll_snapshot("the private stream is not to be trusted")
        elif self._requested_at is None:
            self._context.queue_command(CheckPositions())
        if self._requested_at is None:
            self._requested_at = self._context.clock.monotonic_ms()

    def on_checked(self, event: PositionsChecked) -> None:
        """The exchange answers; where a position is not as we know it, all is read, and our orders there are asked
        about: a fill that nobody told must not wait for its protection."""
        self._on_response()
        different = self._streams.find_mismatches(event.positions)
        if different:
            self._account.request_snapshot("a position differs")
        for key in different:
            for order in self._context.portfolio.orders_for(key):
                if order.is_open:
                    self._orders.mark_unresolved(order)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """All was read; what the private stream has not told of it is its debt."""
        self._on_response()
        self._streams.find_mismatches(snapshot.positions)

    def on_failed(self, event: CommandFailed) -> None:
        if isinstance(event.command, CheckPositions | TakeSnapshot):
            self._requested_at = None
            self._context.trading_status.block(EntryBlock.REST, f"the account cannot be read: {event.reason}")

    def check(self) -> None:
        """An answer that does not come is no better than a failure."""
        waited_ms = 0 if self._requested_at is None else self._context.clock.monotonic_ms() - self._requested_at
        if waited_ms > _TIMEOUT_MS:
            reason = f"the account cannot be read: no answer for {waited_ms // 1000} s"
            self._context.trading_status.block(EntryBlock.REST, reason)

    def _on_response(self) -> None:
        """The account could be read."""
        self._requested_at = None
        self._context.trading_status.clear(EntryBlock.REST)
