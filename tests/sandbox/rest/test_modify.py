"""Modify Order, which exists on V3 only."""

import pytest

from src.domain.enums import Side
from src.sandbox.server import SandboxServer
from tests.builders import D
from tests.sandbox.client import code, done
from tests.sandbox.wallet_client import WalletClient

ORDER = "/fapi/v3/order"
LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "price": "91000", "newClientOrderId": "manual"}


@pytest.fixture
def client(server: SandboxServer) -> WalletClient:
    return WalletClient(server)


def test_modified_order_keeps_its_id(client: WalletClient, server: SandboxServer) -> None:
    placed = client.order(**LIMIT)
    modification = {"symbol": "BTCUSDT", "origClientOrderId": "manual", "price": "90000", "quantity": "0.02"}
    order = done(client.signed("PUT", ORDER, **modification))

    assert (order["orderId"], order["price"], order["origQty"]) == (placed["orderId"], "90000", "0.02")
    server.exchange.trade("BTCUSDT", Side.SELL, D(1), D(90_500))
    assert [each["price"] for each in client.get("/fapi/v1/openOrders", symbol="BTCUSDT")] == ["90000"]
    server.exchange.trade("BTCUSDT", Side.SELL, D(1), D(89_999))
    assert client.get(ORDER, symbol="BTCUSDT", orderId=placed["orderId"])["executedQty"] == "0.02"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": None}, -1102),
        ({"quantity": None}, -1102),
        ({"orderId": None}, -1102),
        ({"orderId": "7"}, -2013),
        ({"price": "90000.05"}, -1111),
        ({"quantity": "90"}, -2019),
    ],
)
def test_rejected_modification_leaves_the_order(
    client: WalletClient, changes: dict[str, str | None], expected: int
) -> None:
    number = client.order(**LIMIT)["orderId"]
    modification = {"symbol": "BTCUSDT", "orderId": number, "price": "90000", "quantity": "0.02", **changes}

    assert code(client.signed("PUT", ORDER, **modification)) == expected
    [order] = client.get("/fapi/v1/openOrders", symbol="BTCUSDT")
    assert (order["price"], order["origQty"]) == ("91000", "0.01")
