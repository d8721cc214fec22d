"""Streams over real sockets: names, envelopes, requests, and the user data stream."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed

from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.domain.orders import OrderUpdate
from src.exchange.wire import parse_event
from src.sandbox.server import SandboxServer
from src.sandbox.streams.server import StreamLimits
from tests.exchange.stream_server import wait_until
from tests.sandbox.client import Answer, Client, Subscriber

STOP = {"type": "STOP_MARKET", "side": "SELL", "stopPrice": "90000", "closePosition": "true", "quantity": None}


def wait_for_subscription(server: SandboxServer, *names: str) -> None:
    """Wait until these streams are subscribed."""
    wait_until(lambda: all(name in server.exchange.subscribed_streams() for name in names))


@pytest.mark.parametrize("path", ["/ws/btcusdt@forceOrder", "/ws/!forceOrder@arr"])
def test_liquidation_on_a_raw_stream(server: SandboxServer, path: str) -> None:
    with Subscriber(server, path) as listener:
        wait_for_subscription(server, path.removeprefix("/ws/"))
        server.exchange.liquidate("BTCUSDT", Side.SELL, Decimal("0.5"), Decimal(90_000))
        event = listener.until("forceOrder")

    assert (event["o"]["s"], event["o"]["S"], event["o"]["ap"]) == ("BTCUSDT", "SELL", "90000.0")
    assert Decimal(event["o"]["p"]) < 90_000


def test_combined_stream_wraps_its_events(server: SandboxServer) -> None:
    with Subscriber(server, "/stream?streams=ethusdt@bookTicker/ethusdt@aggTrade") as listener:
        wait_for_subscription(server, "ethusdt@aggTrade")
        server.exchange.set_quote("ETHUSDT", Decimal("3000.00"), Decimal("3000.01"))
        server.exchange.trade("ETHUSDT", Side.SELL, Decimal(2))
        ticker, trade = listener.next(), listener.next()

    assert (ticker["stream"], ticker["data"]["b"]) == ("ethusdt@bookTicker", "3000.00")
    assert (trade["stream"], trade["data"]["p"], trade["data"]["m"]) == ("ethusdt@aggTrade", "3000.00", True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("btcusdt@depth5", "depthUpdate"),
        ("btcusdt@depth20@100ms", "depthUpdate"),
        ("btcusdt@markPrice", "markPriceUpdate"),
        ("btcusdt@markPrice@1s", "markPriceUpdate"),
        ("btcusdt@ticker", "24hrTicker"),
        ("btcusdt@miniTicker", "24hrMiniTicker"),
    ],
)
def test_periodic_streams_are_published(server: SandboxServer, name: str, kind: str) -> None:
    with Subscriber(server, f"/ws/{name}") as listener:
        event = listener.next()

    assert (event["e"], event["s"]) == (kind, "BTCUSDT")


def test_depth_stream_has_the_levels_of_its_name(server: SandboxServer) -> None:
    with Subscriber(server, "/ws/btcusdt@depth10") as listener:
        event = listener.next()

    assert (len(event["b"]), len(event["a"])) == (10, 10)


@pytest.mark.parametrize(("name", "fields"), [("!ticker@arr", 18), ("!miniTicker@arr", 9)])
def test_all_tickers_are_sent_once_then_changed_ones(server: SandboxServer, name: str, fields: int) -> None:
    with Subscriber(server, f"/ws/{name}") as listener:
        everything = listener.next()
        server.exchange.trade("ETHUSDT", Side.BUY, Decimal(2), Decimal(3_000))
        [changed] = listener.next()

    assert (len(everything), len(changed)) == (12, fields)
    assert (changed["s"], changed["c"], changed["v"]) == ("ETHUSDT", "3000", "2")


def test_book_built_from_diffs_equals_the_book(server: SandboxServer, client: Client) -> None:
    """Follows "How to manage a local order book correctly"."""

    def depth() -> Answer:
        return client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000).json()

    def move(price: int) -> None:
        server.exchange.move("BTCUSDT", Decimal(price))

    with Subscriber(server, "/ws/btcusdt@depth@100ms") as listener:
        wait_for_subscription(server, "btcusdt@depth@100ms")
        move(91_300)
        while (event := _changed(listener, move))["u"] < (snapshot := depth())["lastUpdateId"]:
            pass
        assert event["U"] <= snapshot["lastUpdateId"] <= event["u"]
        book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        for price in (91_310, 91_100, 91_305):
            move(price)
            last, event = event["u"], listener.next()
            assert event["pu"] == last
            for side, changes in (("bids", event["b"]), ("asks", event["a"])):
                book[side] = _with(book[side], changes)

    assert book == {side: dict(depth()[side]) for side in ("bids", "asks")}


def _changed(listener: Subscriber, move: Callable[[int], None]) -> Answer:
    """Move the market until an event arrives; return it."""
    for price in range(91_300, 91_400):
        move(price)
        with suppress(TimeoutError):
            return listener.next(0.5)
    raise AssertionError("no event")


def _with(side: dict[str, str], changes: list[list[str]]) -> dict[str, str]:
    return {price: quantity for price, quantity in {**side, **dict(changes)}.items() if Decimal(quantity)}


def test_all_mark_prices_are_in_one_array(server: SandboxServer) -> None:
    with Subscriber(server, "/ws/!markPrice@arr@1s") as listener:
        event = listener.next()

    assert len(event) == 12
    assert {each["e"] for each in event} == {"markPriceUpdate"}


def test_candle_is_published_after_a_trade(server: SandboxServer) -> None:
    with Subscriber(server, "/ws/btcusdt@kline_1m") as listener:
        server.exchange.trade("BTCUSDT", Side.BUY, Decimal(1), Decimal(91_000))
        event = listener.until("kline")

    assert (event["k"]["c"], event["k"]["i"], event["k"]["n"]) == ("91000", "1m", 1)


def test_streams_are_subscribed_listed_and_unsubscribed(server: SandboxServer) -> None:
    with Subscriber(server, "/ws") as listener:
        subscribed = listener.request(method="SUBSCRIBE", params=["btcusdt@forceOrder"], id=1)
        listed = listener.request(method="LIST_SUBSCRIPTIONS", id=2)
        server.exchange.liquidate("BTCUSDT", Side.BUY, Decimal(1))
        event = listener.until("forceOrder")
        left = listener.request(method="UNSUBSCRIBE", params=["btcusdt@forceOrder"], id=3)
        remaining = listener.request(method="LIST_SUBSCRIPTIONS", id=4)

    assert subscribed == {"result": None, "id": 1}
    assert listed["result"] == ["btcusdt@forceOrder"]
    assert event["o"]["S"] == "BUY"
    assert left["result"] is None
    assert remaining["result"] == []


def test_request_without_id_is_acknowledged(server: SandboxServer) -> None:
    with Subscriber(server, "/ws") as listener:
        assert listener.request(method="SUBSCRIBE", params=["x@y"]) == {"result": None, "id": None}


def test_eleven_messages_in_a_second_close_the_connection(server: SandboxServer) -> None:
    with Subscriber(server, "/ws") as listener, pytest.raises(ConnectionClosed):
        for _ in range(50):  # without waiting for replies, which may take over a second on a slow machine
            listener.send('{"method": "LIST_SUBSCRIPTIONS", "id": 1}')
        while True:
            listener.next()


def test_more_than_200_streams_are_refused(server: SandboxServer) -> None:
    names = "/".join(f"s{number}@aggTrade" for number in range(201))
    with Subscriber(server, f"/stream?streams={names}") as listener, pytest.raises(ConnectionClosed):
        listener.next()


def test_unknown_path_is_closed(server: SandboxServer) -> None:
    with Subscriber(server, "/elsewhere") as listener, pytest.raises(ConnectionClosed):
        listener.next()


def test_connection_without_pongs_is_closed() -> None:
    limits = StreamLimits(ping_interval_s=0.1, max_silence_s=3)  # a live client may be slow
    with SandboxServer(stream_limits=limits) as server, Subscriber(server, "/ws/btcusdt@markPrice@1s") as responsive:
        frames = silent_frames(server)
        events = [responsive.next() for _ in range(3)]

    assert b"\x89" in frames
    assert [each["e"] for each in events] == ["markPriceUpdate"] * 3


def silent_frames(server: SandboxServer) -> bytes:
    """Return what the server sends to a client that never responds, until it closes the connection."""
    host, port = server.ws_url.removeprefix("ws://").split(":")
    request = (
        "GET /ws HTTP/1.1\r\nHost: sandbox\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as silent:
        silent.sendall(request.encode())
        while chunk := silent.recv(4096):
            received += chunk
    return received.partition(b"\r\n\r\n")[2]


def test_connection_is_closed_after_its_lifetime() -> None:
    with (
        SandboxServer(stream_limits=StreamLimits(max_lifetime_s=0.05)) as server,
        Subscriber(server, "/ws") as listener,
        pytest.raises(ConnectionClosed),
    ):
        listener.next()


@pytest.fixture
def user_stream(server: SandboxServer, client: Client) -> Iterator[Subscriber]:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as listener:
        wait_for_subscription(server, key)
        yield listener


def test_order_updates_from_acceptance_to_fill(client: Client, user_stream: Subscriber) -> None:
    client.order(newClientOrderId="lh-a-e")
    events = [user_stream.until("ORDER_TRADE_UPDATE") for _ in range(2)]
    account = user_stream.until("ACCOUNT_UPDATE")
    updates = [parse_event(each, received_at=0) for each in events]

    assert [each["o"]["x"] for each in events] == ["NEW", "TRADE"]
    assert [each["o"]["X"] for each in events] == ["NEW", "FILLED"]
    assert all(isinstance(each, OrderUpdate) and each.client_order_id == "lh-a-e" for each in updates)
    assert account["a"]["m"] == "ORDER"
    assert account["a"]["P"][0]["pa"] == "0.01"


def test_triggered_stop_keeps_its_original_type(server: SandboxServer, client: Client, user_stream: Subscriber) -> None:
    client.order()
    client.order(**STOP)
    server.exchange.move("BTCUSDT", Decimal(89_900))
    received: list[Answer] = []
    while not received or received[-1]["X"] != "FILLED" or received[-1]["ot"] == "MARKET":
        received.append(user_stream.until("ORDER_TRADE_UPDATE")["o"])

    assert (received[-1]["o"], received[-1]["ot"], received[-1]["cp"], received[-1]["S"]) == (
        "MARKET",
        "STOP_MARKET",
        True,
        "SELL",
    )
    assert Decimal(received[-1]["rp"]) < 0


def test_leverage_and_mode_changes_are_published(client: Client, user_stream: Subscriber) -> None:
    client.post("/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
    client.post("/fapi/v1/positionSide/dual", dualSidePosition="true")

    assert user_stream.until("ACCOUNT_CONFIG_UPDATE")["ac"] == {"s": "BTCUSDT", "l": 7}
    assert user_stream.until("ACCOUNT_CONFIG_UPDATE")["ai"]["d"] is True


def test_funding_of_a_crossed_position_has_no_positions(
    server: SandboxServer, client: Client, user_stream: Subscriber
) -> None:
    client.order()
    user_stream.until("ACCOUNT_UPDATE")
    server.exchange.settle_funding("BTCUSDT", Decimal("0.001"))
    event = user_stream.until("ACCOUNT_UPDATE")

    assert event["a"]["m"] == "FUNDING_FEE"
    assert "P" not in event["a"]
    assert Decimal(event["a"]["B"][0]["bc"]) < 0


def test_own_liquidation_is_on_both_streams(server: SandboxServer, client: Client, user_stream: Subscriber) -> None:
    client.post("/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    client.post("/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    client.order()
    with Subscriber(server, "/ws/!forceOrder@arr") as public:
        wait_for_subscription(server, "!forceOrder@arr")
        server.exchange.set_mark("BTCUSDT", Decimal(89_500))
        liquidation = public.until("forceOrder")
    received: list[Answer] = []
    while not received or not received[-1]["c"].startswith("autoclose-"):
        received.append(user_stream.until("ORDER_TRADE_UPDATE")["o"])

    assert (liquidation["o"]["s"], liquidation["o"]["S"]) == ("BTCUSDT", "SELL")
    assert received[-1]["S"] == "SELL"


def test_margin_call_has_position_and_maintenance_margin(
    server: SandboxServer, client: Client, user_stream: Subscriber
) -> None:
    client.post("/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    client.post("/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    client.order()
    liquidation = Decimal(client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["liquidationPrice"])
    server.exchange.set_mark("BTCUSDT", liquidation + 10)
    event = user_stream.until("MARGIN_CALL")

    assert (event["p"][0]["s"], event["p"][0]["pa"]) == ("BTCUSDT", "0.01")
    assert Decimal(event["p"][0]["mm"]) > 0


def test_listen_key_is_the_same_until_closed(server: SandboxServer, client: Client) -> None:
    first, again = client.listen_key(), client.listen_key()
    with Subscriber(server, f"/ws/{first}") as listener:
        wait_for_subscription(server, first)
        closed = client.raw("DELETE", "/fapi/v1/listenKey", "")
        with pytest.raises(ConnectionClosed):
            listener.next()

    assert first == again
    assert closed.json() == {}
    assert client.raw("PUT", "/fapi/v1/listenKey", "").json()["code"] == -1125
    assert client.listen_key() != first


def test_listen_key_expires_an_hour_after_the_last_renewal() -> None:
    clock = ManualClock(1_700_000_000_000)
    with SandboxServer(clock=clock) as server:
        client = Client(server)
        key = client.listen_key()
        with Subscriber(server, f"/ws/{key}") as listener:
            wait_for_subscription(server, key)
            clock.advance(59 * 60_000)
            kept = client.raw("PUT", "/fapi/v1/listenKey", f"listenKey={key}")
            clock.advance(59 * 60_000)
            client.order()
            alive = listener.next()
            clock.advance(61 * 60_000)
            server.exchange.advance()
            expired = listener.until("listenKeyExpired")
            client.order()
            with pytest.raises(TimeoutError):
                listener.next(timeout=0.1)

    assert kept.json() == {}
    assert alive["e"] == "ORDER_TRADE_UPDATE"
    assert expired["E"] >= 1_700_000_000_000
    assert json.dumps(expired)
