"""A process that stood still, by a signal, a suspended machine or a swapped-out page: what it knows is old (F42)."""

from collections.abc import Callable
from dataclasses import dataclass

from src.core.desks.desk import Desk
from src.core.standing import Obstacle
from src.domain.clock import Clock
from src.domain.positions import Snapshot

LONGEST_TURN_MS = 5_000
"""No turn of a loop takes so long while the process runs."""


@dataclass(frozen=True, slots=True)
class StoodStill:
    """The process has not run for so long, and runs again."""

    span_ms: int
    at: int


class Turns:
    """Measures the turns of one loop, by both clocks: that of a suspended machine may stop one of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned_at = clock.monotonic_ms(), clock.now_ms()

    def stood_still(self) -> StoodStill | None:
        """Called once a turn: what happened since the last call, where that was no ordinary turn."""
        before, now = self._turned_at, (self._clock.monotonic_ms(), self._clock.now_ms())
        self._turned_at = now
        span_ms = max(now[0] - before[0], now[1] - before[1])
        return StoodStill(span_ms, now[1]) if span_ms > LONGEST_TURN_MS else None


class StandstillDesk:
    """Keeps entries back after a standstill until the account has been read anew."""

    def __init__(self, desk: Desk, ask: Callable[[str], None]) -> None:
        self._desk = desk
        self._ask = ask
        self._woke_at = 0

    def on_woken(self, event: StoodStill) -> None:
        self._woke_at = event.at
        reason = f"the process stood still for {event.span_ms / 1000:.0f} s: the account is being read"
        self._desk.standing.raise_obstacle(Obstacle.STANDSTILL, reason)
        self._desk.alert(reason)
        self._ask("the process stood still")

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """One that was asked for before may tell of a world that is gone."""
        if not self._desk.standing.has(Obstacle.STANDSTILL):
            return
        if snapshot.asked_at < self._woke_at:
            self._ask("the process stood still after the last question")
        else:
            self._desk.standing.clear(Obstacle.STANDSTILL)
