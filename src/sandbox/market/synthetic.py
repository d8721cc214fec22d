"""A synthetic market: seeded random walks, single liquidations, and cascades that move the price and then revert.

Sizes and rates follow recordings of real exchanges: sizes are log-normal with a median of some hundred dollars and a
90th percentile about fourteen times that; a cascade has 6 to 19 liquidations within seconds. The walk uses ``float``;
every published price is rounded to the tick size.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

from src.domain.enums import Side
from src.domain.market import Liquidation
from src.sandbox.market.listings import Listing
from src.sandbox.market.source import LiquidationThrottle, MarketEvent, PriceMove, TakerTrade

TICK_MS = 200
_SIZE_SIGMA = 2.08
"""Standard deviation of the logarithm of a liquidation's size: the 90th percentile is 14 times the median."""
_MAX_SIZE = 400_000.0
_REBOUND = 0.8
"""Fraction of a cascade's price move that reverts."""
_LIMIT_GAP = Decimal("0.004")
"""Relative distance between the limit price and the fill price of a liquidation order."""


@dataclass(frozen=True, slots=True)
class MarketProfile:
    """How active a synthetic market is."""

    volatility: float = 1.0
    """Factor on the volatility of each listing."""
    liquidations_per_minute: float = 16.0
    """Single liquidations of all symbols together."""
    first_cascade_ms: int = 11_000
    cascade_every_ms: int | None = 13_000
    """Mean time between cascades; None for no cascades."""
    cascade_symbols: int = 6
    """Cascades happen in this many of the first listings."""


QUIET = MarketProfile(volatility=0.6, liquidations_per_minute=0.0, cascade_every_ms=None)


@dataclass(slots=True)
class _Cascade:
    side: Side
    ends_at: int
    push: float
    """Relative price change per second during the cascade."""
    events: list[int]
    size: float


@dataclass(slots=True)
class _Walk:
    listing: Listing
    price: float
    home: float
    """Price to which the walk slowly returns, so that it does not drift away within a day."""
    displacement: float = 0.0
    """Relative price move of a cascade that has not reverted yet."""
    cascade: _Cascade | None = field(default=None)


class SyntheticSource:
    """Events of a synthetic market; the same seed and start time give the same events."""

    def __init__(
        self,
        listings: Iterable[Listing],
        started_at: int,
        seed: int,
        profile: MarketProfile | None = None,
        prices: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._random = Random(seed)
        self._profile = profile or MarketProfile()
        known = prices or {}
        self._walks = [_walk(listing, known.get(listing.symbol, listing.start_price)) for listing in listings]
        self._throttle = LiquidationThrottle()
        self._tick_at = started_at + TICK_MS
        self._cascade_at = started_at + self._profile.first_cascade_ms

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        while self._tick_at <= now_ms:
            yield from self._tick(self._tick_at)
            self._tick_at += TICK_MS

    def next_at(self) -> int:
        return self._tick_at

    def _tick(self, at: int) -> Iterator[MarketEvent]:
        if self._profile.cascade_every_ms is not None and at >= self._cascade_at:
            self._start_cascade(at)
            self._cascade_at = at + round(self._profile.cascade_every_ms * self._random.uniform(0.6, 1.4))
        for event in self._throttle.take_due(at):
            yield replace(event, event_at=at)
        for walk in self._walks:
            yield self._move(walk, at)
            yield from self._taker_trades(walk, at)
            yield from self._liquidations(walk, at)

    def _start_cascade(self, at: int) -> None:
        idle = [walk for walk in self._walks[: self._profile.cascade_symbols] if walk.cascade is None]
        if not idle:
            return
        walk = self._random.choice(idle)
        span_ms = self._random.randrange(4_000, 9_000)
        depth = self._random.uniform(0.003, 0.007)
        walk.cascade = _Cascade(
            side=self._random.choice((Side.BUY, Side.SELL)),
            ends_at=at + span_ms,
            push=depth / span_ms * 1000,
            events=sorted(at + self._random.randrange(span_ms) for _ in range(self._random.randrange(6, 20))),
            size=max(walk.listing.liquidation_median * 6, 2_500.0),
        )

    def _move(self, walk: _Walk, at: int) -> PriceMove:
        seconds = TICK_MS / 1000
        noise = self._random.gauss(0.0, walk.listing.volatility * self._profile.volatility * math.sqrt(seconds))
        pull = 0.0004 * seconds * math.log(walk.home / walk.price)
        walk.price *= math.exp(noise + pull + self._displacement(walk, at, seconds))
        grid = walk.listing.instrument
        return PriceMove(walk.listing.symbol, max(grid.price(Decimal(walk.price)), grid.min_price), at)

    def _displacement(self, walk: _Walk, at: int, seconds: float) -> float:
        """Return the relative price move of a cascade; after its end most of it reverts within half a minute."""
        if walk.cascade is not None and at < walk.cascade.ends_at:
            push = walk.cascade.side.sign * walk.cascade.push * seconds
            walk.displacement += push * _REBOUND
            return push
        walk.cascade = None
        back = -walk.displacement * min(seconds / 10, 1.0)
        walk.displacement += back
        return back

    def _taker_trades(self, walk: _Walk, at: int) -> Iterator[TakerTrade]:
        for side in (Side.BUY, Side.SELL):
            if self._random.random() < 0.35:
                value = self._random.lognormvariate(math.log(250.0), 1.6)
                yield TakerTrade(walk.listing.symbol, side, self._quantity(walk, value), at)

    def _liquidations(self, walk: _Walk, at: int) -> Iterator[MarketEvent]:
        chance = self._profile.liquidations_per_minute / len(self._walks) * TICK_MS / 60_000
        if self._random.random() < chance:
            side = self._random.choice((Side.BUY, Side.SELL))
            yield from self._liquidate(walk, side, walk.listing.liquidation_median, at)
        while walk.cascade is not None and walk.cascade.events and walk.cascade.events[0] <= at:
            walk.cascade.events.pop(0)
            yield from self._liquidate(walk, walk.cascade.side, walk.cascade.size, at)

    def _liquidate(self, walk: _Walk, side: Side, median: float, at: int) -> Iterator[MarketEvent]:
        size = min(self._random.lognormvariate(math.log(median), _SIZE_SIGMA), _MAX_SIZE)
        quantity = self._quantity(walk, size)
        yield TakerTrade(walk.listing.symbol, side, quantity, at)
        for event in self._throttle.add(make_liquidation(walk.listing, side, quantity, Decimal(walk.price), at), at):
            yield replace(event, event_at=at)

    def _quantity(self, walk: _Walk, value: float) -> Decimal:
        grid = walk.listing.instrument
        return max(grid.quantity(Decimal(value) / Decimal(walk.price)), grid.min_quantity)


def make_liquidation(listing: Listing, side: Side, quantity: Decimal, price: Decimal, at: int) -> Liquidation:
    """Build a liquidation filled at ``price``, with a worse limit price as on the real exchange."""
    grid = listing.instrument
    return Liquidation(
        symbol=listing.symbol,
        side=side,
        quantity=quantity,
        price=grid.price(price * (1 + side.sign * _LIMIT_GAP)),
        average_price=grid.price(price),
        filled_quantity=quantity,
        traded_at=at,
        event_at=at,
        received_at=at,
    )


def _walk(listing: Listing, price: Decimal) -> _Walk:
    return _Walk(listing, float(price), float(price))
