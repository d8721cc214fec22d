"""Candles, symbols and chart markers."""

import pytest

from src.domain.errors import ProtocolError, RateLimited, Rejected
from tests.api.harness import ApiHarness, FakeMarket, Trip, UnreachableMarket
from tests.api.test_account import LONG
from tests.builders import NOW, D, a_liquidation, an_instrument

CANDLES = "/api/klines?symbol=BTCUSDT&interval=5m&limit=10"


def market_of(harness: ApiHarness) -> FakeMarket:
    assert isinstance(harness.market, FakeMarket)
    return harness.market


def test_candles_have_exact_prices(harness: ApiHarness) -> None:
    assert harness.json(CANDLES) == [[NOW, "1.5", "2.0", "1.0", "1.75", "100"]]


def test_candles_are_cached_for_all_pages(harness: ApiHarness) -> None:
    for _ in range(5):
        harness.json(CANDLES)
    assert market_of(harness).requests == 1
    harness.clock.advance(2_000)
    harness.json(CANDLES)
    assert market_of(harness).requests == 2


def test_cache_size_is_bounded(harness: ApiHarness) -> None:
    for number in range(80):
        harness.json(f"/api/klines?symbol=S{number}USDT")
    harness.json("/api/klines?symbol=S79USDT")
    assert market_of(harness).requests == 80
    harness.json("/api/klines?symbol=S0USDT")
    assert market_of(harness).requests == 81


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (RateLimited("silence", NOW), 503, "exchange_unreachable"),
        (ProtocolError("not understood"), 503, "exchange_unreachable"),
        (Rejected(-1121, "Invalid symbol."), 400, "refused"),
    ],
)
def test_exchange_error_is_reported_and_cached(harness: ApiHarness, fault: Exception, status: int, code: str) -> None:
    market_of(harness).error = fault
    for _ in range(3):
        response = harness.get(CANDLES)
        assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert market_of(harness).requests == 1
    market_of(harness).error = None
    harness.clock.advance(5_000)
    assert harness.json(CANDLES)


def test_candles_need_an_exchange(harness: ApiHarness) -> None:
    harness.market = None
    assert harness.get(CANDLES).json["error"]["code"] == "no_exchange"


@pytest.mark.parametrize("query", ["", "symbol=", "symbol=BTCUSDT&interval=7m", "symbol=BTCUSDT&limit=0"])
def test_invalid_request_never_reaches_the_exchange(harness: ApiHarness, query: str) -> None:
    assert harness.get(f"/api/klines?{query}").status_code == 400
    assert market_of(harness).requests == 0


def test_symbols_come_from_the_bots_database(harness: ApiHarness) -> None:
    store = harness.store
    with store.transaction():
        store.save_instruments([an_instrument(symbol="币安人生USDT"), an_instrument()])
    found = harness.json("/api/exchange/symbols")
    assert (found["total"], found["configured"]) == (2, ["BTCUSDT"])
    assert found["symbols"][0] == {
        "symbol": "BTCUSDT",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "pricePrecision": 1,
        "quantityPrecision": 3,
        "tickSize": "0.1",
        "stepSize": "0.001",
        "minQty": "0.001",
        "minNotional": "5",
        "status": "TRADING",
    }
    assert market_of(harness).requests == 0


def test_symbols_come_from_the_exchange_at_first(harness: ApiHarness) -> None:
    from_exchange = harness.json("/api/exchange/symbols")["symbols"]
    store = harness.store
    with store.transaction():
        store.save_instruments([an_instrument()])
    assert harness.json("/api/exchange/symbols")["symbols"] == from_exchange


def test_no_symbol_is_configured_with_a_broken_file(harness: ApiHarness) -> None:
    harness.settings_file.write_text("{", encoding="utf-8")
    assert harness.json("/api/exchange/symbols")["configured"] == []


def test_unreachable_exchange_is_an_error(harness: ApiHarness) -> None:
    harness.market = UnreachableMarket()
    assert harness.get("/api/exchange/symbols").status_code == 503


def test_chart_has_liquidations_fills_and_positions(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation())
    harness.add_liquidation(a_liquidation(symbol="ETHUSDT"))
    harness.add_round_trip(Trip())
    harness.add_position(LONG)
    chart = harness.json("/api/chart?symbol=BTCUSDT")
    assert [row["symbol"] for row in chart["liquidations"]] == ["BTCUSDT"]
    assert [(fill["role"], fill["side"], fill["price"]) for fill in chart["fills"]] == [
        ("ENTRY", "BUY", "50000"),
        ("TAKE_PROFIT", "SELL", "50500"),
    ]
    assert D(chart["positions"][0]["stopLossPrice"]) == 49_000
    assert harness.get("/api/chart").status_code == 400
