"""Names of market streams, like ``btcusdt@depth5@100ms`` and ``!markPrice@arr@1s`` (Websocket Market Streams)."""

import re
from dataclasses import dataclass

from src.sandbox.market.candles import INTERVALS_MS

_DEPTH = re.compile(r"^depth(5|10|20)?(?:@(100|250|500)ms)?$")
_MARK = re.compile(r"^markPrice(?:@(1s))?$")
_DAY = re.compile(r"^(ticker|miniTicker)$")
_KLINE = re.compile(r"^kline_(\w+)$")
_FAST_MARK_MS, _SLOW_MARK_MS = 1000, 3000
_DEPTH_MS, _KLINE_MS, _DAY_MS, _ALL_DAYS_MS = 250, 250, 500, 1000

ALL_LIQUIDATIONS = "!forceOrder@arr"
USER_STREAM = "user"
"""Name of the user data stream in faults; its real name is the listen key."""


@dataclass(frozen=True, slots=True)
class DepthStream:
    """The best levels of a book, or the changes of the whole book if ``levels`` is None."""

    name: str
    symbol: str
    levels: int | None
    interval_ms: int


@dataclass(frozen=True, slots=True)
class MarkStream:
    """Mark price of one symbol, or of all if ``symbol`` is None."""

    name: str
    symbol: str | None
    interval_ms: int


@dataclass(frozen=True, slots=True)
class KlineStream:
    """The current candle of a symbol."""

    name: str
    symbol: str
    interval: str
    interval_ms: int = _KLINE_MS


@dataclass(frozen=True, slots=True)
class DayTicker:
    """The 24 h ticker of one symbol, or of all changed ones if ``symbol`` is None."""

    name: str
    symbol: str | None
    is_mini: bool
    interval_ms: int


PeriodicStream = DepthStream | MarkStream | KlineStream | DayTicker


def parse_periodic(name: str) -> PeriodicStream | None:
    """Parse the name of a periodic stream; None for event streams and unknown names."""
    if name.startswith("!markPrice@arr"):
        return MarkStream(name, None, _FAST_MARK_MS if name.endswith("@1s") else _SLOW_MARK_MS)
    if name in ("!ticker@arr", "!miniTicker@arr"):
        return DayTicker(name, None, name == "!miniTicker@arr", _ALL_DAYS_MS)
    lower, _, kind = name.partition("@")
    symbol = lower.upper()
    if match := _DEPTH.match(kind):
        return DepthStream(name, symbol, int(match[1]) if match[1] else None, int(match[2] or _DEPTH_MS))
    if match := _MARK.match(kind):
        return MarkStream(name, symbol, _FAST_MARK_MS if match[1] else _SLOW_MARK_MS)
    if match := _DAY.match(kind):
        return DayTicker(name, symbol, match[1] == "miniTicker", _DAY_MS)
    match = _KLINE.match(kind)
    return KlineStream(name, symbol, match[1]) if match and match[1] in INTERVALS_MS else None


def fault_name(name: str) -> str:
    """Return the name that faults use for a stream of a client."""
    return name if "@" in name or name.startswith("!") else USER_STREAM


def event_streams(symbol: str, kind: str) -> tuple[str, str]:
    """Return the two streams of an event: of its symbol and of all symbols."""
    every = {"forceOrder": ALL_LIQUIDATIONS, "bookTicker": "!bookTicker", "aggTrade": "!aggTrade"}[kind]
    return f"{symbol.lower()}@{kind}", every
