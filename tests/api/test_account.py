"""Positions, account and open orders, with the keys that older scripts read."""

from dataclasses import replace

import pytest

from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.positions import Position, PositionRecord, Protection
from tests.api.harness import ApiHarness
from tests.builders import ENTRY_ID, NOW, D, an_order

LONG = PositionRecord(
    position=Position("BTCUSDT", PositionSide.LONG, D("0.020"), D(50_000)),
    mark_price=D(51_000),
    leverage=10,
    margin_type=MarginType.ISOLATED,
    liquidation_price=D(45_900),
    take_profit_price=D(50_500),
    stop_loss_price=D(49_000),
    protection=Protection.OK,
    opened_at=NOW - 5_000,
    as_of=NOW,
    entry_client_order_id=ENTRY_ID,
)
SHORT = replace(LONG, position=Position("币安人生USDT", PositionSide.BOTH, D(-3), D(2)), mark_price=None)


def test_position_row_has_size_result_and_protection(harness: ApiHarness) -> None:
    harness.add_position(LONG)
    (row,) = harness.json("/api/positions")
    assert (row["symbol"], row["side"], row["positionSide"]) == ("BTCUSDT", "LONG", "LONG")
    assert (row["positionAmt"], row["entryPrice"], row["markPrice"]) == ("0.020", "50000", "51000")
    assert row["unRealizedProfit"] == row["unrealizedPnl"] == "20.000"
    assert (row["leverage"], row["marginType"]) == (10, "isolated")
    assert D(row["positionValue"]) == 1020 and D(row["initialMargin"]) == 100 and D(row["notional"]) == 1000
    assert row["unrealizedPnlPct"] == "20.0000" and row["liquidationDistancePct"] == "10.0000"
    assert (row["takeProfitPrice"], row["stopLossPrice"], row["liquidationPrice"]) == ("50500", "49000", "45900")
    assert (row["protection"], row["is_ours"], row["opened_at"], row["as_of"]) == ("ok", True, NOW - 5_000, NOW)


def test_unknown_values_are_null(harness: ApiHarness) -> None:
    harness.add_position(SHORT)
    (row,) = harness.json("/api/positions")
    assert (row["side"], row["positionSide"], row["symbol"]) == ("SHORT", "BOTH", "币安人生USDT")
    assert row["markPrice"] is row["unrealizedPnl"] is row["positionValue"] is row["liquidationDistancePct"] is None


def test_position_detail_lists_its_orders(harness: ApiHarness) -> None:
    harness.add_position(LONG)
    harness.add_orders(an_order(order_id=1), an_order(OrderRole.STOP_LOSS, 1, order_id=2))
    found = harness.json("/api/positions/BTCUSDT/LONG")
    assert found["entryPrice"] == "50000"
    assert {order["role"] for order in found["orders"]} == {"ENTRY", "STOP_LOSS"}
    assert len(found["trades"]) == 2


@pytest.mark.parametrize("side", ["SHORT", "short", "BOTH"])
def test_one_way_position_is_found_by_side_or_both(harness: ApiHarness, side: str) -> None:
    harness.add_position(SHORT)
    assert harness.json(f"/api/positions/币安人生USDT/{side}")["positionAmt"] == "-3"


def test_missing_position_is_404(harness: ApiHarness) -> None:
    harness.add_position(LONG)
    response = harness.get("/api/positions/BTCUSDT/SHORT")
    assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


def test_account_uses_the_exchanges_keys(harness: ApiHarness) -> None:
    harness.set_state(
        "account",
        wallet_balance=D("1000.10"),
        unrealized_pnl=D("-1"),
        margin_balance=D("999.10"),
        available_balance=D(900),
        initial_margin=D(99),
        maintenance_margin=D("9.991"),
        at=NOW - 10,
    )
    assert harness.json("/api/account") == {
        "totalWalletBalance": "1000.10",
        "totalUnrealizedProfit": "-1",
        "totalMarginBalance": "999.10",
        "availableBalance": "900",
        "totalPositionInitialMargin": "99",
        "totalMaintMargin": "9.991",
        "margin_ratio": "1.0000",
        "as_of": NOW - 10,
    }


def test_account_is_null_before_the_first_read(harness: ApiHarness) -> None:
    assert set(harness.json("/api/account").values()) == {None}


def test_open_orders_show_who_placed_them(harness: ApiHarness) -> None:
    harness.add_orders(an_order(order_id=1), an_order(OrderRole.STOP_LOSS, 1), an_order(OrderRole.CLOSE, 2))
    harness.set_state(
        "external_orders", items=[{"order_id": 9, "client_order_id": "web_1", "symbol": "ETHUSDT", "side": "SELL"}]
    )
    rows = harness.json("/api/orders")
    assert [(row["purpose"], row["is_ours"]) for row in rows] == [
        ("close", True),
        ("protective", True),
        ("entry", True),
        ("external", False),
    ]
    entry = rows[2]
    assert (entry["client_order_id"], entry["quantity"], entry["status"]) == (ENTRY_ID, "0.01", "NEW")
    assert entry["is_simulated"] is False
