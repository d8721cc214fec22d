"""Account endpoints over a real socket: modes, positions, balances, histories."""

from decimal import Decimal

import pytest

from src.domain.enums import Side
from src.exchange.wire import parse_account, parse_balance, parse_fill, parse_income, parse_order, parse_position
from src.sandbox.faults import Fault, FaultKind
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client


def test_position_mode_cannot_change_with_a_position(client: Client) -> None:
    path = "/fapi/v1/positionSide/dual"

    assert client.get(path) == {"dualSidePosition": False}
    assert client.rejected("POST", path, dualSidePosition="false") == -4059
    client.post(path, dualSidePosition="true")
    assert client.get(path) == {"dualSidePosition": True}
    client.order(positionSide="LONG")
    assert client.rejected("POST", path, dualSidePosition="false") == -4068
    assert client.rejected("POST", path, dualSidePosition="maybe") == -1130


def test_multi_assets_mode_can_be_set(client: Client) -> None:
    client.post("/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")

    assert client.get("/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": True}


def test_leverage_and_max_notional(client: Client) -> None:
    response = client.post("/fapi/v1/leverage", symbol="BTCUSDT", leverage=50)

    assert response == {"symbol": "BTCUSDT", "leverage": 50, "maxNotionalValue": "1000000"}
    assert client.rejected("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126) == -4028
    assert client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["leverage"] == "50"


def test_margin_type_cannot_change_with_a_position(client: Client) -> None:
    path = "/fapi/v1/marginType"

    assert client.rejected("POST", path, symbol="BTCUSDT", marginType="CROSSED") == -4046
    client.post(path, symbol="BTCUSDT", marginType="ISOLATED")
    client.order()
    assert client.rejected("POST", path, symbol="BTCUSDT", marginType="CROSSED") == -4048
    assert client.rejected("POST", path, symbol="BTCUSDT", marginType="PORTFOLIO") == -1130


def test_margin_type_is_refused_only_for_a_symbol_with_open_orders(client: Client) -> None:
    path = "/fapi/v1/marginType"
    client.order(type="LIMIT", timeInForce="GTC", price="90000")

    assert client.rejected("POST", path, symbol="BTCUSDT", marginType="ISOLATED") == -4047
    client.post(path, symbol="ETHUSDT", marginType="ISOLATED")
    client.delete("/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    client.post(path, symbol="BTCUSDT", marginType="ISOLATED")


def test_leverage_is_refused_only_above_the_brackets_of_a_symbol(server: SandboxServer, client: Client) -> None:
    path = "/fapi/v1/leverage"
    server.exchange.inject(Fault(FaultKind.MAX_LEVERAGE, path="ETHUSDT", value=8))

    assert client.rejected("POST", path, symbol="ETHUSDT", leverage=10) == -4028
    assert client.post(path, symbol="ETHUSDT", leverage=8)["leverage"] == 8
    assert client.post(path, symbol="BTCUSDT", leverage=10)["leverage"] == 10
    assert client.get("/fapi/v1/leverageBracket", symbol="ETHUSDT")["brackets"][0]["initialLeverage"] == 8

    server.exchange.clear_faults()
    assert client.post(path, symbol="ETHUSDT", leverage=10)["leverage"] == 10


def test_lower_leverage_is_refused_only_for_an_isolated_position(client: Client) -> None:
    path = "/fapi/v1/leverage"
    client.post("/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    client.order()
    client.order(symbol="ETHUSDT", quantity="0.1")

    assert client.rejected("POST", path, symbol="BTCUSDT", leverage=10) == -4161
    assert client.post(path, symbol="BTCUSDT", leverage=25)["leverage"] == 25
    assert client.post(path, symbol="ETHUSDT", leverage=10)["leverage"] == 10


def test_fault_refuses_a_setting_of_one_symbol(server: SandboxServer, client: Client) -> None:
    path = "/fapi/v1/marginType"
    server.exchange.inject(Fault(FaultKind.REJECTED, path="marginType ETHUSDT", value=4047, times=2))

    assert client.rejected("POST", path, symbol="ETHUSDT", marginType="ISOLATED") == -4047
    client.post(path, symbol="BTCUSDT", marginType="ISOLATED")
    assert client.rejected("POST", path, symbol="ETHUSDT", marginType="ISOLATED") == -4047
    client.post(path, symbol="ETHUSDT", marginType="ISOLATED")


def test_isolated_margin_is_added_and_listed(client: Client) -> None:
    path = "/fapi/v1/positionMargin"
    client.post("/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    client.order()
    before = Decimal(client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["isolatedMargin"])
    client.post(path, symbol="BTCUSDT", amount="20", type=1)
    after = Decimal(client.get("/fapi/v2/positionRisk", symbol="BTCUSDT")[0]["isolatedMargin"])
    (change,) = client.get(f"{path}/history", symbol="BTCUSDT")

    assert after - before == 20
    assert (change["amount"], change["type"], change["asset"]) == ("20", 1, "USDT")
    assert client.get(f"{path}/history", symbol="BTCUSDT", type=2) == []
    assert client.rejected("POST", path, symbol="BTCUSDT", amount="0", type=1) == -4055
    assert client.rejected("POST", path, symbol="BTCUSDT", amount="1", type=3) == -1130
    assert client.rejected("POST", path, symbol="ETHUSDT", amount="1", type=1) == -4049


def test_position_is_the_same_in_every_version(client: Client) -> None:
    client.order()
    reports = [parse_position(client.get(f"/fapi/{each}/positionRisk", symbol="BTCUSDT")[0]) for each in ("v1", "v2")]

    assert reports[0].quantity == reports[1].quantity == Decimal("0.01")
    assert reports[0].entry_price > 0
    assert len(client.get("/fapi/v2/positionRisk")) == 12


def test_wallet_and_account_agree_after_a_round_trip(server: SandboxServer, client: Client) -> None:
    client.order()
    server.exchange.move("BTCUSDT", Decimal(92_000))
    client.order(side="SELL", reduceOnly="true")
    balance = parse_balance(client.get("/fapi/v2/balance")[0])
    fills = [parse_fill(each) for each in client.get("/fapi/v1/userTrades", symbol="BTCUSDT")]
    incomes = [parse_income(each) for each in client.get("/fapi/v1/income")]
    accounts = [parse_account(client.get(f"/fapi/{each}/account")) for each in ("v2", "v4")]

    assert {each.wallet_balance for each in accounts} == {balance.wallet_balance}
    assert balance.wallet_balance == 10_000 + sum(each.realized_pnl - each.commission for each in fills)
    assert balance.wallet_balance == sum(each.amount for each in incomes)
    assert [each.type for each in incomes] == ["TRANSFER", "COMMISSION", "REALIZED_PNL", "COMMISSION"]


def test_income_has_the_id_of_its_trade(client: Client) -> None:
    client.order()
    (trade,) = client.get("/fapi/v1/userTrades", symbol="BTCUSDT")
    (fee,) = client.get("/fapi/v1/income", incomeType="COMMISSION")

    assert fee["tradeId"] == str(trade["id"])
    assert client.get("/fapi/v1/income", incomeType="TRANSFER")[0]["tradeId"] == ""


def test_funding_is_paid_and_listed(server: SandboxServer, client: Client) -> None:
    client.order()
    server.exchange.settle_funding("BTCUSDT", Decimal("0.001"))
    (paid,) = client.get("/fapi/v1/income", incomeType="FUNDING_FEE", symbol="BTCUSDT")

    assert -1 < Decimal(paid["income"]) < Decimal("-0.9")


def test_trades_are_queried_by_id_or_time_not_both(client: Client) -> None:
    for _ in range(3):
        client.order()
    numbers = [each["id"] for each in client.get("/fapi/v1/userTrades", symbol="BTCUSDT")]
    path = "/fapi/v1/userTrades"

    assert [each["id"] for each in client.get(path, symbol="BTCUSDT", fromId=numbers[1])] == numbers[1:]
    assert [each["id"] for each in client.get(path, symbol="BTCUSDT", limit=1)] == numbers[-1:]
    assert client.get(path, symbol="BTCUSDT", endTime=1000) == []
    assert client.rejected("GET", path, symbol="BTCUSDT", fromId=1, startTime=1) == -1128


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"startTime": 9, "endTime": 5}, -1023),
        ({"startTime": 0, "endTime": 8 * 86_400_000}, -4165),
        ({"limit": 0}, -1130),
    ],
)
def test_invalid_period_is_rejected(client: Client, period: dict[str, int], expected: int) -> None:
    assert client.rejected("GET", "/fapi/v1/income", **period) == expected


def test_brackets_of_one_symbol_or_all(client: Client) -> None:
    table = client.get("/fapi/v1/leverageBracket", symbol="BTCUSDT")["brackets"]

    assert (table[0]["notionalFloor"], table[0]["initialLeverage"], table[0]["cum"]) == (0, 125, 0.0)
    assert [each["notionalFloor"] for each in table[1:]] == [each["notionalCap"] for each in table[:-1]]
    assert table[1]["cum"] == 50.0
    assert len(client.get("/fapi/v1/leverageBracket")) == 12


def test_commission_rates_and_adl_quantile(client: Client) -> None:
    client.order()

    assert client.get("/fapi/v1/commissionRate", symbol="BTCUSDT")["takerCommissionRate"] == "0.0004"
    assert client.get("/fapi/v1/adlQuantile") == [
        {"symbol": "BTCUSDT", "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 0}}
    ]


def test_liquidation_is_in_force_orders(server: SandboxServer, client: Client) -> None:
    client.post("/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    client.post("/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    client.order()
    server.exchange.move("BTCUSDT", Decimal(89_500))
    server.exchange.set_mark("BTCUSDT", Decimal(89_500))
    (order,) = client.get("/fapi/v1/forceOrders")

    assert order["clientOrderId"].startswith("autoclose-")
    assert parse_order(order).side is Side.SELL
    assert client.get("/fapi/v1/forceOrders", autoCloseType="ADL") == []
    assert client.rejected("GET", "/fapi/v1/forceOrders", autoCloseType="FUN") == -1130


def test_unprotected_time_of_a_position_is_measured(server: SandboxServer, client: Client) -> None:
    exchange = server.exchange
    client.order()
    client.order(type="STOP_MARKET", side="SELL", stopPrice="90000", closePosition="true", quantity=None)
    (first,) = exchange.protection.spans()
    client.delete("/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    second = exchange.protection.spans()[-1]

    assert first.until is not None
    assert (second.symbol, second.until) == ("BTCUSDT", None)
    assert exchange.protection.longest_ms(exchange.now_ms()) >= first.duration_ms(exchange.now_ms())
