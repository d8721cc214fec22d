"""Candles, symbols and the chart's marks."""

import pytest

from src.domain.errors import ProtocolError, RateLimited, Rejected
from tests.api.harness import ApiHarness, FakeMarket, Trip, UnreachableMarket
from tests.api.test_account import LONG
from tests.builders import NOW, D, a_liquidation, an_instrument

CANDLES = "/api/klines?symbol=BTCUSDT&interval=5m&limit=10"


def market_of(harness: ApiHarness) -> FakeMarket:
    assert isinstance(harness.market, FakeMarket)
    return harness.market


def test_candles_are_rows_with_exact_prices(harness: ApiHarness) -> None:
    assert harness.json(CANDLES) == [[NOW, "1.5", "2.0", "1.0", "1.75", "100"]]


def test_the_exchange_is_asked_once_however_many_pages_are_open(harness: ApiHarness) -> None:
    for _ in range(5):
        harness.json(CANDLES)
    assert market_of(harness).requests == 1
    harness.clock.advance(2_000)
    harness.json(CANDLES)
    assert market_of(harness).requests == 2


def test_many_symbols_do_not_fill_the_memory(harness: ApiHarness) -> None:
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
def test_a_failure_is_said_and_not_repeated_at_once(
    harness: ApiHarness, fault: Exception, status: int, code: str
) -> None:
    market_of(harness).error = fault
    for _ in range(3):
        response = harness.get(CANDLES)
        assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert market_of(harness).requests == 1
    market_of(harness).error = None
    harness.clock.advance(5_000)
    assert harness.json(CANDLES)


def test_without_an_exchange_there_are_no_candles(harness: ApiHarness) -> None:
    harness.market = None
    assert harness.get(CANDLES).json["error"]["code"] == "no_exchange"


@pytest.mark.parametrize("query", ["", "symbol=", "symbol=BTCUSDT&interval=7m", "symbol=BTCUSDT&limit=0"])
def test_a_question_that_makes_no_sense_never_reaches_the_exchange(harness: ApiHarness, query: str) -> None:
    assert harness.get(f"/api/klines?{query}").status_code == 400
    assert market_of(harness).requests == 0


def test_symbols_come_from_what_the_bot_read(harness: ApiHarness) -> None:
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


def test_before_the_bots_first_start_they_are_asked_of_the_exchange(harness: ApiHarness) -> None:
    from_exchange = harness.json("/api/exchange/symbols")["symbols"]
    store = harness.store
    with store.transaction():
        store.save_instruments([an_instrument()])
    assert harness.json("/api/exchange/symbols")["symbols"] == from_exchange


def test_a_broken_settings_file_configures_nothing(harness: ApiHarness) -> None:
    harness.settings_file.write_text("{", encoding="utf-8")
    assert harness.json("/api/exchange/symbols")["configured"] == []


def test_a_silent_exchange_is_no_empty_list(harness: ApiHarness) -> None:
    harness.market = UnreachableMarket()
    assert harness.get("/api/exchange/symbols").status_code == 503


def test_the_chart_has_its_marks(harness: ApiHarness) -> None:
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
