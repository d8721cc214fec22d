"""A scenario: the listed symbols, the source of their price moves, and their candle history."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

from src.domain.clock import MINUTE_MS
from src.sandbox.market.candles import Candle
from src.sandbox.market.listings import Listing, load_listings
from src.sandbox.market.source import MarketSource, StaticSource

_MINUTES = 500
_TYPICAL_TURNOVER = 100_000.0

History = Mapping[str, list[Candle]]


def synthetic_history(listings: Iterable[Listing], at: int, seed: int) -> History:
    """Return one-minute candles of random walks that end at the start price of each listing."""
    random = Random(seed)
    return {listing.symbol: _random_walk(listing, at - at % MINUTE_MS, random) for listing in listings}


def _random_walk(listing: Listing, until: int, random: Random) -> list[Candle]:
    """Generate the candles backwards from the start price."""
    candles: list[Candle] = []
    close = float(listing.start_price)
    scale = listing.volatility * math.sqrt(60)
    for number in range(1, _MINUTES + 1):
        opened = close * math.exp(random.gauss(0.0, scale))
        high = max(opened, close) * (1 + abs(random.gauss(0.0, scale / 2)))
        low = min(opened, close) * (1 - abs(random.gauss(0.0, scale / 2)))
        turnover = random.lognormvariate(math.log(_TYPICAL_TURNOVER), 0.6)
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
    """Return the recorded candles before the replay, shifted so that the recording starts at ``at``.

    A candle longer than a minute is used as the candle of its first minute.
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


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market to run. By default the built-in listings without price moves."""

    listings: Mapping[str, Listing] = field(default_factory=load_listings)
    make_source: Callable[[int], MarketSource] = lambda _started_at: StaticSource()
    """Creates the source; called with the start time, ms UTC."""
    make_history: Callable[[int], History] = lambda _started_at: {}
    """Creates the candles before the start time."""
    waits_for_subscriber: bool = False
    """Start when a client subscribes to all liquidations, so that it misses no row of a recording."""
