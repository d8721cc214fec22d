"""Are our streams to be trusted? Judged by what they bring, not by their sockets (I26, I27)."""

from collections.abc import Callable

from src.core.desk import Desk
from src.core.standing import Obstacle
from src.domain.messages import Stream, StreamDown, StreamUp
from src.domain.positions import Snapshot

MARKET_SILENT_MS = 10_000
_BACKLOG_LIMIT = 5_000
MOST_CLOCK_OFFSET_MS = 1_000
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
        self._user_up_at = 0

    def start(self) -> None:
        for obstacle, name in _OBSTACLES.values():
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is not connected yet")

    def hear(self, stream: Stream, at: int) -> None:
        self.heard_at[stream] = at

    def on_change(self, event: StreamUp | StreamDown) -> None:
        """A stream is trusted again only after what it missed has been read (I27)."""
        self.states[event.stream] = "up" if isinstance(event, StreamUp) else "down"
        obstacle, name = _OBSTACLES[event.stream]
        if isinstance(event, StreamDown):
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is down: {event.reason}")
        elif event.stream is Stream.USER:
            self._user_up_at = event.at
            self._desk.standing.raise_obstacle(obstacle, "the private stream is new: the account is being read")
            self.hear(Stream.USER, event.at)
            self._ask("user stream up")

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """It has told what the private stream may have missed, unless it was asked for too early."""
        if self.states[Stream.USER] != "up":
            return
        if snapshot.asked_at < self._user_up_at:
            self._ask("the private stream came up after the last question")
        else:
            self._desk.standing.clear(Obstacle.USER_STREAM)

    def check_clock(self, offset_ms: int) -> None:
        """Signatures follow the exchange's clock; ages and windows follow ours, which must not lie far off (I25)."""
        is_off = abs(offset_ms) > MOST_CLOCK_OFFSET_MS
        reason = f"this computer's clock is {offset_ms} ms off the exchange's: set it by the network"
        self._desk.standing.settle(Obstacle.CLOCK, reason if is_off else None)

    def check_backlog(self, waiting: int) -> None:
        """Liquidations that wait too long to be judged are no signal any more."""
        is_late = waiting > _BACKLOG_LIMIT
        self._desk.standing.settle(Obstacle.BACKLOG, f"{waiting} liquidations wait to be judged" if is_late else None)

    def check_market(self, now_ms: int) -> None:
        heard_at = self.heard_at.get(Stream.MARKET)
        if heard_at is None or self.states[Stream.MARKET] != "up":
            return
        silent_ms = now_ms - heard_at
        is_stale = silent_ms > MARKET_SILENT_MS
        reason = f"no market price for {silent_ms // 1000} s" if is_stale else None
        self._desk.standing.settle(Obstacle.MARKET_STREAM, reason)
