"""Polls the account by REST: is the exchange responding, and does it know something our streams missed?"""

from datetime import UTC, datetime
from decimal import Decimal

from src.core.context import TraderContext
from src.core.events import ExchangeHealth
from src.core.health.stream_health import StreamHealth
from src.core.orders.order_manager import OrderManager
from src.core.trading_status import EntryBlock
from src.domain.clock import MINUTE_MS
from src.domain.commands import CheckPositions, TakeSnapshot
from src.domain.events import CommandFailed, PositionsChecked
from src.domain.numbers import ZERO
from src.domain.positions import PositionKey, Snapshot

_TIMEOUT_MS = 5_000
"""Entries are blocked after this time without a response: at most ten seconds with the poll interval (F19)."""


MIN_OUTAGE_MS = 30_000


class Outage:
    """From the first unanswered read until the account was read again: reported by one alert at its end."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._since: int | None = None
        self._held: dict[PositionKey, Decimal] = {}

    def begin(self) -> None:
        """Remember when the exchange stopped responding and what was held; nothing if it already had."""
        if self._since is None:
            self._since, self._held = self._context.clock.now_ms(), self._positions()

    def end(self) -> None:
        """Report an outage of more than half a minute; call it once reads work and the user data stream is trusted."""
        if self._since is None:
            return
        since, now_ms = self._since, self._context.clock.now_ms()
        self._since = None
        if now_ms - since >= MIN_OUTAGE_MS:
            self._context.warn(
                f"the exchange could not be reached from {_time(since)} to {_time(now_ms)} UTC "
                f"({max(1, round((now_ms - since) / MINUTE_MS))} min): liquidations of that time led to no entry. "
                f"Stop losses stayed at the exchange; {self._changes()}"
            )

    def _changes(self) -> str:
        held = self._positions()
        changes = [
            f"{symbol} {side} {self._held.get((symbol, side), ZERO)} → {held.get((symbol, side), ZERO)}"
            for symbol, side in sorted({**self._held, **held})
            if self._held.get((symbol, side)) != held.get((symbol, side))
        ]
        return f"positions changed meanwhile: {', '.join(changes)}" if changes else "all positions are as before"

    def _positions(self) -> dict[PositionKey, Decimal]:
        return {each.key: each.position.quantity for each in self._context.portfolio.open_positions()}


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S")


class RestHealth:
    """Polls every two seconds: positions only, or a snapshot while the user data stream is unreliable (I27).

    When half of the request weight is used up, positions only: a difference in them leads to a snapshot.
    """

    def __init__(self, context: TraderContext, streams: StreamHealth, orders: OrderManager) -> None:
        self._context = context
        self._streams = streams
        self._orders = orders
        self._outage = Outage(context)
        self._is_weight_short = False
        self._requested_at: int | None = None
        """Monotonic time; None while no request is pending."""

    def poll(self) -> None:
        """Send the next request."""
        if not self._streams.is_user_stream_ok and not self._is_weight_short:
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
            self._block(f"the account cannot be read: {event.reason}")

    def check(self, exchange_health: ExchangeHealth) -> None:
        """Block entries if a request stays unanswered; report an outage that has ended."""
        self._is_weight_short = exchange_health.weight_used * 2 > exchange_health.weight_limit > 0
        waited_ms = 0 if self._requested_at is None else self._context.clock.monotonic_ms() - self._requested_at
        if waited_ms > _TIMEOUT_MS:
            reason = f"the account cannot be read: no response for {waited_ms // 1000} s"
            self._block(reason)
        elif not self._context.trading_status.has(EntryBlock.REST) and self._streams.is_user_stream_ok:
            self._outage.end()

    def _block(self, reason: str) -> None:
        self._outage.begin()
        self._context.trading_status.block(EntryBlock.REST, reason)

    def _on_response(self) -> None:
        """A request has succeeded."""
        self._requested_at = None
        self._context.trading_status.clear(EntryBlock.REST)
