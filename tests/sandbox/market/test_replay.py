"""A recording played through the market, without a socket."""

from decimal import Decimal
from itertools import pairwise

from src.domain.market import Liquidation
from src.sandbox.market.candles import Candle
from src.sandbox.market.listings import load_listings
from src.sandbox.market.recording import Recording, load_candles, load_recording
from src.sandbox.market.replay import ReplaySource, listings_for, make_price_paths
from src.sandbox.market.source import MarketEvent, PriceMove, TakerTrade
from tests.recorded import RECORDED_HOUR, RECORDED_KLINES
from tests.sandbox.market.test_source import forced

START = 1_700_000_000_000


def source_of(*events: Liquidation, speed: str = "1") -> ReplaySource:
    recording = Recording(events)
    return ReplaySource(recording, make_price_paths(recording, {}), START, Decimal(speed))


def played(source: ReplaySource, until: int = START + 10**9) -> list[MarketEvent]:
    """All steps, with a clock that goes from one due step to the next."""
    steps: list[MarketEvent] = []
    now = START
    while not source.progress.is_finished and source.next_at() <= until:
        now = max(now, source.next_at())
        steps += source.events(now)
    return steps


def test_the_price_comes_before_the_trade_and_the_trade_before_the_forced_order() -> None:
    kinds = [type(step) for step in played(source_of(forced("BTCUSDT", 5000)))]

    assert kinds == [PriceMove, TakerTrade, Liquidation]


def test_recorded_time_is_mapped_onto_ours_and_divided_by_speed() -> None:
    source = source_of(forced("BTCUSDT", 0), forced("BTCUSDT", 20_000), speed="10")
    pushed = [step for step in played(source) if isinstance(step, Liquidation)]

    assert [each.traded_at for each in pushed] == [START, START + 2000]
    assert [each.event_at for each in pushed] == [START, START + 2000]


def test_prices_between_two_fills_lie_on_the_line() -> None:
    one, two = Decimal(100), Decimal(200)
    first = Liquidation("BTCUSDT", forced("BTCUSDT", 0).side, one, one, one, one, 0, 0, 0)
    last = Liquidation("BTCUSDT", forced("BTCUSDT", 0).side, one, two, two, one, 10_000, 10_000, 0)
    steps = played(source_of(first, last))
    halfway = next(step for step in steps if isinstance(step, PriceMove) and step.at == START + 5000)

    assert halfway.middle == 150


def test_the_rule_of_one_a_second_counts_in_recorded_time() -> None:
    events = [forced("BTCUSDT", at) for at in (0, 100, 200, 5000)]
    source = source_of(*events, speed="1000")
    pushed = [step for step in played(source) if isinstance(step, Liquidation)]

    assert len(pushed) == 3
    assert (source.progress.rows, source.progress.pushed, source.progress.suppressed) == (4, 3, 1)


def test_a_replay_that_is_late_plays_on_rather_than_stale() -> None:
    source = source_of(forced("BTCUSDT", 0), forced("BTCUSDT", 1_000))
    late = START + 60_000
    pushed = [step for step in source.events(late) if isinstance(step, Liquidation)]

    assert all(late - each.traded_at <= 1000 for each in pushed)


def test_candles_lead_the_price_where_they_cover_the_time() -> None:
    bars = [Candle(0, 59_999, Decimal(10), Decimal(14), Decimal(8), Decimal(12))]
    recording = Recording((forced("BTCUSDT", 30_000),))
    along = make_price_paths(recording, {"BTCUSDT": bars})["BTCUSDT"]
    elsewhere = make_price_paths(Recording((forced("BTCUSDT", 99_000),)), {"BTCUSDT": bars})["BTCUSDT"]

    assert [along.at(at) for at in (0, 15_000, 30_000, 45_000, 90_000)] == [10, 8, 14, 12, 12]
    assert elsewhere.prices == (Decimal(1),)


def test_unknown_symbols_get_a_grid_of_the_digits_seen() -> None:
    price, quantity = Decimal("0.0247"), Decimal("1.5")
    event = Liquidation("币安人生USDT", forced("X", 0).side, quantity, price, price, quantity, 0, 0, 0)
    recording = Recording((event,))
    listing = listings_for(recording, load_listings(), make_price_paths(recording, {}))["币安人生USDT"]

    assert listing.start_price == price
    assert (listing.instrument.tick, listing.instrument.step) == (Decimal("0.00001"), Decimal("0.1"))
    assert (listing.instrument.base_asset, listing.instrument.quote_asset) == ("币安人生", "USDT")


def test_every_row_of_a_real_hour_plays() -> None:
    recording = load_recording(RECORDED_HOUR)
    paths = make_price_paths(recording, load_candles(RECORDED_KLINES, recording.symbols))
    listings = listings_for(recording, load_listings(), paths)
    source = ReplaySource(recording, paths, START, Decimal(1_000_000))
    pushed = [step for step in played(source) if isinstance(step, Liquidation)]

    assert len(pushed) + source.progress.suppressed == len(recording.liquidations) == 1_144
    assert all(one.traded_at <= two.event_at for one, two in pairwise(pushed))
    assert all(listings[each.symbol].instrument.price(each.fill_price) > 0 for each in pushed)


def test_the_price_of_a_real_hour_follows_its_candles() -> None:
    recording = load_recording(RECORDED_HOUR)
    candles = load_candles(RECORDED_KLINES, recording.symbols)
    path = make_price_paths(recording, candles)["ETHUSDT"]

    assert list(candles) == ["ETHUSDT"]
    assert all(path.at(bar.open_at) == bar.open for bar in candles["ETHUSDT"])
