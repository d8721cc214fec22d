"""A market in a hurry: twenty of its seconds pass in one of ours."""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from src.domain.market import Liquidation
from src.sandbox.source import Move, Print, Source, Step


class HurriedSource:
    """Plays another source so many times as fast; what it tells carries the instant at which it is told."""

    def __init__(self, inner: Source, started_at: int, speed: int) -> None:
        self._inner = inner
        self._started_at = started_at
        self._speed = speed
        self.played_ms = 0
        """How much of the market's time has been played."""

    def steps(self, now_ms: int) -> Iterator[Step]:
        self.played_ms = (now_ms - self._started_at) * self._speed
        for step in self._inner.steps(self._started_at + self.played_ms):
            yield _told_at(step, now_ms)

    def next_at(self) -> int:
        return self._started_at + (self._inner.next_at() - self._started_at) // self._speed


def _told_at(step: Step, now_ms: int) -> Step:
    match step:
        case Liquidation():
            return replace(step, traded_at=now_ms, event_at=now_ms, received_at=now_ms)
        case Move() | Print():
            return replace(step, at=now_ms)
        case _:
            assert_never(step)
