"""The made-up market: repeatable, lively, and sized like the real one."""

from itertools import islice
from statistics import median, quantiles

from src.domain.market import Liquidation
from src.sandbox.market.listings import load_listings
from src.sandbox.market.source import PriceMove
from src.sandbox.market.synthetic import QUIET, MarketProfile, SyntheticSource

MINUTE_MS = 60_000


def source(seed: int = 1, temper: MarketProfile | None = None) -> SyntheticSource:
    return SyntheticSource(load_listings().values(), 0, seed, temper)


def test_the_same_seed_makes_the_same_market() -> None:
    one, again, other = (list(islice(source(seed).events(MINUTE_MS), 3000)) for seed in (7, 7, 8))

    assert one == again
    assert one != other


def test_the_first_cascade_comes_within_fifteen_seconds_and_passes_the_demo_thresholds() -> None:
    for seed in range(5):
        early = [
            each for each in source(seed).events(20_000) if isinstance(each, Liquidation) and each.traded_at > 10_000
        ]
        sums = {symbol: sum(each.notional for each in early if each.symbol == symbol) for symbol in load_listings()}

        assert max(sums.values()) > 5_000


def test_single_liquidations_are_sized_like_recorded_ones() -> None:
    calm = source(temper=MarketProfile(liquidations_per_minute=600, cascade_every_ms=None))
    sizes = [float(each.notional) for each in calm.events(10 * MINUTE_MS) if isinstance(each, Liquidation)]

    assert 100 < median(sizes) < 700
    assert 1_500 < quantiles(sizes, n=10)[-1] < 12_000


def test_no_symbol_is_pushed_twice_within_a_second() -> None:
    seen: dict[str, int] = {}
    for each in source().events(5 * MINUTE_MS):
        if isinstance(each, Liquidation):
            assert each.event_at - seen.get(each.symbol, -1000) >= 1000
            seen[each.symbol] = each.event_at
    assert len(seen) > 6


def test_a_cascade_pushes_the_price_and_lets_it_spring_back() -> None:
    temper = MarketProfile(volatility=0.0, liquidations_per_minute=0, first_cascade_ms=1_000, cascade_every_ms=10**9)
    moves = [each for each in source(3, temper).events(2 * MINUTE_MS) if isinstance(each, PriceMove)]
    paths = {symbol: [float(each.middle) for each in moves if each.symbol == symbol] for symbol in load_listings()}
    path = max(paths.values(), key=lambda prices: max(prices) / min(prices))
    deepest = max(path, key=lambda price: abs(price / path[0] - 1))

    assert 0.003 < abs(deepest / path[0] - 1) < 0.012
    assert abs(path[-1] / path[0] - 1) < abs(deepest / path[0] - 1) * 0.6


def test_a_quiet_market_moves_without_liquidations() -> None:
    steps = list(source(temper=QUIET).events(MINUTE_MS))

    assert not any(isinstance(each, Liquidation) for each in steps)
    assert len({each.middle for each in steps if isinstance(each, PriceMove) and each.symbol == "BTCUSDT"}) > 10
