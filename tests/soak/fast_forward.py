"""A market in a hurry: twenty of its seconds pass in one of ours."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import assert_never

from src.domain.market import Liquidation
from src.sandbox.faults import GARBLED_RESPONSES, Fault, FaultKind
from src.sandbox.market.source import MarketEvent, MarketSource, PriceMove, TakerTrade


class FastForwardSource:
    """Plays another source so many times as fast; what it tells carries the instant at which it is told."""

    def __init__(self, inner: MarketSource, started_at: int, speed: int) -> None:
        self._inner = inner
        self._started_at = started_at
        self._speed = speed
        self.played_ms = 0
        """How much of the market's time has been played."""

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        self.played_ms = (now_ms - self._started_at) * self._speed
        for step in self._inner.events(self._started_at + self.played_ms):
            yield _event_time(step, now_ms)

    def next_at(self) -> int:
        return self._started_at + (self._inner.next_at() - self._started_at) // self._speed


def _event_time(step: MarketEvent, now_ms: int) -> MarketEvent:
    match step:
        case Liquidation():
            return replace(step, traded_at=now_ms, event_at=now_ms, received_at=now_ms)
        case PriceMove() | TakerTrade():
            return replace(step, at=now_ms)
        case _:
            assert_never(step)


_ORDERS = ("-e", "-s", "-t", "-c")
"""Parts of client order ids: entries, stop losses, take profits, closes."""
_READS = ("positionRisk", "openOrders", "userTrades", "account", "order")
_STREAMS = ("user", "user", "forceOrder", "bookTicker")

Draw = Callable[[Random], Fault]


def _order_fault(kind: FaultKind) -> Draw:
    return lambda draw: Fault(kind, path=draw.choice(_ORDERS), method="POST")


_DRAWS: tuple[Draw, ...] = (
    *(
        _order_fault(kind)
        for kind in (
            FaultKind.UNKNOWN_OUTCOME,
            FaultKind.DROPPED_REPLY,
            FaultKind.UNAVAILABLE,
            FaultKind.BAD_TIMESTAMP,
        )
    ),
    lambda draw: Fault(FaultKind.REJECTED, path=draw.choice(_ORDERS), method="POST", value=draw.choice((1111, 2019))),
    lambda draw: Fault(
        FaultKind.GARBLED, path=draw.choice(_ORDERS), method="POST", value=draw.randrange(len(GARBLED_RESPONSES))
    ),
    lambda draw: Fault(FaultKind.GARBLED, path=draw.choice(_READS), method="GET", value=draw.randrange(3)),
    lambda draw: Fault(FaultKind.DELAY, times=draw.randrange(1, 4), value=draw.randrange(100, 1_500)),
    lambda draw: Fault(FaultKind.RATE_LIMITED, value=draw.randrange(1, 4)),
    lambda draw: Fault(FaultKind.BANNED, value=draw.randrange(1, 4)),
    lambda draw: Fault(FaultKind.STREAM_CUT, path=draw.choice(_STREAMS)),
    lambda draw: Fault(FaultKind.STREAM_SILENT, times=draw.randrange(1, 4), path="user"),
    lambda draw: Fault(FaultKind.DUPLICATED, times=draw.randrange(1, 4), path="user"),
    lambda draw: Fault(FaultKind.REORDERED, times=draw.randrange(1, 4), path="user"),
    lambda _: Fault(FaultKind.LISTEN_KEY_EXPIRED),
)


def a_fault(draw: Random) -> Fault:
    return draw.choice(_DRAWS)(draw)
