"""The account's own orders in the public book, and self-trade prevention, over real sockets."""

from decimal import Decimal

import pytest

from src.sandbox.server import SandboxServer
from tests.sandbox.client import Answer, Client, Subscriber
from tests.sandbox.streams.test_server import wait_for_subscription
from tests.sandbox.test_faults import inject
from tests.sandbox.wallet_client import WalletClient

LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5"}


def book(client: Client) -> Answer:
    return client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()


def improve_bid(server: SandboxServer, client: Client) -> Answer:
    """Place a bid one tick above the best one, in a spread of 20 ticks."""
    server.exchange.set_quote("BTCUSDT", Decimal("91250.0"), Decimal("91252.0"))
    return client.order(**LIMIT, side="BUY", price="91250.1")


def test_own_orders_are_in_the_public_book_only_with_the_fault(server: SandboxServer, client: Client) -> None:
    with Subscriber(server, "/ws/btcusdt@bookTicker") as listener:
        wait_for_subscription(server, "btcusdt@bookTicker")
        order = improve_bid(server, client)
        hidden = book(client)
        inject(client, "own_orders_in_book")
        shown, depth = book(client), client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5).json()
        client.delete("/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        bids = [listener.until("bookTicker")["b"] for _ in range(3)]

    assert (hidden["bidPrice"], shown["bidPrice"], shown["bidQty"]) == ("91250.0", "91250.1", "0.5")
    assert depth["bids"][0] == ["91250.1", "0.5"]
    assert depth["bids"][1][0] == "91250.0"
    assert bids == ["91250.0", "91250.1", "91250.0"]


def test_order_leaves_the_book_with_the_faults(server: SandboxServer, client: Client) -> None:
    inject(client, "own_orders_in_book")
    improve_bid(server, client)
    assert book(client)["bidPrice"] == "91250.1"
    server.exchange.clear_faults()

    assert book(client)["bidPrice"] == "91250.0"


@pytest.mark.parametrize(("word", "expected"), [("", "EXPIRED_IN_MATCH"), ("EXPIRE_TAKER", "EXPIRE_TAKER")])
def test_order_that_would_meet_an_own_order_ends_with_a_word(
    server: SandboxServer, client: Client, word: str, expected: str
) -> None:
    inject(client, "own_orders_in_book", new=word)
    bid = improve_bid(server, client)
    inject(client, "partial_fill", value=0)
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        result = client.order(**LIMIT | {"price": "91240", "side": "SELL"}, newOrderRespType="RESULT")
        events = [user_stream.until("ORDER_TRADE_UPDATE")["o"] for _ in range(2)]

    assert (result["status"], result["executedQty"]) == (expected, "0")
    assert [(each["x"], each["X"]) for each in events] == [("NEW", "NEW"), ("EXPIRED", expected)]
    assert [each["orderId"] for each in client.get("/fapi/v1/openOrders")] == [bid["orderId"]]


def test_mode_of_the_account_ends_the_resting_order(server: SandboxServer) -> None:
    client = WalletClient(server)
    client.post("/fapi/v3/stpMode", stpMode="EXPIRE_MAKER")
    inject(client, "own_orders_in_book")
    bid = improve_bid(server, client)
    order = client.order(**LIMIT | {"price": "91250.1", "side": "SELL"}, newOrderRespType="RESULT")

    assert order["status"] == "NEW"
    assert client.get("/fapi/v1/order", symbol="BTCUSDT", orderId=bid["orderId"])["status"] == "EXPIRED_IN_MATCH"
