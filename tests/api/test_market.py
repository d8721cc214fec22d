"""Candles, symbols and the chart's marks."""

import pytest

from src.domain.errors import ProtocolError, RateLimited, Rejected
from tests.api.rig import FakeMarket, Rig, SilentMarket, Trip
from tests.api.test_account import LONG
from tests.builders import NOW, D, a_liquidation, an_instrument

CANDLES = "/api/klines?symbol=BTCUSDT&interval=5m&limit=10"


def market_of(rig: Rig) -> FakeMarket:
    assert isinstance(rig.market, FakeMarket)
    return rig.market


def test_candles_are_rows_with_exact_prices(rig: Rig) -> None:
    assert rig.json(CANDLES) == [[NOW, "1.5", "2.0", "1.0", "1.75", "100"]]


def test_the_exchange_is_asked_once_however_many_pages_are_open(rig: Rig) -> None:
    for _ in range(5):
        rig.json(CANDLES)
    assert market_of(rig).asked == 1
    rig.clock.advance(2_000)
    rig.json(CANDLES)
    assert market_of(rig).asked == 2


def test_many_symbols_do_not_fill_the_memory(rig: Rig) -> None:
    for number in range(80):
        rig.json(f"/api/klines?symbol=S{number}USDT")
    rig.json("/api/klines?symbol=S79USDT")
    assert market_of(rig).asked == 80
    rig.json("/api/klines?symbol=S0USDT")
    assert market_of(rig).asked == 81


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (RateLimited("silence", NOW), 503, "exchange_unreachable"),
        (ProtocolError("not understood"), 503, "exchange_unreachable"),
        (Rejected(-1121, "Invalid symbol."), 400, "refused"),
    ],
)
def test_a_failure_is_said_and_not_repeated_at_once(rig: Rig, fault: Exception, status: int, code: str) -> None:
    market_of(rig).fault = fault
    for _ in range(3):
        response = rig.get(CANDLES)
        assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert market_of(rig).asked == 1
    market_of(rig).fault = None
    rig.clock.advance(5_000)
    assert rig.json(CANDLES)


def test_without_an_exchange_there_are_no_candles(rig: Rig) -> None:
    rig.market = None
    assert rig.get(CANDLES).json["error"]["code"] == "no_exchange"


@pytest.mark.parametrize("query", ["", "symbol=", "symbol=BTCUSDT&interval=7m", "symbol=BTCUSDT&limit=0"])
def test_a_question_that_makes_no_sense_never_reaches_the_exchange(rig: Rig, query: str) -> None:
    assert rig.get(f"/api/klines?{query}").status_code == 400
    assert market_of(rig).asked == 0


def test_symbols_come_from_what_the_bot_read(rig: Rig) -> None:
    store = rig.store
    with store.transaction():
        store.save_instruments([an_instrument(symbol="币安人生USDT"), an_instrument()])
    found = rig.json("/api/exchange/symbols")
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
    assert market_of(rig).asked == 0


def test_before_the_bots_first_start_they_are_asked_of_the_exchange(rig: Rig) -> None:
    from_exchange = rig.json("/api/exchange/symbols")["symbols"]
    store = rig.store
    with store.transaction():
        store.save_instruments([an_instrument()])
    assert rig.json("/api/exchange/symbols")["symbols"] == from_exchange


def test_a_broken_settings_file_configures_nothing(rig: Rig) -> None:
    rig.settings_file.write_text("{", encoding="utf-8")
    assert rig.json("/api/exchange/symbols")["configured"] == []


def test_a_silent_exchange_is_no_empty_list(rig: Rig) -> None:
    rig.market = SilentMarket()
    assert rig.get("/api/exchange/symbols").status_code == 503


def test_the_chart_has_its_marks(rig: Rig) -> None:
    rig.see(a_liquidation())
    rig.see(a_liquidation(symbol="ETHUSDT"))
    rig.round_trip(Trip())
    rig.hold(LONG)
    chart = rig.json("/api/chart?symbol=BTCUSDT")
    assert [row["symbol"] for row in chart["liquidations"]] == ["BTCUSDT"]
    assert [(fill["role"], fill["side"], fill["price"]) for fill in chart["fills"]] == [
        ("ENTRY", "BUY", "50000"),
        ("TAKE_PROFIT", "SELL", "50500"),
    ]
    assert D(chart["positions"][0]["stopLossPrice"]) == 49_000
    assert rig.get("/api/chart").status_code == 400
