"""Are our streams to be trusted? Judged by what they bring, not by their sockets (I26, I27)."""

from src.core.desk import Desk
from src.core.standing import Obstacle
from src.domain.messages import Stream, StreamDown, StreamUp

MARKET_SILENT_MS = 10_000
_OBSTACLES = {
    Stream.MARKET: (Obstacle.MARKET_STREAM, "market"),
    Stream.USER: (Obstacle.USER_STREAM, "private"),
}


class StreamWatch:
    """Keeps entries back while a stream is down, silent, or has not been caught up with."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.heard_at: dict[Stream, int] = {}
        self.states: dict[Stream, str] = dict.fromkeys(Stream, "connecting")

    def start(self) -> None:
        for obstacle, name in _OBSTACLES.values():
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is not connected yet")

    def hear(self, stream: Stream, at: int) -> None:
        self.heard_at[stream] = at

    def on_change(self, event: StreamUp | StreamDown) -> None:
        self.states[event.stream] = "up" if isinstance(event, StreamUp) else "down"
        if isinstance(event, StreamDown):
            obstacle, name = _OBSTACLES[event.stream]
            self._desk.standing.raise_obstacle(obstacle, f"the {name} stream is down: {event.reason}")

    def caught_up(self) -> None:
        """A snapshot has told what the private stream may have missed."""
        if self.states[Stream.USER] == "up":
            self._desk.standing.clear(Obstacle.USER_STREAM)

    def check_market(self, now_ms: int) -> None:
        heard_at = self.heard_at.get(Stream.MARKET)
        if heard_at is None or self.states[Stream.MARKET] != "up":
            return
        silent_ms = now_ms - heard_at
        is_stale = silent_ms > MARKET_SILENT_MS
        reason = f"no market price for {silent_ms // 1000} s" if is_stale else None
        self._desk.standing.settle(Obstacle.MARKET_STREAM, reason)
