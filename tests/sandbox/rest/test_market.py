"""Market data endpoints over a real socket."""

from decimal import Decimal

import pytest

from src.domain.enums import Side
from src.exchange.wire import parse_depth, parse_instrument, parse_klines, parse_premium_index
from src.sandbox.options import synthetic_scenario
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client, code, done

V1 = "/fapi/v1"


def test_time_and_ping_need_no_key(client: Client, server: SandboxServer) -> None:
    assert done(client.public(f"{V1}/ping")) == {}
    assert abs(done(client.public(f"{V1}/time"))["serverTime"] - server.exchange.now_ms()) < 5000


def test_exchange_info_has_the_real_filters(client: Client) -> None:
    info = done(client.public(f"{V1}/exchangeInfo"))
    instruments = {each["symbol"]: parse_instrument(each) for each in info["symbols"]}
    bitcoin = instruments["BTCUSDT"]

    assert len(instruments) == 12
    assert (bitcoin.tick, bitcoin.max_conditional_orders) == (Decimal("0.1"), 10)
    assert (bitcoin.multiplier_up, bitcoin.market_take_bound) == (Decimal("1.02"), Decimal("0.02"))


def test_book_is_sorted(client: Client) -> None:
    book = done(client.public(f"{V1}/depth", symbol="ETHUSDT", limit=20))
    quote = parse_depth(book, "ETHUSDT", received_at=0)
    bids = [Decimal(price) for price, _ in book["bids"]]
    asks = [Decimal(price) for price, _ in book["asks"]]

    assert quote.bid < quote.ask
    assert len(bids) == len(asks) == 20
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert code(client.public(f"{V1}/depth", symbol="ETHUSDT", limit=7)) == -4021
    assert len(done(client.public(f"{V1}/depth", symbol="ETHUSDT"))["bids"]) == 500


def test_trades_are_listed_oldest_first(client: Client, server: SandboxServer) -> None:
    for quantity in (1, 2, 3):
        server.exchange.trade("ETHUSDT", Side.SELL, Decimal(quantity))
    trades = done(client.public(f"{V1}/trades", symbol="ETHUSDT", limit=2))
    aggregates = done(client.public(f"{V1}/aggTrades", symbol="ETHUSDT", fromId=2))
    older = done(client.market_data(f"{V1}/historicalTrades", symbol="ETHUSDT", fromId=1, limit=1))

    assert [each["qty"] for each in trades] == ["2", "3"]
    assert [each["a"] for each in aggregates] == [2, 3]
    assert [each["id"] for each in older] == [1]
    assert all(each["m"] for each in aggregates)


def test_candles_follow_the_trades(client: Client, server: SandboxServer) -> None:
    for price in (3000, 3030, 2990, 3010):
        server.exchange.trade("ETHUSDT", Side.BUY, Decimal(1), Decimal(price))
    rows = done(client.public(f"{V1}/klines", symbol="ETHUSDT", interval="1M"))
    _, *values = parse_klines(rows)[-1]

    assert [int(value) for value in values] == [3000, 3030, 2990, 3010, 4]
    assert code(client.public(f"{V1}/klines", symbol="ETHUSDT", interval="7m")) == -1120
    assert code(client.public(f"{V1}/klines", symbol="ETHUSDT")) == -1102
    assert code(client.public(f"{V1}/klines", symbol="ETHUSDT", interval="1m", limit=1501)) == -1130
    assert code(client.public(f"{V1}/klines", symbol="ETHUSDT", interval="1m", startTime=5, endTime=4)) == -1023


def test_synthetic_market_has_a_history() -> None:
    with SandboxServer(scenario=synthetic_scenario()) as server:
        rows = done(Client(server).public(f"{V1}/klines", symbol="BTCUSDT", interval="1m", limit=400))
        hours = done(Client(server).public(f"{V1}/klines", symbol="BTCUSDT", interval="1h"))

    candles = parse_klines(rows)
    assert len(candles) == 400
    assert [each[0] for each in candles] == sorted({each[0] for each in candles})
    assert all(low <= min(opened, close) <= max(opened, close) <= high for _, opened, high, low, close, _ in candles)
    assert 8 <= len(hours) <= 10


@pytest.mark.parametrize("path", ["premiumIndex", "ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_tickers_of_one_symbol_or_all(client: Client, path: str) -> None:
    one = done(client.public(f"{V1}/{path}", symbol="BTCUSDT"))
    every = done(client.public(f"{V1}/{path}"))

    assert one["symbol"] == "BTCUSDT"
    assert len({each["symbol"] for each in every}) == 12
    assert code(client.public(f"{V1}/{path}", symbol="btcusdt")) == -1121


def test_premium_index_has_the_mark_price(client: Client, server: SandboxServer) -> None:
    server.exchange.set_mark("BTCUSDT", Decimal(95_000))
    mark = parse_premium_index(done(client.public(f"{V1}/premiumIndex", symbol="BTCUSDT")), received_at=0)

    assert mark.price > 94_000
    assert mark.next_funding_at % (8 * 3_600_000) == 0
    assert done(client.public(f"{V1}/fundingRate", symbol="BTCUSDT")) == []


def test_24h_ticker_sums_the_trades(client: Client, server: SandboxServer) -> None:
    for price in (100_000, 101_000):
        server.exchange.trade("BTCUSDT", Side.BUY, Decimal(1), Decimal(price))
    day = done(client.public(f"{V1}/ticker/24hr", symbol="BTCUSDT"))

    assert (day["priceChange"], day["priceChangePercent"], day["count"]) == ("1000", "1.000", 2)
    assert Decimal(day["weightedAvgPrice"]) == 100_500


def test_spot_exchange_info_lists_no_symbols(client: Client) -> None:
    info = done(client.public("/api/v1/exchangeInfo"))

    assert (info["symbols"], [each["asset"] for each in info["assets"]]) == ([], ["USDT"])


@pytest.mark.parametrize(("name", "symbol"), [("markPriceKlines", "symbol"), ("indexPriceKlines", "pair")])
def test_mark_and_index_candles_have_no_volume(client: Client, server: SandboxServer, name: str, symbol: str) -> None:
    server.exchange.set_mark("ETHUSDT", Decimal(3_000))
    rows = done(client.public(f"{V1}/{name}", **{symbol: "ETHUSDT"}, interval="1m"))
    lowest = min(Decimal(row[3]) for row in rows)

    assert sum(Decimal(row[5]) + Decimal(row[7]) for row in rows) == 0
    assert sum(row[8] for row in rows) >= 2
    assert (lowest == 3_000) == (name == "markPriceKlines")
    assert code(client.public(f"{V1}/{name}", interval="1m")) == -1102


def test_funding_configuration(client: Client) -> None:
    [config] = done(client.public(f"{V1}/fundingInfo", symbol="ETHUSDT"))

    assert (config["fundingIntervalHours"], config["interestRate"], config["fundingFeeCap"]) == (8, "0.0001", 0.0075)
    assert len(done(client.public(f"{V1}/fundingInfo"))) == 12
