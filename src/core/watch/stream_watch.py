"""Are our streams to be trusted? Judged by what they bring, not by their sockets (I26, I27)."""

from collections.abc import Callable, Iterable
from dataclasses import asdict

from src.core.books import Slot
from src.core.desks.desk import Desk
from src.core.inbox import Backlog, TraderEvent
from src.core.order_answered import OrderAnswered
from src.core.plans.stream_proof import StreamProof
from src.core.standing import Obstacle
from src.core.vitals import Vitals
from src.domain.messages import AccountUpdate, Stream, StreamDown, StreamUp
from src.domain.orders import OrderUpdate
from src.domain.positions import PositionReport, Snapshot

MARKET_SILENT_MS = 10_000
_BACKLOG_LIMIT = 5_000
MOST_CLOCK_OFFSET_MS = 1_000
_STRANGE_MS = 5_000
_CLOCKS_DIFFER_MS = 1_000
"""What happened so shortly after the connection may, by clocks that differ, have happened before it."""
_OBSTACLES = {
    Stream.MARKET: (Obstacle.MARKET_STREAM, "market"),
    Stream.USER: (Obstacle.USER_STREAM, "private"),
}


class StreamWatch:
    """Keeps entries back while a stream is down, silent, or has not been caught up with."""

    def __init__(self, desk: Desk, ask: Callable[[str], None]) -> None:
        self._desk = desk
        self._ask = ask
        self.heard_at: dict[Stream, int] = {}
        self.states: dict[Stream, str] = dict.fromkeys(Stream, "connecting")
        self._proof = StreamProof()
        self._user_up_at = self._dropped = 0
        self._offset_ms = 0

    def start(self) -> None:
        for obstacle, name in _OBSTACLES.values():
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is not connected yet")

    def hear(self, stream: Stream, at: int) -> None:
        self.heard_at[stream] = at

    def on_change(self, event: StreamUp | StreamDown) -> None:
        """A stream is trusted again only after what it missed has been read (I27)."""
        was, self.states[event.stream] = self.states[event.stream], "up" if isinstance(event, StreamUp) else "down"
        obstacle, name = _OBSTACLES[event.stream]
        if isinstance(event, StreamDown):
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is down: {event.reason}")
        elif event.stream is Stream.MARKET:
            if was != "up":
                self.heard_at.pop(Stream.MARKET, None)  # its subscriptions are proven by what they bring
        else:
            self._user_up_at = event.at
            self._proof.begin(event.at + self._offset_ms + _CLOCKS_DIFFER_MS)
            self._desk.standing.raise_obstacle(obstacle, "the private stream is new: the account is being read")
            self.hear(Stream.USER, event.at)
            self._ask("user stream up")

    @property
    def is_private_trusted(self) -> bool:
        return not self._desk.standing.has(Obstacle.USER_STREAM)

    def listen(self, event: TraderEvent) -> None:
        """Whatever the private stream has told, and what REST has answered."""
        match event:
            case AccountUpdate():
                self.hear(Stream.USER, self._desk.clock.now_ms())
                self._proof.hear_account(event)
                if event.strange and self._desk.may_ask("strange positions", _STRANGE_MS):
                    self._ask("a position is not understood")
            case OrderUpdate():
                self.hear(Stream.USER, self._desk.clock.now_ms())
                if event.is_ours:
                    self._proof.hear_order(event)
            case OrderAnswered(update):
                self._on_seen(update)

    def _on_seen(self, *updates: OrderUpdate) -> None:
        """REST has told of orders: the private stream must tell the same soon."""
        for update in updates:
            if update.is_ours:
                self._proof.see_order(update, self._desk.clock.monotonic_ms())

    def compare(self, reports: Iterable[PositionReport]) -> list[Slot]:
        """The positions that are not as we know them; the private stream must tell of them soon."""
        different = [report for report in reports if self._differs(report)]
        for report in different:
            self._proof.see_position(report, self._desk.clock.monotonic_ms())
        return [(report.symbol, report.position_side) for report in different]

    def _differs(self, report: PositionReport) -> bool:
        """An old copy that knows less than our trades is no difference (F39)."""
        holding = self._desk.books.holdings.get((report.symbol, report.position_side))
        if holding is None:
            return report.quantity != 0
        return report.quantity != holding.position.quantity and report.updated_at >= holding.filled_at

    def check_private(self) -> None:
        """What the exchange knows and the stream has not told in time: the stream is mute, and opened anew (I27)."""
        if self.states[Stream.USER] != "up":
            return
        untold = self._proof.overdue(self._desk.clock.monotonic_ms())
        if untold is not None:
            self.states[Stream.USER] = "mute"
            reason = f"the private stream is mute: it has not told that {untold}"
            self._desk.standing.raise_obstacle(Obstacle.USER_STREAM, reason)
            self._desk.alert(f"{reason}; it is opened anew, and the account is read every 2 s")
            self._desk.renew_private()  # at once: it waits for no commit, and a ledger that fails must not hold it up

    def forget_ended(self) -> None:
        self._proof.forget(self._desk.books.orders)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """It has told what the private stream may have missed, unless it was asked for too early."""
        self._on_seen(*snapshot.open_orders)
        if self.states[Stream.USER] != "up":
            return
        if snapshot.asked_at < self._user_up_at:
            self._ask("the private stream came up after the last question")
        else:
            self._desk.standing.clear(Obstacle.USER_STREAM)

    def check_clock(self, vitals: Vitals) -> None:
        """Ages and windows follow our clock, which must not lie far off; nor must this computer's, which somebody
        may set while we run (I25)."""
        self._offset_ms = vitals.clock_offset_ms
        off = max(self._offset_ms, self._offset_ms - vitals.clock_strayed_ms, key=abs)
        side = "ahead of" if off < 0 else "behind"
        reason = f"this computer's clock is {abs(off)} ms {side} the exchange's: set it by the network"
        self._desk.standing.settle(Obstacle.CLOCK, reason if abs(off) > MOST_CLOCK_OFFSET_MS else None)

    def check_backlog(self, backlog: Backlog) -> None:
        """Liquidations that wait too long to be judged are no signal any more."""
        is_late = backlog.waiting > _BACKLOG_LIMIT
        reason = f"{backlog.waiting} liquidations wait to be judged" if is_late else None
        self._desk.standing.settle(Obstacle.BACKLOG, reason)
        self._desk.store.set_state("inbox", asdict(backlog))
        if backlog.dropped > self._dropped:
            self._desk.alert(f"{backlog.dropped - self._dropped} liquidations came too fast to be stored or judged")
            self._dropped = backlog.dropped

    def check_market(self, now_ms: int) -> None:
        heard_at = self.heard_at.get(Stream.MARKET)
        if heard_at is None or self.states[Stream.MARKET] != "up":
            return
        silent_ms = now_ms - heard_at
        is_stale = silent_ms > MARKET_SILENT_MS
        reason = f"no market price for {silent_ms // 1000} s" if is_stale else None
        self._desk.standing.settle(Obstacle.MARKET_STREAM, reason)
