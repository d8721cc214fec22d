"""Health of the streams, judged by the data they deliver and not by their sockets (I26, I27)."""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from src.core.context import TraderContext
from src.core.event_queue import QueueStats
from src.core.events import ExchangeHealth, OrderResponse, TraderEvent
from src.core.trading_status import EntryBlock
from src.domain.clock import MAX_CLOCK_OFFSET_MS
from src.domain.enums import OrderStatus
from src.domain.events import AccountUpdate, MarketEvent, Stream, StreamDown, StreamUp
from src.domain.market import Liquidation, MarkPrice
from src.domain.orders import OrderUpdate
from src.domain.positions import PositionKey, PositionReport, Snapshot

STREAM_DEADLINE_MS = 5_000
MARKET_SILENT_MS = 10_000
_BACKLOG_LIMIT = 5_000
_UNRECOGNIZED_EVERY_MS = 5_000
_BURST_MS = 60_000
_SETTLED_MS = 5_000
"""From the third connection within a minute on, the account is read once the connection has lived this long."""
_CLOCK_TOLERANCE_MS = 1_000
"""Events this shortly after connecting may have happened before it, as clocks differ."""
_CONNECTED = "user data stream connected"
_STREAM_BLOCKS = {
    Stream.MARKET: (EntryBlock.MARKET_STREAM, "market"),
    Stream.USER: (EntryBlock.USER_STREAM, "user data"),
}


@dataclass(frozen=True, slots=True)
class _Expected:
    """An update that the stream must deliver."""

    subject: OrderUpdate | PositionReport
    seen_at: int
    """Monotonic time."""


class UserStreamCheck:
    """Compares the updates a connection delivered with what REST shows; ignores events from before it was opened."""

    def __init__(self) -> None:
        self._since = 0
        self._received_orders: dict[str, OrderUpdate] = {}
        self._received_at: dict[PositionKey, int] = {}
        self._expected: dict[str | PositionKey, _Expected] = {}

    def start(self, since_ms: int) -> None:
        """Reset for a new connection, which must deliver everything after this exchange time."""
        self._since = since_ms
        self._received_orders.clear()
        self._received_at.clear()
        self._expected.clear()

    def on_stream_order(self, update: OrderUpdate) -> None:
        """Record an order update from the stream; out of several out of order, the most advanced counts."""
        name = update.client_order_id
        known = self._received_orders.get(name)
        if known is None or not _covers(known, update):
            self._received_orders[name] = update
        expected = self._expected.get(name)
        if expected is not None and isinstance(expected.subject, OrderUpdate) and _covers(update, expected.subject):
            del self._expected[name]
        if update.fill is not None:
            self._on_stream_position((update.symbol, update.position_side), update.event_at)

    def on_stream_account(self, update: AccountUpdate) -> None:
        for change in update.positions:
            self._on_stream_position((change.position.symbol, change.position.position_side), update.event_at)

    def on_rest_order(self, update: OrderUpdate, now_ms: int) -> None:
        """Expect the stream to deliver this order update from REST; ``now_ms`` is monotonic."""
        received = self._received_orders.get(update.client_order_id)
        if update.event_at > self._since and (received is None or not _covers(received, update)):
            self._expected[update.client_order_id] = _Expected(
                update, self._expected_since(update.client_order_id, now_ms)
            )

    def on_rest_position(self, report: PositionReport, now_ms: int) -> None:
        """Expect the stream to deliver this position difference; ``now_ms`` is monotonic."""
        key = report.symbol, report.position_side
        if report.updated_at > max(self._since, self._received_at.get(key, 0)):
            self._expected[key] = _Expected(report, self._expected_since(key, now_ms))

    def overdue(self, now_ms: int) -> str | None:
        """Description of an update the stream has failed to deliver in time, or None."""
        late = [
            expected.subject for expected in self._expected.values() if now_ms - expected.seen_at >= STREAM_DEADLINE_MS
        ]
        return _describe(late[0]) if late else None

    def forget(self, keep: Collection[str]) -> None:
        """Drop received updates of all orders but ``keep``."""
        self._received_orders = {name: update for name, update in self._received_orders.items() if name in keep}

    def _expected_since(self, key: str | PositionKey, now_ms: int) -> int:
        return self._expected[key].seen_at if key in self._expected else now_ms

    def _on_stream_position(self, key: PositionKey, event_at: int) -> None:
        self._received_at[key] = max(event_at, self._received_at.get(key, 0))
        expected = self._expected.get(key)
        if (
            expected is not None
            and isinstance(expected.subject, PositionReport)
            and expected.subject.updated_at <= event_at
        ):
            del self._expected[key]


def _covers(received: OrderUpdate, seen: OrderUpdate) -> bool:
    """Whether the received update includes everything that ``seen`` shows."""
    if received.filled_quantity < seen.filled_quantity:
        return False
    return received.status in (seen.status, *_LATER_STATUSES.get(seen.status, ())) or received.status.is_terminal


_LATER_STATUSES: dict[OrderStatus, Iterable[OrderStatus]] = {OrderStatus.NEW: (OrderStatus.PARTIALLY_FILLED,)}


def _describe(subject: OrderUpdate | PositionReport) -> str:
    if isinstance(subject, OrderUpdate):
        return f"order {subject.client_order_id} is {subject.status}"
    return f"the position of {subject.symbol} {subject.position_side} is {subject.quantity}"


class StreamHealth:
    """Blocks entries while a stream is down, silent or not yet resynced."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self.last_event_at: dict[Stream, int] = {}
        self.states: dict[Stream, str] = dict.fromkeys(Stream, "connecting")
        self._user_stream_check = UserStreamCheck()
        self._user_up_at = self._market_up_at = self._dropped = 0
        self._user_connections: deque[int] = deque(maxlen=3)
        """Monotonic times of the last connections of the user data stream."""
        self._read_at: int | None = None
        """Monotonic time at which the account is read after the last of a burst of connections."""
        self._offset_ms = 0

    def start(self) -> None:
        for entry_block, name in _STREAM_BLOCKS.values():
            self._context.trading_status.block(entry_block, f"the {name} stream is not connected yet")

    def record_activity(self, stream: Stream, at: int) -> None:
        self.last_event_at[stream] = at

    def on_market_event(self, event: MarketEvent) -> None:
        """Trust a new market connection from its first fresh event on, of whatever kind; later, the mark prices that
        come every second show that it is not silent.
        """
        is_new = self.states[Stream.MARKET] == "up" and Stream.MARKET not in self.last_event_at
        if isinstance(event, MarkPrice):
            self.record_activity(Stream.MARKET, min(event.received_at, self._context.clock.now_ms()))
        sent_at = event.event_at if isinstance(event, Liquidation) else event.at
        is_fresh = self._context.clock.now_ms() - sent_at <= MARKET_SILENT_MS
        if is_new and is_fresh and event.received_at >= self._market_up_at:
            self.record_activity(Stream.MARKET, event.received_at)
            self._context.trading_status.clear(EntryBlock.MARKET_STREAM)

    def on_connection_change(self, event: StreamUp | StreamDown) -> None:
        """Handle a stream going up or down; it is trusted again only after a resync (I27)."""
        was, self.states[event.stream] = self.states[event.stream], "up" if isinstance(event, StreamUp) else "down"
        entry_block, name = _STREAM_BLOCKS[event.stream]
        if isinstance(event, StreamDown):
            self._read_at = None if event.stream is Stream.USER else self._read_at
            self._context.trading_status.block(entry_block, f"the {name} stream is down: {event.reason}")
        elif event.stream is Stream.MARKET:
            if was != "up":
                self._market_up_at = event.at
                self.last_event_at.pop(Stream.MARKET, None)  # trusted once its subscriptions deliver data
        else:
            self._user_up_at = event.at
            self._user_stream_check.start(event.at + self._offset_ms + _CLOCK_TOLERANCE_MS)
            self._context.trading_status.block(entry_block, "user data stream connected, resyncing the account")
            self.record_activity(Stream.USER, event.at)
            self._read_after_connecting()

    def _read_after_connecting(self) -> None:
        """Read the account, at once or, in a burst of connections, when the last of them has lived for a while."""
        now_ms = self._context.clock.monotonic_ms()
        self._user_connections.append(now_ms)
        is_burst = len(self._user_connections) == 3 and now_ms - self._user_connections[0] < _BURST_MS
        self._read_at = now_ms + _SETTLED_MS if is_burst else None
        if not is_burst:
            self._context.request_snapshot(_CONNECTED)

    @property
    def is_user_stream_ok(self) -> bool:
        return not self._context.trading_status.has(EntryBlock.USER_STREAM)

    def observe(self, event: TraderEvent) -> None:
        """Record account and order updates from the user data stream and from REST responses."""
        match event:
            case AccountUpdate():
                self.record_activity(Stream.USER, self._context.clock.now_ms())
                self._user_stream_check.on_stream_account(event)
                if event.unrecognized and self._context.may_request("unrecognized positions", _UNRECOGNIZED_EVERY_MS):
                    self._context.request_snapshot("a position was not recognized")
            case OrderUpdate():
                self.record_activity(Stream.USER, self._context.clock.now_ms())
                if event.is_ours:
                    self._user_stream_check.on_stream_order(event)
            case OrderResponse(update):
                self._on_rest_orders(update)

    def _on_rest_orders(self, *updates: OrderUpdate) -> None:
        """Expect the user data stream to deliver the same order updates soon."""
        for update in updates:
            if update.is_ours:
                self._user_stream_check.on_rest_order(update, self._context.clock.monotonic_ms())

    def find_mismatches(self, reports: Iterable[PositionReport]) -> list[PositionKey]:
        """Keys of positions that differ from the portfolio; the user data stream must report them soon."""
        different = [report for report in reports if self._differs(report)]
        for report in different:
            self._user_stream_check.on_rest_position(report, self._context.clock.monotonic_ms())
        return [(report.symbol, report.position_side) for report in different]

    def _differs(self, report: PositionReport) -> bool:
        """Whether a report differs from the portfolio; one older than our newest trade is ignored (F39)."""
        tracked = self._context.portfolio.tracked_positions.get((report.symbol, report.position_side))
        if tracked is None:
            return report.quantity != 0
        return report.quantity != tracked.position.quantity and report.updated_at >= tracked.filled_at

    def check_user_stream(self) -> None:
        """Reconnect the user data stream if it has not delivered an update in time (I27)."""
        if self.states[Stream.USER] != "up":
            return
        if self._read_at is not None and self._context.clock.monotonic_ms() >= self._read_at:
            self._read_at = None
            if not self.is_user_stream_ok:
                self._context.request_snapshot(_CONNECTED)
        missing = self._user_stream_check.overdue(self._context.clock.monotonic_ms())
        if missing is not None:
            self.states[Stream.USER] = "silent"
            reason = f"the user data stream missed an update: {missing}"
            self._context.trading_status.block(EntryBlock.USER_STREAM, reason)
            self._context.warn(f"{reason}; reconnecting it, polling the account every 2 s")
            self._context.reconnect_user_stream()  # not after the commit: a failing database must not delay it

    def forget_closed_orders(self) -> None:
        self._user_stream_check.forget(self._context.portfolio.orders)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Trust the user data stream again, unless the snapshot was requested before it connected."""
        self._on_rest_orders(*snapshot.open_orders)
        if self.states[Stream.USER] != "up":
            return
        if snapshot.requested_at < self._user_up_at:
            if self._read_at is not None:
                return
            self._context.request_snapshot("user data stream connected after the last request")
        else:
            self._context.trading_status.clear(EntryBlock.USER_STREAM)

    def check_clock(self, exchange_health: ExchangeHealth) -> None:
        """Block entries if our clock or this computer's clock is too far from the exchange's (I25)."""
        self._offset_ms = exchange_health.clock_offset_ms
        off = max(self._offset_ms, self._offset_ms - exchange_health.clock_drift_ms, key=abs)
        side = "ahead of" if off < 0 else "behind"
        reason = f"this computer's clock is {abs(off)} ms {side} the exchange's: sync it (NTP)"
        self._context.trading_status.set_or_clear(EntryBlock.CLOCK, reason if abs(off) > MAX_CLOCK_OFFSET_MS else None)

    def check_backlog(self, backlog: QueueStats) -> None:
        """Block entries while liquidations queue up: late ones are no signal any more."""
        is_late = backlog.waiting > _BACKLOG_LIMIT
        reason = f"{backlog.waiting} liquidations are queued" if is_late else None
        self._context.trading_status.set_or_clear(EntryBlock.QUEUE_BACKLOG, reason)
        self._context.store.set_state("event_queue", asdict(backlog))
        if backlog.dropped > self._dropped:
            self._context.warn(f"{backlog.dropped - self._dropped} liquidations dropped: queue full")
            self._dropped = backlog.dropped

    def check_market(self, now_ms: int) -> None:
        last_event_at = self.last_event_at.get(Stream.MARKET)
        if last_event_at is None or self.states[Stream.MARKET] != "up":
            return
        silent_ms = now_ms - last_event_at
        is_stale = silent_ms > MARKET_SILENT_MS
        reason = f"no market data for {silent_ms // 1000} s" if is_stale else None
        self._context.trading_status.set_or_clear(EntryBlock.MARKET_STREAM, reason)
