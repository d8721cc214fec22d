"""Order endpoints over a real socket: accepted orders, and the documented codes of rejected ones."""

import json
from decimal import Decimal

import pytest

from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.sandbox.faults import Fault, FaultKind
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client

ORDER = "/fapi/v1/order"
LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "price": "91000", "quantity": "0.01"}
STOP = {"type": "STOP_MARKET", "side": "SELL", "stopPrice": "90000"}


def test_market_order_fills_at_the_opposite_quote(client: Client) -> None:
    ask = client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()["askPrice"]
    order = client.order(newOrderRespType="RESULT")

    assert (order["status"], order["avgPrice"], order["executedQty"]) == ("FILLED", ask, "0.01")


def test_open_order_is_queried_and_cancelled_by_either_id(client: Client) -> None:
    placed = client.order(**LIMIT, newClientOrderId="lh-mine-e")
    by_name = client.get(ORDER, symbol="BTCUSDT", origClientOrderId="lh-mine-e")
    by_number = client.get("/fapi/v1/openOrder", symbol="BTCUSDT", orderId=placed["orderId"])
    cancelled = client.delete(ORDER, symbol="BTCUSDT", origClientOrderId="lh-mine-e")

    assert (placed["status"], by_name["orderId"], by_number["clientOrderId"]) == ("NEW", placed["orderId"], "lh-mine-e")
    assert cancelled["status"] == "CANCELED"
    assert client.get("/fapi/v1/openOrders", symbol="BTCUSDT") == []
    assert client.rejected("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=placed["orderId"]) == -2013
    assert client.rejected("DELETE", ORDER, symbol="BTCUSDT", orderId=placed["orderId"]) == -2011
    assert [each["status"] for each in client.get("/fapi/v1/allOrders", symbol="BTCUSDT")] == ["CANCELED"]


def test_order_without_client_id_gets_one(client: Client) -> None:
    assert client.order(**LIMIT)["clientOrderId"]


def test_limit_fills_when_the_price_passes_it(server: SandboxServer, client: Client) -> None:
    placed = client.order(**LIMIT)
    server.exchange.move("BTCUSDT", Decimal(90_900))

    assert client.get(ORDER, symbol="BTCUSDT", orderId=placed["orderId"])["status"] == "FILLED"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbol": "NOUSDT"}, -1121),
        ({"symbol": None}, -1102),
        ({"side": "LONG"}, -1117),
        ({"type": "STOPPED"}, -1116),
        ({"type": "TRAILING_STOP_MARKET", "callbackRate": "1", "quantity": None}, -1020),
        ({"quantity": None}, -1102),
        ({"quantity": ""}, -1102),
        ({"quantity": "1e"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0005"}, -1111),
        ({"quantity": "11"}, -4005),
        ({"price": "91000"}, -1106),
        ({"timeInForce": "GTC"}, -1106),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"newOrderRespType": "FULL"}, -1136),
        ({"newClientOrderId": "ü"}, -4015),
        ({"newClientOrderId": ""}, -1105),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1130),
        ({"closePosition": "true", "quantity": None}, -1106),
        ({"quantity": "10"}, -2019),
        ({**LIMIT, "timeInForce": "DAY"}, -1115),
        ({**LIMIT, "timeInForce": None}, -1102),
        ({**LIMIT, "price": None}, -1102),
        ({**LIMIT, "price": "91000.05"}, -1111),
        ({**LIMIT, "price": "94000"}, -4016),
        ({**LIMIT, "price": "0"}, -4001),
        ({**LIMIT, "price": "2000000"}, -4002),
        ({**LIMIT, "symbol": "XRPUSDT", "price": "2.2", "quantity": "1"}, -4164),
        ({**STOP, "quantity": "0.01", "stopPrice": None}, -1102),
        ({**STOP, "quantity": "0.01", "stopPrice": "92000"}, -2021),
        ({**STOP, "quantity": None}, -1102),
        ({**STOP, "closePosition": "true", "quantity": "0.01"}, -4137),
        ({**STOP, "closePosition": "true", "quantity": None, "reduceOnly": "true"}, -1106),
        ({**STOP, "quantity": "0.01", "workingType": "LAST"}, -4031),
        ({**STOP, "quantity": "0.01", "price": "90000"}, -1106),
        ({"icebergQty": "1"}, -1104),
    ],
)
def test_invalid_order_is_rejected_with_the_documented_code(
    client: Client, changes: dict[str, str | None], expected: int
) -> None:
    order: dict[str, str | None] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}

    assert client.rejected("POST", ORDER, **{**order, **changes}) == expected


def test_hedge_mode_requires_position_side(client: Client) -> None:
    client.post("/fapi/v1/positionSide/dual", dualSidePosition="true")
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}

    assert client.rejected("POST", ORDER, **market) == -4061
    assert client.rejected("POST", ORDER, **market, positionSide="LONG", reduceOnly="false") == -1106
    assert client.rejected("POST", ORDER, **{**market, "side": "SELL"}, positionSide="LONG") == -2022
    assert client.order(positionSide="LONG")["positionSide"] == "LONG"


def test_close_position_stop_closes_the_whole_position(server: SandboxServer, client: Client) -> None:
    client.order()
    stop = client.order(**STOP, closePosition="true", quantity=None)
    server.exchange.move("BTCUSDT", Decimal(89_900))
    positions = client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")

    assert (stop["closePosition"], stop["origQty"]) == (True, "0")
    assert [Decimal(each["positionAmt"]) for each in positions] == [0]
    ended = client.get(ORDER, symbol="BTCUSDT", orderId=stop["orderId"])
    assert (ended["status"], ended["type"], ended["origType"]) == ("FILLED", "MARKET", "STOP_MARKET")


def test_eleventh_conditional_order_is_rejected(client: Client) -> None:
    for number in range(10):
        client.order(**{**STOP, "stopPrice": str(80_000 + number)})

    assert client.rejected("POST", ORDER, symbol="BTCUSDT", **STOP, quantity="0.01") == -4045


def test_order_query_requires_an_id(client: Client) -> None:
    for method, path in (("GET", ORDER), ("DELETE", ORDER), ("GET", "/fapi/v1/openOrder")):
        assert client.rejected(method, path, symbol="BTCUSDT") == -1102
    assert client.rejected("GET", ORDER, symbol="BTCUSDT", orderId=7) == -2013
    assert client.rejected("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="nobody") == -2011


def test_batch_returns_a_result_for_each_order(client: Client) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 0.01, "reduceOnly": False}
    bad = {**good, "side": "UP"}
    results = client.post("/fapi/v1/batchOrders", batchOrders=json.dumps([good, bad, good]))

    assert [each.get("code", each.get("status")) for each in results] == ["NEW", -1117, "NEW"]


def test_batch_is_processed_in_no_order_and_answered_in_the_order_asked(server: SandboxServer, client: Client) -> None:
    names = [f"lh-batch{number}-e" for number in range(5)]
    orders = [{"symbol": "BTCUSDT", "side": "BUY", **LIMIT, "newClientOrderId": name} for name in names]
    results = client.post("/fapi/v1/batchOrders", batchOrders=json.dumps(orders))

    assert [each["clientOrderId"] for each in results] == names
    assert [each["orderId"] for each in results] != sorted(each["orderId"] for each in results)
    request_log = server.exchange.account.request_log
    assert request_log.attempts == request_log.times_received() == dict.fromkeys(names, 1)


def test_batch_counts_each_of_its_orders(server: SandboxServer, client: Client) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", **LIMIT}
    orders = json.dumps([{**order, "newClientOrderId": f"lh-batch{number}-e"} for number in range(3)])
    client.post("/fapi/v1/batchOrders", batchOrders=orders)
    assert (server.exchange.limits.used_weight, server.exchange.limits.orders) == (5, 3)

    server.exchange.limits.order_limit = 4
    assert client.rejected("POST", "/fapi/v1/batchOrders", batchOrders=orders) == -1015


def test_fault_rejects_one_order_of_a_batch_or_the_whole(server: SandboxServer, client: Client) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", **LIMIT}
    orders = json.dumps([{**order, "newClientOrderId": f"lh-batch{number}-e"} for number in range(2)])
    server.exchange.inject(Fault(FaultKind.REJECTED, path="lh-batch1", value=2019))
    results = client.post("/fapi/v1/batchOrders", batchOrders=orders)
    assert [each.get("code", each.get("status")) for each in results] == ["NEW", -2019]

    server.exchange.inject(Fault(FaultKind.REJECTED, path="batchOrders", value=4082))
    assert client.rejected("POST", "/fapi/v1/batchOrders", batchOrders=orders) == -4082


@pytest.mark.parametrize(
    ("orders", "expected"), [("[]", -4082), ("[1]", -1130), ("{}", -1130), ("[", -1130), (json.dumps([{}] * 6), -4082)]
)
def test_invalid_batch_is_rejected(client: Client, orders: str, expected: int) -> None:
    assert client.rejected("POST", "/fapi/v1/batchOrders", batchOrders=orders) == expected


def test_batch_is_cancelled_by_order_or_client_id(client: Client) -> None:
    numbers = [client.order(**LIMIT)["orderId"] for _ in range(2)]
    client.order(**LIMIT, newClientOrderId="third")
    path = "/fapi/v1/batchOrders"
    by_number = client.delete(path, symbol="BTCUSDT", orderIdList=json.dumps([*numbers, 5], separators=(",", ":")))
    by_name = client.delete(path, symbol="BTCUSDT", origClientOrderIdList='["third"]')

    assert [each.get("code", each.get("status")) for each in by_number] == ["CANCELED", "CANCELED", -2011]
    assert by_name[0]["clientOrderId"] == "third"
    assert client.rejected("DELETE", path, symbol="BTCUSDT") == -1102
    assert client.rejected("DELETE", path, symbol="BTCUSDT", orderIdList='["a"]') == -1130
    assert client.rejected("DELETE", path, symbol="BTCUSDT", orderIdList=json.dumps([1] * 11)) == -4032


def test_cancel_all_includes_stops(client: Client) -> None:
    client.order(**LIMIT)
    client.order(**STOP)
    other = client.order(symbol="ETHUSDT", **{**LIMIT, "price": "3000"})
    client.delete("/fapi/v1/allOpenOrders", symbol="BTCUSDT")

    assert [each["orderId"] for each in client.get("/fapi/v1/openOrders")] == [other["orderId"]]


def test_countdown_cancels_unless_renewed() -> None:
    clock = ManualClock(1_700_000_000_000)
    path = "/fapi/v1/countdownCancelAll"
    with SandboxServer(clock=clock) as server:
        client = Client(server)
        client.order(**LIMIT)
        client.post(path, symbol="BTCUSDT", countdownTime=1000)
        client.post(path, symbol="BTCUSDT", countdownTime=0)
        clock.advance(2000)
        server.exchange.advance()
        kept = client.get("/fapi/v1/openOrders", symbol="BTCUSDT")
        client.post(path, symbol="BTCUSDT", countdownTime=1000)
        clock.advance(1000)
        server.exchange.advance()

        assert len(kept) == 1
        assert client.get("/fapi/v1/openOrders", symbol="BTCUSDT") == []
        assert client.rejected("POST", path, symbol="BTCUSDT", countdownTime=-1) == -1130


def test_ack_is_before_the_fill_and_result_after_it(client: Client) -> None:
    acknowledged, result = client.order(newOrderRespType="ACK"), client.order(newOrderRespType="RESULT")

    assert (acknowledged["status"], acknowledged["executedQty"]) == ("NEW", "0")
    assert (result["status"], result["executedQty"]) == ("FILLED", "0.01")


def test_received_orders_are_counted_by_client_id(server: SandboxServer, client: Client) -> None:
    client.order(newClientOrderId="lh-a-e")
    client.rejected(
        "POST", ORDER, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="99", newClientOrderId="lh-b-e"
    )
    request_log = server.exchange.account.request_log

    assert request_log.times_accepted() == {"lh-a-e": 1}
    assert [each.code for each in request_log.received] == [None, -4005]


def test_client_id_of_an_open_order_is_rejected(client: Client) -> None:
    client.order(**LIMIT, newClientOrderId="same")

    assert client.rejected("POST", ORDER, symbol="BTCUSDT", side="BUY", **LIMIT, newClientOrderId="same") == -4116


def test_fill_is_a_public_trade(client: Client) -> None:
    client.order()
    trade = client.public("/fapi/v1/trades", symbol="BTCUSDT").json()[-1]

    assert (trade["qty"], trade["isBuyerMaker"]) == ("0.01", False)


def test_sell_below_the_bid_fills_an_open_buy(server: SandboxServer, client: Client) -> None:
    bid = Decimal(client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()["bidPrice"])
    placed = client.order(**{**LIMIT, "price": str(bid)})
    server.exchange.trade("BTCUSDT", Side.SELL, Decimal(1), bid - 1)

    assert client.get(ORDER, symbol="BTCUSDT", orderId=placed["orderId"])["status"] == "FILLED"
