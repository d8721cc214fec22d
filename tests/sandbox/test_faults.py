"""Fault injection over real sockets."""

from contextlib import suppress
from decimal import Decimal

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.sandbox.faults import GARBLED_RESPONSES, Fault, FaultKind, Faults
from src.sandbox.server import SandboxServer
from tests.builders import NOW
from tests.exchange.stream_server import wait_until
from tests.sandbox.client import Client, Subscriber, code, done
from tests.sandbox.streams.test_server import wait_for_subscription

ORDER = "/fapi/v1/order"
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "90000", "closePosition": "true"}


def inject(client: Client, kind: str, **fields: object) -> None:
    url = f"{client.server.base_url}/sandbox/faults"
    assert requests.post(url, json={"kind": kind, **fields}, timeout=20).json() == {"done": True}


def test_unknown_outcome_executes_the_order(server: SandboxServer, client: Client) -> None:
    inject(client, "unknown_outcome", path="order", method="POST")
    response = client.signed("POST", ORDER, **MARKET, newClientOrderId="lh-a-e")

    assert (response.status_code, code(response)) == (503, -1007)
    assert client.get(ORDER, symbol="BTCUSDT", origClientOrderId="lh-a-e")["status"] == "FILLED"
    assert server.exchange.account.request_log.times_received() == {"lh-a-e": 1}


def test_dropped_reply_closes_the_connection_after_executing(server: SandboxServer, client: Client) -> None:
    inject(client, "dropped_reply", path="order")
    with pytest.raises(requests.ConnectionError):
        client.signed("POST", ORDER, **MARKET)

    assert len(server.exchange.account.request_log.received) == 1
    assert client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["positionAmt"] == "0.01"


def test_unavailable_executes_nothing(server: SandboxServer, client: Client) -> None:
    inject(client, "unavailable", path="order")

    assert client.signed("POST", ORDER, **MARKET).status_code == 503
    assert server.exchange.account.request_log.received == []


def test_fault_matches_an_order_by_client_id(server: SandboxServer, client: Client) -> None:
    inject(client, "rejected", path="-s", method="POST", value=4045)
    assert client.signed("POST", ORDER, **MARKET, newClientOrderId="lh-a-e").status_code == 200
    rejected = client.signed("POST", ORDER, **STOP, newClientOrderId="lh-a-s1")

    assert (rejected.status_code, code(rejected)) == (400, -4045)
    assert server.exchange.account.request_log.attempts == {"lh-a-e": 1, "lh-a-s1": 1}
    assert server.exchange.account.request_log.times_received() == {"lh-a-e": 1}


@pytest.mark.parametrize("answer", range(len(GARBLED_RESPONSES)))
def test_garbled_response_executes_the_order(server: SandboxServer, client: Client, answer: int) -> None:
    inject(client, "garbled", path="order", method="POST", value=answer)
    response = client.signed("POST", ORDER, **MARKET)

    assert (response.status_code, response.text) == GARBLED_RESPONSES[answer]
    assert len(server.exchange.account.request_log.received) == 1


def test_response_is_rewritten_once(client: Client) -> None:
    done(client.signed("POST", ORDER, **STOP, newClientOrderId="web-1"))
    inject(client, "rewritten", path="openOrders", old='"type":"STOP_MARKET"', new='"type":"ICEBERG"')

    first, second = (client.get("/fapi/v1/openOrders") for _ in range(2))
    assert [each["type"] for each in (*first, *second)] == ["ICEBERG", "STOP_MARKET"]


def test_frame_is_rewritten_once() -> None:
    faults = Faults()
    faults.inject(Fault(FaultKind.REWRITTEN, path="user", old=r'"X":"\w+"', new='"X":"SUSPENDED"'))

    assert list(faults.apply_to_frame("btcusdt@depth", '{"X":"NEW"}')) == ['{"X":"NEW"}']
    assert list(faults.apply_to_frame("user", '{"X":"NEW"}')) == ['{"X":"SUSPENDED"}']
    assert list(faults.apply_to_frame("user", '{"X":"NEW"}')) == ['{"X":"NEW"}']


@pytest.mark.parametrize(("kind", "status"), [("rate_limited", 429), ("banned", 418)])
def test_rate_limit_sends_retry_after(client: Client, kind: str, status: int) -> None:
    inject(client, kind, path="ping", value=7)
    response = client.public("/fapi/v1/ping")

    assert (response.status_code, code(response), response.headers["Retry-After"]) == (status, -1003, "7")
    assert done(client.public("/fapi/v1/ping")) == {}


def test_timestamp_is_rejected_twice(client: Client) -> None:
    inject(client, "bad_timestamp", times=2)

    assert [client.signed("GET", "/fapi/v2/balance").status_code for _ in range(3)] == [400, 400, 200]


def test_order_may_be_resent_after_timestamp_rejection(server: SandboxServer, client: Client) -> None:
    request_log = server.exchange.account.request_log
    inject(client, "bad_timestamp", path="order", method="POST")
    statuses = [client.signed("POST", ORDER, **MARKET, newClientOrderId="lh-a-e").status_code for _ in range(2)]
    assert (statuses, request_log.attempts, request_log.duplicates()) == ([400, 200], {"lh-a-e": 2}, {})

    client.signed("POST", ORDER, **MARKET, newClientOrderId="lh-a-e")
    assert request_log.duplicates() == {"lh-a-e": 3}


def test_response_is_delayed(client: Client) -> None:
    inject(client, "delay", path="time", value=60)

    assert client.public("/fapi/v1/time").elapsed.total_seconds() >= 0.06


def test_stop_is_rejected_once(client: Client) -> None:
    inject(client, "stop_rejected")

    assert client.rejected("POST", ORDER, **STOP) == -2021
    assert done(client.signed("POST", ORDER, **STOP))["status"] == "NEW"


def test_second_closing_stop_is_rejected(client: Client) -> None:
    inject(client, "one_closing_stop", path="BTCUSDT", times=2)
    assert client.signed("POST", ORDER, **STOP).status_code == 200

    second = client.signed("POST", ORDER, **STOP)
    assert (second.status_code, code(second)) == (400, -4130)
    sized = {name: value for name, value in STOP.items() if name != "closePosition"}
    assert client.signed("POST", ORDER, **sized, quantity="0.01").status_code == 200
    assert client.signed("POST", ORDER, **STOP | {"type": "TAKE_PROFIT_MARKET", "stopPrice": "190000"}).ok


def test_order_expires_partially_filled(server: SandboxServer, client: Client) -> None:
    inject(client, "expired", path="lh-a", value=40)
    order = done(client.signed("POST", ORDER, **MARKET, newClientOrderId="lh-a-e", newOrderRespType="RESULT"))

    assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.004")
    assert [each.quantity for each in server.exchange.account.open_positions()] == [Decimal("0.004")]


@pytest.mark.parametrize(("word", "expected"), [("", "EXPIRED_IN_MATCH"), ("EXPIRE_TAKER", "EXPIRE_TAKER")])
def test_order_ends_with_an_undocumented_status(
    server: SandboxServer, client: Client, word: str, expected: str
) -> None:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        inject(client, "status_word", path="-s", new=word)
        for name in ("lh-a-e", "lh-a-s"):
            client.order(**STOP, quantity=None, newClientOrderId=name)
            canceled = client.delete(ORDER, symbol="BTCUSDT", origClientOrderId=name)
        ends = [order for order in (user_stream.next()["o"] for _ in range(4)) if order["X"] != "NEW"]

    assert [(order["c"], order["X"]) for order in ends] == [("lh-a-e", "CANCELED"), ("lh-a-s", expected)]
    assert canceled["status"] == expected
    assert client.get(ORDER, symbol="BTCUSDT", origClientOrderId="lh-a-s")["status"] == expected
    assert client.get("/fapi/v1/openOrders") == []


def test_close_ends_unfilled_with_an_undocumented_status(client: Client) -> None:
    client.order()
    for kind in ("expired", "status_word"):
        inject(client, kind, path="-c")
    close = {**MARKET, "side": "SELL", "newClientOrderId": "lh-a-c", "newOrderRespType": "RESULT"}
    order = client.order(**close)

    assert (order["status"], order["executedQty"]) == ("EXPIRED_IN_MATCH", "0")
    assert client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["positionAmt"] == "0.01"


@pytest.mark.parametrize(("word", "expected"), [("", "EXPIRED"), ("WITHDRAWN", "WITHDRAWN")])
def test_exchange_ends_an_open_order(server: SandboxServer, client: Client, word: str, expected: str) -> None:
    key = client.listen_key()
    stop = client.order(**STOP, quantity=None, newClientOrderId="lh-a-s")
    client.order(**STOP, quantity=None, newClientOrderId="lh-b-s")
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        inject(client, "orders_ended", path="lh-a", new=word)
        order = user_stream.until("ORDER_TRADE_UPDATE")["o"]

    assert (order["i"], order["x"], order["X"]) == (stop["orderId"], "EXPIRED", expected)
    assert [each["clientOrderId"] for each in client.get("/fapi/v1/openOrders")] == ["lh-b-s"]


def test_thin_book_gives_partial_fills(server: SandboxServer, client: Client) -> None:
    inject(client, "partial_fill", path="BTCUSDT", value=1)
    ask = client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()["askPrice"]
    limit = {**MARKET, "type": "LIMIT", "timeInForce": "GTC", "price": ask, "quantity": "0.1"}
    order = client.order(**limit, newOrderRespType="RESULT")
    requests.delete(f"{server.base_url}/sandbox/faults", timeout=20)
    server.exchange.move("BTCUSDT", Decimal(91_200))

    assert order["status"] == "PARTIALLY_FILLED"
    assert client.get(ORDER, symbol="BTCUSDT", orderId=order["orderId"])["status"] == "FILLED"


def test_stream_cut_closes_matching_connections(server: SandboxServer, client: Client) -> None:
    with (
        Subscriber(server, f"/ws/{client.listen_key()}") as user_stream,
        Subscriber(server, "/ws/btcusdt@depth5") as public,
    ):
        wait_for_subscription(server, client.listen_key())
        inject(client, "stream_cut", path="user")
        with pytest.raises(ConnectionClosed):
            user_stream.next()
        assert public.next()["e"] == "depthUpdate"


def test_listen_key_expires_early(server: SandboxServer, client: Client) -> None:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        inject(client, "listen_key_expired")
        assert user_stream.until("listenKeyExpired")["e"] == "listenKeyExpired"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("stream_silent", ["2", "3"]), ("duplicated", ["1", "1", "2", "3"]), ("reordered", ["2", "1", "3"])],
)
def test_frames_are_dropped_duplicated_or_reordered(
    server: SandboxServer, client: Client, kind: str, expected: list[str]
) -> None:
    with Subscriber(server, "/ws/btcusdt@aggTrade") as listener:
        wait_for_subscription(server, "btcusdt@aggTrade")
        inject(client, kind, path="aggTrade")
        for quantity in (1, 2, 3):
            server.exchange.trade("BTCUSDT", Side.BUY, Decimal(quantity))

        assert [listener.next()["q"] for _ in expected] == expected


def test_frame_is_delayed(server: SandboxServer) -> None:
    with Subscriber(server, "/ws/btcusdt@aggTrade") as listener:
        wait_for_subscription(server, "btcusdt@aggTrade")
        server.faults.inject(Fault(FaultKind.LATE, path="aggTrade", value=2_000))
        for quantity in (1, 2):
            server.exchange.trade("BTCUSDT", Side.BUY, Decimal(quantity))

        assert [listener.next()["q"] for _ in range(2)] == ["2", "1"]


def test_new_connection_is_refused_once(server: SandboxServer, client: Client) -> None:
    key = client.listen_key()
    inject(client, "stream_refused", path="user")
    with Subscriber(server, f"/ws/{key}") as user_stream, pytest.raises(ConnectionClosed):
        user_stream.next()
    with Subscriber(server, f"/ws/{key}"):
        wait_for_subscription(server, key)


def test_open_order_is_omitted_from_the_list(client: Client) -> None:
    done(client.signed("POST", ORDER, **STOP, newClientOrderId="lh-a-s1"))
    inject(client, "omitted", path="-s")

    assert client.get("/fapi/v1/openOrders") == []
    assert client.get(ORDER, symbol="BTCUSDT", origClientOrderId="lh-a-s1")["status"] == "NEW"
    assert len(client.get("/fapi/v1/openOrders")) == 1


def test_outdated_response_is_repeated(client: Client) -> None:
    inject(client, "outdated", path="positionRisk", times=2)
    quantities = []
    for _ in range(3):
        quantities.append(client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["positionAmt"])
        done(client.signed("POST", ORDER, **MARKET))

    assert [Decimal(each) for each in quantities] == [0, 0, Decimal("0.02")]


def test_fault_applies_to_matching_requests_until_cleared() -> None:
    faults = Faults()
    faults.inject(Fault(FaultKind.DELAY, times=2, path="order", method="POST"))

    assert faults.consume(FaultKind.DELAY, "GET", "/fapi/v1/order") is None
    assert faults.consume(FaultKind.DELAY, "POST", "/fapi/v1/time") is None
    assert faults.consume(FaultKind.BANNED, "POST", "/fapi/v1/order") is None
    assert faults.consume(FaultKind.DELAY, "POST", "/fapi/v1/order") is not None
    assert [each.times for each in faults.pending()] == [1]
    faults.clear()
    assert faults.consume(FaultKind.DELAY, "POST", "/fapi/v1/order") is None


def test_control_route_lists_faults_and_rejects_invalid_ones(server: SandboxServer, client: Client) -> None:
    url = f"{server.base_url}/sandbox/faults"
    inject(client, "delay", value=5, times=3)

    pending = {"kind": "delay", "times": 3, "path": "", "method": "", "value": 5, "old": "", "new": ""}
    assert requests.get(url, timeout=20).json() == [pending]
    invalid: list[object] = [
        {"kind": "earthquake"},
        {"kind": "delay", "times": "many"},
        {"kind": "delay", "colour": 1},
        [],
    ]
    for body in invalid:
        assert requests.post(url, json=body, timeout=20).status_code == 400


def test_fault_injection_must_be_allowed() -> None:
    with SandboxServer(allow_faults=False) as server:
        response = requests.post(f"{server.base_url}/sandbox/faults", json={"kind": "delay"}, timeout=20)
        status = requests.get(f"{server.base_url}/sandbox/status", timeout=20).json()

    assert response.status_code == 404
    assert (status["symbols"], status["replay"], status["orders_received"]) == (12, None, 0)


def test_maintenance_stops_requests_and_streams_until_its_end() -> None:
    clock = ManualClock(NOW)
    with SandboxServer(clock=clock) as server:
        client = Client(server)
        stop = client.order(**STOP, quantity=None)
        key = client.listen_key()
        with Subscriber(server, f"/ws/{key}") as user_stream, Subscriber(server, "/ws/!forceOrder@arr") as public:
            wait_for_subscription(server, key, "!forceOrder@arr")
            inject(client, "maintenance", value=1_800)
            for stream in (user_stream, public):
                with pytest.raises(ConnectionClosed):
                    stream.next()
        with pytest.raises(InvalidStatus), Subscriber(server, f"/ws/{key}"):
            pass
        refused = [client.public("/fapi/v1/ping"), client.signed("POST", ORDER, **MARKET)]
        assert [each.status_code for each in refused] == [503, 503]

        clock.advance(1_800_000)
        wait_until(lambda: is_open(server, key))
        assert [each["orderId"] for each in client.get("/fapi/v1/openOrders")] == [stop["orderId"]]
        assert client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["positionAmt"] == "0"


def is_open(server: SandboxServer, key: str) -> bool:
    with suppress(InvalidStatus), Subscriber(server, f"/ws/{key}"):
        return True
    return False


def test_maintenance_ends_with_the_faults(client: Client) -> None:
    inject(client, "maintenance", value=1_800)
    assert client.public("/fapi/v1/ping").status_code == 503
    requests.delete(f"{client.server.base_url}/sandbox/faults", timeout=20)

    assert done(client.public("/fapi/v1/ping")) == {}


@pytest.mark.parametrize(("name", "has_time"), [("", False), ("announcement", False), ("STRATEGY_UPDATE", True)])
def test_undocumented_user_events(server: SandboxServer, client: Client, name: str, has_time: bool) -> None:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        inject(client, "user_event", new=name)
        event = user_stream.next()

    assert (event["e"], "E" in event) == (name or "announcement", has_time)
