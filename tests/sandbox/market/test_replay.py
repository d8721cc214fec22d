"""Replay of a recording, without sockets."""

from decimal import Decimal
from itertools import pairwise

from src.domain.market import Liquidation
from src.sandbox.market.candles import Candle
from src.sandbox.market.listings import load_listings
from src.sandbox.market.recording import Recording, load_candles, load_recording
from src.sandbox.market.replay import ReplaySource, listings_for, make_price_paths
from src.sandbox.market.source import MarketEvent, PriceMove, TakerTrade
from tests.recorded import RECORDED_HOUR, RECORDED_KLINES
from tests.sandbox.market.test_source import liquidation_at

START = 1_700_000_000_000


def source_of(*events: Liquidation, speed: str = "1") -> ReplaySource:
    recording = Recording(events)
    return ReplaySource(recording, make_price_paths(recording, {}), START, Decimal(speed))


def play(source: ReplaySource, until: int = START + 10**9) -> list[MarketEvent]:
    """Return all events; the clock moves from one due event to the next."""
    events: list[MarketEvent] = []
    now = START
    while not source.progress.is_finished and source.next_at() <= until:
        now = max(now, source.next_at())
        events += source.events(now)
    return events


def test_order_is_price_trade_liquidation() -> None:
    kinds = [type(event) for event in play(source_of(liquidation_at("BTCUSDT", 5000)))]

    assert kinds == [PriceMove, TakerTrade, Liquidation]


def test_recorded_time_is_shifted_and_divided_by_speed() -> None:
    source = source_of(liquidation_at("BTCUSDT", 0), liquidation_at("BTCUSDT", 20_000), speed="10")
    pushed = [event for event in play(source) if isinstance(event, Liquidation)]

    assert [each.traded_at for each in pushed] == [START, START + 2000]
    assert [each.event_at for each in pushed] == [START, START + 2000]


def test_price_is_interpolated_between_fills() -> None:
    one, two = Decimal(100), Decimal(200)
    first = Liquidation("BTCUSDT", liquidation_at("BTCUSDT", 0).side, one, one, one, one, 0, 0, 0)
    last = Liquidation("BTCUSDT", liquidation_at("BTCUSDT", 0).side, one, two, two, one, 10_000, 10_000, 0)
    events = play(source_of(first, last))
    halfway = next(event for event in events if isinstance(event, PriceMove) and event.at == START + 5000)

    assert halfway.middle == 150


def test_throttle_uses_recorded_time() -> None:
    events = [liquidation_at("BTCUSDT", at) for at in (0, 100, 200, 5000)]
    source = source_of(*events, speed="1000")
    pushed = [event for event in play(source) if isinstance(event, Liquidation)]

    assert len(pushed) == 3
    assert (source.progress.rows, source.progress.pushed, source.progress.suppressed) == (4, 3, 1)


def test_late_replay_sends_fresh_events() -> None:
    source = source_of(liquidation_at("BTCUSDT", 0), liquidation_at("BTCUSDT", 1_000))
    late = START + 60_000
    pushed = [event for event in source.events(late) if isinstance(event, Liquidation)]

    assert all(late - each.traded_at <= 1000 for each in pushed)


def test_price_follows_candles_that_cover_the_time() -> None:
    bars = [Candle(0, 59_999, Decimal(10), Decimal(14), Decimal(8), Decimal(12))]
    recording = Recording((liquidation_at("BTCUSDT", 30_000),))
    along = make_price_paths(recording, {"BTCUSDT": bars})["BTCUSDT"]
    elsewhere = make_price_paths(Recording((liquidation_at("BTCUSDT", 99_000),)), {"BTCUSDT": bars})["BTCUSDT"]

    assert [along.at(at) for at in (0, 15_000, 30_000, 45_000, 90_000)] == [10, 8, 14, 12, 12]
    assert elsewhere.prices == (Decimal(1),)


def test_unknown_symbol_gets_tick_and_step_from_its_digits() -> None:
    price, quantity = Decimal("0.0247"), Decimal("1.5")
    event = Liquidation("币安人生USDT", liquidation_at("X", 0).side, quantity, price, price, quantity, 0, 0, 0)
    recording = Recording((event,))
    listing = listings_for(recording, load_listings(), make_price_paths(recording, {}))["币安人生USDT"]

    assert listing.start_price == price
    assert (listing.instrument.tick, listing.instrument.step) == (Decimal("0.00001"), Decimal("0.1"))
    assert (listing.instrument.base_asset, listing.instrument.quote_asset) == ("币安人生", "USDT")


def test_every_row_of_a_recorded_hour_is_replayed() -> None:
    recording = load_recording(RECORDED_HOUR)
    paths = make_price_paths(recording, load_candles(RECORDED_KLINES, recording.symbols))
    listings = listings_for(recording, load_listings(), paths)
    source = ReplaySource(recording, paths, START, Decimal(1_000_000))
    pushed = [event for event in play(source) if isinstance(event, Liquidation)]

    assert len(pushed) + source.progress.suppressed == len(recording.liquidations) == 1_144
    assert all(one.traded_at <= two.event_at for one, two in pairwise(pushed))
    assert all(listings[each.symbol].instrument.price(each.fill_price) > 0 for each in pushed)


def test_price_of_a_recorded_hour_follows_its_candles() -> None:
    recording = load_recording(RECORDED_HOUR)
    candles = load_candles(RECORDED_KLINES, recording.symbols)
    path = make_price_paths(recording, candles)["ETHUSDT"]

    assert list(candles) == ["ETHUSDT"]
    assert all(path.at(bar.open_at) == bar.open for bar in candles["ETHUSDT"])
