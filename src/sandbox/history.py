"""Candles from before the sandbox started, so that a chart has something to show."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

from src.sandbox.candles import MINUTE_MS, Candle
from src.sandbox.catalogue import Listing

_MINUTES = 500
_USUAL_TURNOVER = 100_000.0

History = Mapping[str, list[Candle]]


def made_up_history(listings: Iterable[Listing], at: int, seed: int) -> History:
    """One-minute candles of a walk that ends at each listing's price."""
    random = Random(seed)
    return {listing.symbol: _walked(listing, at - at % MINUTE_MS, random) for listing in listings}


def _walked(listing: Listing, until: int, random: Random) -> list[Candle]:
    """Walks backwards from the price the market starts at."""
    candles: list[Candle] = []
    close = float(listing.start_price)
    scale = listing.volatility * math.sqrt(60)
    for number in range(1, _MINUTES + 1):
        opened = close * math.exp(random.gauss(0.0, scale))
        high = max(opened, close) * (1 + abs(random.gauss(0.0, scale / 2)))
        low = min(opened, close) * (1 - abs(random.gauss(0.0, scale / 2)))
        turnover = random.lognormvariate(math.log(_USUAL_TURNOVER), 0.6)
        candles.append(_candle(listing, until - number * MINUTE_MS, (opened, high, low, close), turnover))
        close = opened
    return candles[::-1]


def _candle(listing: Listing, open_at: int, prices: tuple[float, float, float, float], turnover: float) -> Candle:
    grid = listing.instrument
    opened, high, low, close = (max(grid.price(Decimal(price)), grid.min_price) for price in prices)
    volume = grid.quantity(Decimal(turnover) / close)
    notional = volume * close
    return Candle(
        open_at,
        open_at + MINUTE_MS - 1,
        opened,
        high,
        low,
        close,
        volume,
        notional,
        volume / 2,
        notional / 2,
        trades=60,
    )


def recorded_history(candles: History, recorded_at: int, at: int) -> History:
    """Recorded candles of before the replay, moved so that the recording's beginning falls on ``at``.

    Wider candles than a minute are kept as they are: each counts as the minute it begins with.
    """
    shift = (at - recorded_at) // MINUTE_MS * MINUTE_MS
    return {
        symbol: [
            replace(bar, open_at=bar.open_at + shift, close_at=bar.open_at + shift + MINUTE_MS - 1)
            for bar in bars
            if bar.close_at < recorded_at
        ]
        for symbol, bars in candles.items()
    }
