"""The trade list, the details of one trade, and the CSV export."""

import csv
import io

import pytest

from src.api.serialization import csv_attachment
from src.domain.decisions import Decision
from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.positions import Income
from tests.api.harness import ApiHarness, Trip
from tests.builders import ENTRY_ID, NOW, D, a_fill, a_liquidation, an_order

TRIP = Trip()
KEYS = [
    "id",
    "timestamp",
    "symbol",
    "order_id",
    "side",
    "qty",
    "price",
    "status",
    "order_type",
    "parent_order_id",
    "exchange_trade_id",
    "realized_pnl",
    "commission",
    "filled_qty",
    "avg_price",
    "funding_fee",
    "total_pnl",
    "net_pnl",
]


def fund(harness: ApiHarness, amount: str, at: int) -> None:
    store = harness.store
    with store.transaction():
        assert store.record_funding(Income(at, "BTCUSDT", "FUNDING_FEE", "USDT", D(amount), at))


def test_rows_have_all_keys_of_the_older_bot(harness: ApiHarness) -> None:
    harness.add_round_trip(TRIP)
    fund(harness, "-0.3", TRIP.opened_at + 1)
    leave, entry = harness.json("/api/trades")
    assert set(KEYS) <= set(entry)
    assert (entry["order_id"], entry["exchange_trade_id"], entry["parent_order_id"]) == ("10", "10", None)
    assert (entry["commission"], entry["funding_fee"], entry["net_pnl"]) == ("-0.1", "-0.3", "-0.4")
    assert (leave["realized_pnl"], leave["commission"], leave["net_pnl"]) == ("5", "-0.1", "4.9")
    assert (leave["parent_order_id"], leave["role"]) == (TRIP.entry_id, "TAKE_PROFIT")


def test_paper_and_live_trades_are_kept_apart(harness: ApiHarness) -> None:
    on_paper = Trip(entry="paper0000000", opened_at=TRIP.opened_at - 5_000, closed_at=TRIP.closed_at + 5_000, number=2)
    harness.add_round_trip(on_paper, simulated=True)
    harness.add_round_trip(TRIP)
    fund(harness, "-0.3", TRIP.opened_at + 1)
    paid = {row["client_order_id"]: row["funding_fee"] for row in harness.json("/api/trades") if row["role"] == "ENTRY"}
    assert paid == {TRIP.entry_id: "-0.3", on_paper.entry_id: "0"}
    harness.heartbeat(is_simulated=True)
    fills = harness.json("/api/chart?symbol=BTCUSDT")["fills"]
    assert {fill["client_order_id"] for fill in fills} == {on_paper.entry_id, on_paper.exit_id}


def test_only_filled_orders_are_listed_by_default(harness: ApiHarness) -> None:
    harness.add_orders(an_order(status=OrderStatus.CANCELED), an_order(OrderRole.STOP_LOSS, 1))
    assert harness.json("/api/trades") == []
    assert len(harness.json("/api/trades?include_all=true")) == 2
    assert [row["role"] for row in harness.json("/api/trades?status=CANCELED")] == ["ENTRY"]


def test_trades_are_filtered_by_symbol_age_and_status(harness: ApiHarness) -> None:
    harness.add_round_trip(TRIP, simulated=True)
    harness.add_round_trip(Trip(entry="old000000000", symbol="ETHUSDT", opened_at=NOW - 10 * 86_400_000, number=2))
    assert {row["symbol"] for row in harness.json("/api/trades")} == {"BTCUSDT"}
    assert len(harness.json("/api/trades?hours=1000&symbol=ETHUSDT")) == 2
    assert {row["status"] for row in harness.json("/api/trades?status=SIMULATED")} == {"SIMULATED"}
    assert len(harness.json("/api/trades?status=FILLED")) == 2
    assert harness.get("/api/trades?status=SUCCESS").status_code == 400


def test_several_trade_ids_are_joined(harness: ApiHarness) -> None:
    harness.add_orders(an_order(order_id=1001, status=OrderStatus.FILLED, filled_quantity=D("0.01")))
    harness.add_fills(a_fill(trade_id=7, quantity=D("0.004")), a_fill(trade_id=8, quantity=D("0.006")))
    (row,) = harness.json("/api/trades")
    assert (row["exchange_trade_id"], row["commission"]) == ("7,8", "-0.2")


def test_fee_in_another_asset_is_shown_but_not_summed(harness: ApiHarness) -> None:
    harness.add_orders(an_order(order_id=1001, status=OrderStatus.FILLED, filled_quantity=D("0.01")))
    harness.add_fills(a_fill(commission=D(7), commission_asset="ASTER"))
    (row,) = harness.json("/api/trades")
    assert (row["commission"], row["commission_asset"], row["net_pnl"]) == ("-7", "ASTER", "0")


@pytest.mark.parametrize("name", ["1", TRIP.entry_id])
def test_trade_is_found_by_its_ids(harness: ApiHarness, name: str) -> None:
    harness.add_round_trip(TRIP)
    assert harness.json(f"/api/trades/{name}")["client_order_id"] == TRIP.entry_id


def test_trade_is_found_by_exchange_order_id(harness: ApiHarness) -> None:
    harness.add_round_trip(TRIP)
    assert harness.json("/api/trades/11")["client_order_id"] == TRIP.exit_id


@pytest.mark.parametrize("name", ["99", "lh-none-e", "%00", "9" * 30, "<script>"])
def test_missing_trade_is_404(harness: ApiHarness, name: str) -> None:
    harness.add_round_trip(TRIP)
    response = harness.get(f"/api/trades/{name}")
    assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


def test_entry_details_include_its_exits_and_funding(harness: ApiHarness) -> None:
    decision = Decision(
        symbol="BTCUSDT",
        liquidation_side=Side.SELL,
        decided_at=TRIP.opened_at - 5,
        gate=None,
        reason="the window reached its threshold",
        numbers={},
        window_volume=D(60_000),
        threshold=D(50_000),
        client_order_id=TRIP.entry_id,
    )
    harness.add_liquidation(a_liquidation(traded_at=TRIP.opened_at - 9), decision)
    harness.clock.advance(-60_500)
    harness.add_orders(*TRIP.orders)
    harness.add_fills(*TRIP.fills)
    fund(harness, "-0.5", TRIP.opened_at + 1)
    found = harness.json(f"/api/trades/{TRIP.entry_id}")
    pnl = found["pnl_breakdown"]
    assert (pnl["realized_pnl"], pnl["commission"], pnl["funding_fee"], pnl["total_pnl"]) == (
        "5",
        "-0.2",
        "-0.5",
        "4.3",
    )
    assert sum(D(row["income"]) for row in pnl["details"]) == D("4.3")
    assert {row["income_type"] for row in pnl["details"]} == {"REALIZED_PNL", "COMMISSION", "FUNDING_FEE"}
    assert [row["client_order_id"] for row in found["related_trades"]] == [TRIP.exit_id]
    assert [row["related_order_id"] for row in found["order_relationships"]] == [TRIP.exit_id]
    assert found["decision"]["reason"] == "the window reached its threshold"
    kinds = [event["kind"] for event in found["timeline"]]
    assert kinds[0] == "liquidation" and "decision" in kinds and kinds[-1] == "fill"
    assert found["timeline"][-1]["title"] == "Take profit filled"
    assert found["timeline"][-1]["text"] == "SELL 0.01 at 50500, fee 0.1 USDT, realised +5.00"


def test_take_profit_details_have_its_own_pnl(harness: ApiHarness) -> None:
    harness.add_round_trip(TRIP)
    found = harness.json(f"/api/trades/{TRIP.exit_id}")
    assert (found["pnl_breakdown"]["total_pnl"], found["decision"]) == ("4.9", None)
    assert [row["client_order_id"] for row in found["related_trades"]] == [TRIP.entry_id]


def test_timeline_of_unfilled_orders(harness: ApiHarness) -> None:
    rejected = an_order(status=OrderStatus.REJECTED, reason="margin is insufficient")
    market = an_order(OrderRole.CLOSE, 3)
    harness.add_orders(rejected, market, an_order(OrderRole.STOP_LOSS, 1))
    timeline = harness.json(f"/api/trades/{ENTRY_ID}")["timeline"]
    assert [(event["kind"], event["title"], event["text"]) for event in timeline] == [
        ("order", "Entry rejected", "BUY 0.01 at 50000: margin is insufficient"),
        ("order", "Close accepted", "SELL 0.01 at market"),
        ("protection", "Stop loss accepted", "SELL whole position at 49000"),
    ]


def test_order_is_accepted_before_its_fills(harness: ApiHarness) -> None:
    """The order's times are ours and the fills' the exchange's; the timeline keeps their order."""
    harness.add_orders(an_order())
    harness.add_fills(a_fill(an_order().request, traded_at=NOW - 50))
    titles = [event["title"] for event in harness.json(f"/api/trades/{ENTRY_ID}")["timeline"]]
    assert titles == ["Entry accepted", "Entry filled"]


def test_csv_has_the_trade_list(harness: ApiHarness) -> None:
    harness.add_round_trip(TRIP)
    response = harness.get("/api/trades.csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="trades.csv"'
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"))))
    assert [(row["client_order_id"], row["net_pnl"]) for row in rows] == [
        (TRIP.exit_id, "4.9"),
        (TRIP.entry_id, "-0.1"),
    ]


@pytest.mark.parametrize("symbol", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_csv_cell_is_never_a_formula(harness: ApiHarness, symbol: str) -> None:
    harness.add_orders(an_order(request={"symbol": symbol}))
    text = harness.get("/api/trades.csv?include_all=1").data.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["symbol"] for row in rows] == [f"'{symbol}"]


def test_csv_without_trades_is_empty(harness: ApiHarness) -> None:
    with harness.app.app_context():
        assert csv_attachment("x.csv", []).data == b"\xef\xbb\xbf"
