"""ccxt's public ``aster`` class loads the markets and trades, over V3."""

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest

from src.domain.enums import Side
from src.sandbox.server import SandboxServer
from tests.builders import D
from tests.sandbox.ccxt_aster.client import SYMBOL, rest_client


@pytest.fixture
def client(server: SandboxServer) -> Iterator[Any]:
    client = rest_client(server)
    client.load_markets()
    yield client
    client.close()


def limit(client: Any, price: float, **parameters: object) -> Any:
    return client.create_order(SYMBOL, "limit", "buy", 0.01, price, parameters)


def open_long(client: Any) -> Any:
    """Buy 0.01 at market."""
    return client.create_order(SYMBOL, "market", "buy", 0.01)


class TestMarket:
    def test_markets_have_their_precision(self, client: Any) -> None:
        market = client.market(SYMBOL)

        assert len(client.markets) == 12
        assert (market["swap"], market["linear"], market["active"]) == (True, True, True)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
        assert "USDT" in client.currencies

    def test_time_is_that_of_the_sandbox(self, client: Any, server: SandboxServer) -> None:
        assert abs(client.fetch_time() - server.exchange.now_ms()) < 5_000

    def test_order_book(self, client: Any) -> None:
        book = client.fetch_order_book(SYMBOL, 5)

        assert len(book["bids"]) == len(book["asks"]) == 5
        assert book["bids"][0][0] < book["asks"][0][0]

    def test_tickers(self, client: Any) -> None:
        assert client.fetch_ticker(SYMBOL)["last"] > 0
        assert len(client.fetch_tickers()) == len(client.fetch_last_prices()) == len(client.fetch_bids_asks()) == 12

    def test_trades_and_candles(self, client: Any, server: SandboxServer) -> None:
        server.exchange.trade("BTCUSDT", Side.BUY, D("0.5"))

        [trade] = client.fetch_trades(SYMBOL)
        [candle] = client.fetch_ohlcv(SYMBOL, "1m")

        assert (trade["side"], trade["amount"]) == ("buy", 0.5)
        assert candle[4:] == [trade["price"], 0.5]

    @pytest.mark.parametrize("price", ["mark", "index"])
    def test_mark_and_index_candles(self, client: Any, price: str) -> None:
        assert client.fetch_ohlcv(SYMBOL, "1m", params={"price": price})[-1][5] == 0

    def test_funding(self, client: Any) -> None:
        assert client.fetch_funding_rate(SYMBOL)["fundingRate"] == 0.0001
        assert len(client.fetch_funding_rates()) == 12
        assert client.fetch_funding_rate_history(SYMBOL) == []
        assert client.fetch_funding_intervals()[SYMBOL]["interval"] == "8h"


class TestAccount:
    def test_balance(self, client: Any) -> None:
        assert client.fetch_balance()["USDT"] == {"free": 10_000.0, "used": 0.0, "total": 10_000.0}

    def test_leverage_and_margin_mode(self, client: Any) -> None:
        client.set_leverage(7, SYMBOL)
        client.set_margin_mode("isolated", SYMBOL)

        assert client.fetch_leverage(SYMBOL)["longLeverage"] == 7
        assert client.fetch_margin_mode(SYMBOL)["marginMode"] == "isolated"
        with pytest.raises(ccxt.NoChange):
            client.set_margin_mode("isolated", SYMBOL)

    def test_position_mode(self, client: Any) -> None:
        client.set_position_mode(True)

        assert client.fetch_position_mode()["hedged"]

    def test_position_with_its_margin(self, client: Any) -> None:
        client.set_leverage(10, SYMBOL)
        client.set_margin_mode("isolated", SYMBOL)
        open_long(client)

        [position] = client.fetch_positions([SYMBOL])

        assert (position["side"], position["contracts"], position["leverage"]) == ("long", 0.01, 10)
        assert position["liquidationPrice"] < position["entryPrice"]
        assert position["maintenanceMarginPercentage"] == 0.004

    def test_short_in_hedge_mode(self, client: Any) -> None:
        client.set_position_mode(True)
        client.create_order(SYMBOL, "market", "sell", 0.01, None, {"positionSide": "SHORT"})

        sides = {each["side"]: each["contracts"] for each in client.fetch_positions([SYMBOL]) if each["contracts"]}

        assert sides == {"short": 0.01}

    def test_margin_is_added_to_an_isolated_position(self, client: Any) -> None:
        client.set_margin_mode("isolated", SYMBOL)
        open_long(client)

        assert client.add_margin(SYMBOL, 20)["type"] == "add"
        assert [each["amount"] for each in client.fetch_margin_adjustment_history(SYMBOL)] == [20]

    def test_fees_and_income(self, client: Any) -> None:
        open_long(client)

        assert client.fetch_trading_fee(SYMBOL)["maker"] == 0.0002
        assert client.fetch_ledger("USDT")
        assert client.fetch_funding_history(SYMBOL) == []


class TestOrders:
    def test_limit_order_keeps_its_client_id(self, client: Any) -> None:
        placed = limit(client, 91_000, clientOrderId="manual")

        assert (placed["status"], placed["clientOrderId"]) == ("open", "manual")
        assert client.fetch_open_order(placed["id"], SYMBOL)["price"] == 91_000
        assert client.fetch_order(None, SYMBOL, {"clientOrderId": "manual"})["id"] == placed["id"]
        assert [each["id"] for each in client.fetch_open_orders(SYMBOL)] == [placed["id"]]

    def test_market_order_fills(self, client: Any) -> None:
        placed = open_long(client)
        order = client.fetch_order(placed["id"], SYMBOL)
        [trade] = client.fetch_my_trades(SYMBOL)

        assert (order["status"], order["filled"]) == ("closed", 0.01)
        assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (placed["id"], 0.01, "taker")

    def test_stops_and_take_profits(self, client: Any) -> None:
        open_long(client)
        stop = client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 90_000, "reduceOnly": True})
        whole = {"stopLossPrice": 89_000, "closePosition": True}
        client.create_order(SYMBOL, "market", "sell", None, None, whole)
        client.create_order(SYMBOL, "limit", "sell", 0.01, 99_000, {"takeProfitPrice": 98_000, "reduceOnly": True})

        kinds = [each["info"]["type"] for each in client.fetch_open_orders(SYMBOL)]

        assert kinds == ["STOP_MARKET", "STOP_MARKET", "TAKE_PROFIT"]
        assert (stop["triggerPrice"], stop["reduceOnly"]) == (90_000, True)

    def test_stop_closes_the_position(self, client: Any, server: SandboxServer) -> None:
        open_long(client)
        client.create_order(SYMBOL, "market", "sell", None, None, {"stopLossPrice": 90_000, "closePosition": True})
        server.exchange.move("BTCUSDT", D(89_900))

        assert not any(each["contracts"] for each in client.fetch_positions([SYMBOL]))

    def test_stop_that_would_trigger_at_once_is_rejected(self, client: Any) -> None:
        open_long(client)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 95_000, "reduceOnly": True})

    def test_crossing_post_only_order_expires(self, client: Any) -> None:
        order = limit(client, 92_000, timeInForce="GTX")

        assert client.fetch_order(order["id"], SYMBOL)["info"]["status"] == "EXPIRED"

    def test_batch_of_orders(self, client: Any) -> None:
        one = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01}
        placed = client.create_orders([{**one, "price": 90_500}, {**one, "price": 90_400}])
        ids = [each["id"] for each in placed]

        assert {each["status"] for each in client.cancel_orders(ids, SYMBOL)} == {"canceled"}

    def test_order_is_cancelled_only_once(self, client: Any) -> None:
        order = limit(client, 91_000)

        assert client.cancel_order(order["id"], SYMBOL)["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            client.cancel_order(order["id"], SYMBOL)

    def test_cancelled_orders_are_in_the_history(self, client: Any) -> None:
        limit(client, 91_000)
        limit(client, 90_900)
        client.cancel_all_orders(SYMBOL)

        assert client.fetch_open_orders(SYMBOL) == []
        assert [each["status"] for each in client.fetch_orders(SYMBOL)] == ["canceled", "canceled"]

    def test_rejection_has_its_reason(self, client: Any) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            client.create_order(SYMBOL, "market", "buy", 9)
        with pytest.raises(ccxt.OrderNotFound):
            client.fetch_order("77", SYMBOL)


def test_unknown_key_is_rejected(client: Any) -> None:
    client.privateKey = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"

    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        client.fetch_balance()
