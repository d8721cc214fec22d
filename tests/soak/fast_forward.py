"""A market that runs faster than real time, and random faults."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import assert_never

from src.domain.market import Liquidation
from src.sandbox.faults import GARBLED_RESPONSES, Fault, FaultKind
from src.sandbox.market.source import MarketEvent, MarketSource, PriceMove, TakerTrade


class FastForwardSource:
    """Plays another source ``speed`` times as fast; events get the time at which they are emitted."""

    def __init__(self, inner: MarketSource, started_at: int, speed: int) -> None:
        self._inner = inner
        self._started_at = started_at
        self._speed = speed
        self.played_ms = 0
        """Market time played so far."""

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        self.played_ms = (now_ms - self._started_at) * self._speed
        for event in self._inner.events(self._started_at + self.played_ms):
            yield _with_time(event, now_ms)

    def next_at(self) -> int:
        return self._started_at + (self._inner.next_at() - self._started_at) // self._speed


def _with_time(event: MarketEvent, now_ms: int) -> MarketEvent:
    match event:
        case Liquidation():
            return replace(event, traded_at=now_ms, event_at=now_ms, received_at=now_ms)
        case PriceMove() | TakerTrade():
            return replace(event, at=now_ms)
        case _:
            assert_never(event)


_ORDERS = ("-e", "-s", "-t", "-c")
"""Parts of client order ids: entries, stop losses, take profits, closes."""
_READS = ("positionRisk", "openOrders", "userTrades", "account", "order")
_REPORTS = (FaultKind.POSITION_TIME_ZERO, FaultKind.POSITION_TIME_OF_ACCOUNT, FaultKind.FLAT_OMITTED)
_STREAMS = ("user", "user", "forceOrder", "bookTicker")

FaultFactory = Callable[[Random], Fault]


def _order_fault(kind: FaultKind) -> FaultFactory:
    return lambda random: Fault(kind, path=random.choice(_ORDERS), method="POST")


_FACTORIES: tuple[FaultFactory, ...] = (
    *(
        _order_fault(kind)
        for kind in (
            FaultKind.UNKNOWN_OUTCOME,
            FaultKind.DROPPED_REPLY,
            FaultKind.UNAVAILABLE,
            FaultKind.BAD_TIMESTAMP,
        )
    ),
    lambda random: Fault(
        FaultKind.REJECTED, path=random.choice(_ORDERS), method="POST", value=random.choice((1111, 2019))
    ),
    lambda random: Fault(
        FaultKind.GARBLED, path=random.choice(_ORDERS), method="POST", value=random.randrange(len(GARBLED_RESPONSES))
    ),
    lambda random: Fault(FaultKind.GARBLED, path=random.choice(_READS), method="GET", value=random.randrange(3)),
    lambda random: Fault(FaultKind.DELAY, times=random.randrange(1, 4), value=random.randrange(100, 1_500)),
    lambda random: Fault(FaultKind.RATE_LIMITED, value=random.randrange(1, 4)),
    lambda random: Fault(FaultKind.BANNED, value=random.randrange(1, 4)),
    lambda random: Fault(FaultKind.STREAM_CUT, path=random.choice(_STREAMS)),
    lambda random: Fault(FaultKind.STREAM_SILENT, times=random.randrange(1, 4), path="user"),
    lambda random: Fault(FaultKind.DUPLICATED, times=random.randrange(1, 4), path="user"),
    lambda random: Fault(FaultKind.REORDERED, times=random.randrange(1, 4), path="user"),
    lambda _: Fault(FaultKind.LISTEN_KEY_EXPIRED),
    lambda random: Fault(FaultKind.ACCOUNT_EVENT_FIRST, times=random.randrange(1, 6), value=50),
    lambda random: Fault(FaultKind.STAMPS_DIFFER, times=random.randrange(1, 6), value=random.randrange(-50, 51)),
    lambda random: Fault(random.choice(_REPORTS), times=random.randrange(2, 20)),
    lambda random: Fault(FaultKind.USER_EVENT, new=random.choice(("announcement", "STRATEGY_UPDATE"))),
    lambda random: Fault(FaultKind.MAINTENANCE, value=random.randrange(1, 8)),
)


def a_fault(random: Random) -> Fault:
    return random.choice(_FACTORIES)(random)
