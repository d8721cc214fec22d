"""Public clients work unchanged except for the base URL."""

from typing import Any

import ccxt
import pytest
from binance.error import ClientError
from binance.um_futures import UMFutures

from src.sandbox.server import SandboxServer


@pytest.fixture
def connector(server: SandboxServer) -> Any:
    """The client that Aster's V1 connector is derived from; Aster's own is on no package index."""
    return UMFutures(server.api_key, server.api_secret, base_url=server.base_url)


def test_connector_reads_the_market(connector: Any) -> None:
    assert connector.ping() == {}
    assert connector.time()["serverTime"] > 0
    assert len(connector.exchange_info()["symbols"]) == 12
    assert len(connector.depth("BTCUSDT", limit=5)["bids"]) == 5
    assert (
        connector.trades("BTCUSDT") == connector.historical_trades("BTCUSDT") == connector.agg_trades("BTCUSDT") == []
    )
    assert connector.klines("BTCUSDT", "1m") == []
    assert connector.mark_price("BTCUSDT")["symbol"] == "BTCUSDT"
    assert connector.funding_rate("BTCUSDT") == []
    assert connector.ticker_24hr_price_change("BTCUSDT")["count"] == 0
    assert len(connector.ticker_price()) == len(connector.book_ticker()) == 12


def test_connector_trades(connector: Any) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    placed = connector.new_order(**order, quantity=0.01, price=91000, newClientOrderId="manual")
    batch = connector.new_batch_order([{**order, "quantity": "0.01", "price": "90900"}, {**order, "quantity": "1"}])

    assert (placed["clientOrderId"], placed["status"]) == ("manual", "NEW")
    assert [each.get("status", each.get("code")) for each in batch] == ["NEW", -1102]
    assert len(connector.get_orders(symbol="BTCUSDT")) == len(connector.get_all_orders("BTCUSDT")) == 2
    assert connector.countdown_cancel_order("BTCUSDT", 100_000)["countdownTime"] == "100000"
    assert connector.cancel_open_orders("BTCUSDT")["code"] == 200
    assert connector.get_orders() == []


def test_connector_finds_an_order_by_id(connector: Any) -> None:
    number = connector.new_order("BTCUSDT", "BUY", "LIMIT", timeInForce="GTC", quantity=0.01, price=91000)["orderId"]

    assert connector.query_order("BTCUSDT", orderId=number)["status"] == "NEW"
    assert connector.get_open_orders("BTCUSDT", orderId=number)["orderId"] == number
    assert connector.cancel_order("BTCUSDT", orderId=number)["status"] == "CANCELED"
    with pytest.raises(ClientError, match="-2011"):
        connector.cancel_order("BTCUSDT", orderId=number)


def test_connector_manages_the_account(connector: Any) -> None:
    assert connector.get_position_mode() == {"dualSidePosition": False}
    assert connector.change_position_mode("true")["code"] == 200
    assert connector.get_multi_asset_mode() == {"multiAssetsMargin": False}
    assert connector.change_multi_asset_mode("true")["msg"] == "success"
    assert connector.change_multi_asset_mode("false")["msg"] == "success"
    assert connector.change_leverage("BTCUSDT", 10)["leverage"] == 10
    assert connector.change_margin_type("BTCUSDT", "ISOLATED")["code"] == 200
    connector.new_order("BTCUSDT", "BUY", "MARKET", quantity="0.01", positionSide="LONG")
    assert connector.modify_isolated_position_margin("BTCUSDT", 5, 1, positionSide="LONG")["type"] == 1
    assert len(connector.get_position_margin_history("BTCUSDT")) == 1
    assert [each["positionAmt"] for each in connector.get_position_risk(symbol="BTCUSDT")] == ["0.01", "0"]
    assert connector.balance()[0]["asset"] == "USDT"
    assert connector.account()["canTrade"] is True
    assert len(connector.get_account_trades("BTCUSDT")) == 1
    assert connector.get_income_history(incomeType="COMMISSION")[0]["symbol"] == "BTCUSDT"
    assert connector.leverage_brackets(symbol="BTCUSDT")["brackets"][0]["initialLeverage"] == 125
    assert connector.adl_quantile()[0]["symbol"] == "BTCUSDT"
    assert connector.force_orders() == []
    assert connector.commission_rate("BTCUSDT")["makerCommissionRate"] == "0.0002"


def test_connector_manages_a_listen_key(connector: Any) -> None:
    key = connector.new_listen_key()["listenKey"]

    assert connector.renew_listen_key(key) == {}
    assert connector.close_listen_key(key) == {}


@pytest.fixture
def binance(server: SandboxServer) -> Any:
    """A Binance futures client: it uses the same protocol as Aster's V1."""
    client = ccxt.binanceusdm(
        {"apiKey": server.api_key, "secret": server.api_secret, "options": {"fetchCurrencies": False}}
    )
    paths = {"fapiPublic": "v1", "fapiPrivate": "v1", "fapiPublicV2": "v2", "fapiPrivateV2": "v2"}
    client.urls["api"] |= {name: f"{server.base_url}/fapi/{version}" for name, version in paths.items()}
    client.options["fetchMarkets"] = {"types": ["linear"]}
    client.options["fetchMargins"] = False
    return client


def test_binance_client_reads_the_market(binance: Any) -> None:
    assert binance.load_markets()["BTC/USDT:USDT"]["precision"]["price"] == 0.1
    book = binance.fetch_order_book("BTC/USDT:USDT", 5)

    assert book["bids"][0][0] < book["asks"][0][0]
    assert binance.fetch_ticker("ETH/USDT:USDT")["last"] > 0


def test_binance_client_trades(binance: Any) -> None:
    binance.load_markets()
    symbol = "BTC/USDT:USDT"
    placed = binance.create_order(symbol, "limit", "buy", 0.01, 91_000)
    bought = binance.create_order(symbol, "market", "buy", 0.01)

    assert placed["status"] == "open"
    assert binance.fetch_order(bought["id"], symbol)["filled"] == 0.01
    assert [each["id"] for each in binance.fetch_open_orders(symbol)] == [placed["id"]]
    assert binance.cancel_order(placed["id"], symbol)["status"] == "canceled"
    assert binance.fetch_my_trades(symbol)[0]["amount"] == 0.01


def test_binance_client_gets_the_reason(binance: Any) -> None:
    binance.load_markets()

    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        binance.create_order("BTC/USDT:USDT", "market", "buy", 9)
    with pytest.raises(ccxt.OrderNotFound):
        binance.fetch_order("77", "BTC/USDT:USDT")
