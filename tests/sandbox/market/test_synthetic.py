"""The synthetic market: repeatable, active, and with realistic sizes."""

from itertools import islice
from statistics import median, quantiles

from src.domain.market import Liquidation
from src.sandbox.market.listings import load_listings
from src.sandbox.market.source import PriceMove
from src.sandbox.market.synthetic import QUIET, MarketProfile, SyntheticSource

MINUTE_MS = 60_000


def source(seed: int = 1, profile: MarketProfile | None = None) -> SyntheticSource:
    return SyntheticSource(load_listings().values(), 0, seed, profile)


def test_same_seed_gives_the_same_market() -> None:
    one, again, other = (list(islice(source(seed).events(MINUTE_MS), 3000)) for seed in (7, 7, 8))

    assert one == again
    assert one != other


def test_first_cascade_exceeds_the_demo_thresholds_within_20_s() -> None:
    for seed in range(5):
        early = [
            each for each in source(seed).events(20_000) if isinstance(each, Liquidation) and each.traded_at > 10_000
        ]
        sums = {symbol: sum(each.notional for each in early if each.symbol == symbol) for symbol in load_listings()}

        assert max(sums.values()) > 5_000


def test_sizes_resemble_recorded_liquidations() -> None:
    quiet = source(profile=MarketProfile(liquidations_per_minute=600, cascade_every_ms=None))
    sizes = [float(each.notional) for each in quiet.events(10 * MINUTE_MS) if isinstance(each, Liquidation)]

    assert 100 < median(sizes) < 700
    assert 1_500 < quantiles(sizes, n=10)[-1] < 12_000


def test_symbol_has_one_liquidation_per_second() -> None:
    seen: dict[str, int] = {}
    for each in source().events(5 * MINUTE_MS):
        if isinstance(each, Liquidation):
            assert each.event_at - seen.get(each.symbol, -1000) >= 1000
            seen[each.symbol] = each.event_at
    assert len(seen) > 6


def test_cascade_moves_the_price_and_reverts() -> None:
    profile = MarketProfile(volatility=0.0, liquidations_per_minute=0, first_cascade_ms=1_000, cascade_every_ms=10**9)
    moves = [each for each in source(3, profile).events(2 * MINUTE_MS) if isinstance(each, PriceMove)]
    paths = {symbol: [float(each.middle) for each in moves if each.symbol == symbol] for symbol in load_listings()}
    path = max(paths.values(), key=lambda prices: max(prices) / min(prices))
    deepest = max(path, key=lambda price: abs(price / path[0] - 1))

    assert 0.003 < abs(deepest / path[0] - 1) < 0.012
    assert abs(path[-1] / path[0] - 1) < abs(deepest / path[0] - 1) * 0.6


def test_quiet_market_moves_without_liquidations() -> None:
    events = list(source(profile=QUIET).events(MINUTE_MS))

    assert not any(isinstance(each, Liquidation) for each in events)
    assert len({each.middle for each in events if isinstance(each, PriceMove) and each.symbol == "BTCUSDT"}) > 10
