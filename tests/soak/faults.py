"""Faults drawn at random, again and again, from a seed."""

from collections.abc import Callable
from random import Random

from src.sandbox.faults import GARBLED_ANSWERS, Fault, FaultKind

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
    lambda draw: Fault(FaultKind.REFUSED, path=draw.choice(_ORDERS), method="POST", value=draw.choice((1111, 2019))),
    lambda draw: Fault(
        FaultKind.GARBLED, path=draw.choice(_ORDERS), method="POST", value=draw.randrange(len(GARBLED_ANSWERS))
    ),
    lambda draw: Fault(FaultKind.GARBLED, path=draw.choice(_READS), method="GET", value=draw.randrange(3)),
    lambda draw: Fault(FaultKind.DELAY, times=draw.randrange(1, 4), value=draw.randrange(100, 1_500)),
    lambda draw: Fault(FaultKind.RATE_LIMITED, value=draw.randrange(1, 4)),
    lambda draw: Fault(FaultKind.BANNED, value=draw.randrange(1, 4)),
    lambda draw: Fault(FaultKind.STREAM_CUT, path=draw.choice(_STREAMS)),
    lambda draw: Fault(FaultKind.STREAM_MUTE, times=draw.randrange(1, 4), path="user"),
    lambda draw: Fault(FaultKind.DUPLICATED, times=draw.randrange(1, 4), path="user"),
    lambda draw: Fault(FaultKind.REORDERED, times=draw.randrange(1, 4), path="user"),
    lambda _: Fault(FaultKind.LISTEN_KEY_EXPIRED),
)


def a_fault(draw: Random) -> Fault:
    return draw.choice(_DRAWS)(draw)
