"""Liquidations with their verdicts, and statistics."""

from dataclasses import replace
from typing import Any

import pytest

from src.domain.decisions import Decision, Gate
from src.domain.enums import OrderStatus, Side
from tests.api.harness import ApiHarness, Trip
from tests.builders import ENTRY_ID, NOW, D, a_liquidation, an_order

HOUR_MS = 3_600_000


def a_decision(gate: Gate | None = Gate.THRESHOLD, **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "liquidation_side": Side.SELL,
        "decided_at": NOW + 1,
        "gate": gate,
        "reason": "12000 of 50000",
        "numbers": {"room": D("1.50"), "count": 3, "none": None},
        "window_volume": D("12000.5"),
        "threshold": D(50_000),
    }
    return Decision(**{**values, **changes})


def test_liquidation_row_has_its_verdict(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation(60_000, quantity=D(2), filled_quantity=D("1.2")), a_decision())
    (row,) = harness.json("/api/liquidations")
    assert (row["timestamp"], row["symbol"], row["side"]) == (NOW, "BTCUSDT", "SELL")
    assert (D(row["qty"]), D(row["price"]), D(row["usdt_value"])) == (D("1.2"), D(50_000), D(60_000))
    assert (row["gate"], row["reason"], row["client_order_id"]) == ("threshold", "12000 of 50000", None)
    assert (row["window_volume"], row["threshold"]) == ("12000.5", "50000")
    assert row["numbers"] == {"room": "1.50", "count": 3, "none": None}


def test_unconfigured_symbol_has_no_verdict(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation(symbol="币安人生USDT"))
    (row,) = harness.json("/api/liquidations?symbol=币安人生USDT")
    assert row["gate"] is row["reason"] is row["numbers"] is row["threshold"] is None


def test_limit_price_is_used_without_a_fill_price(harness: ApiHarness) -> None:
    harness.add_liquidation(
        replace(a_liquidation(), price=D(100), average_price=D(0), filled_quantity=D(0), quantity=D(3))
    )
    (row,) = harness.json("/api/liquidations")
    assert (row["qty"], row["price"]) == ("3", "100")


def test_newest_first_within_hours_and_limit(harness: ApiHarness) -> None:
    for hours in (30, 5, 1):
        harness.add_liquidation(a_liquidation(traded_at=NOW - hours * HOUR_MS))
    assert [row["timestamp"] for row in harness.json("/api/liquidations")] == [NOW - HOUR_MS, NOW - 5 * HOUR_MS]
    assert len(harness.json("/api/liquidations?hours=48")) == 3
    assert len(harness.json("/api/liquidations?hours=48&limit=1")) == 1
    assert len(harness.json("/api/liquidations?hours=48&limit=999999")) == 3


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=ten", "limit=1e3", "hours=0", "hours=٣", f"symbol={'A' * 41}", "limit="]
)
def test_invalid_parameter_is_named(harness: ApiHarness, query: str) -> None:
    response = harness.get(f"/api/liquidations?{query}")
    assert response.status_code == 400
    assert response.json["error"]["parameter"] == query.split("=")[0]


def test_symbol_is_a_bound_sql_parameter(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation())
    assert harness.json("/api/liquidations?symbol=' OR 1=1 --") == []


def test_decision_row_has_its_liquidation(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation(), a_decision())
    harness.add_liquidation(
        a_liquidation(traded_at=NOW + 5), a_decision(None, decided_at=NOW + 6, client_order_id=ENTRY_ID)
    )
    harness.add_liquidation(a_liquidation(symbol="ETHUSDT"))
    assert [row["is_entry"] for row in harness.json("/api/decisions")] == [True, False]
    (row,) = harness.json("/api/decisions?only_entries=true")
    assert (row["client_order_id"], row["decided_at"], D(row["usdt_value"])) == (ENTRY_ID, NOW + 6, D(60_000))
    assert harness.json("/api/decisions?symbol=ETHUSDT") == []
    assert harness.get("/api/decisions?only_entries=perhaps").status_code == 400


def test_stats_count_liquidations_and_entries(harness: ApiHarness) -> None:
    harness.add_liquidation(a_liquidation(60_000))
    harness.add_liquidation(a_liquidation(1_000, symbol="ETHUSDT", traded_at=NOW - HOUR_MS))
    harness.add_round_trip(Trip(entry="another0entry"))
    harness.add_orders(an_order(status=OrderStatus.CANCELED))
    stats = harness.json("/api/stats?hours=24")
    assert stats["liquidations"] == {
        "total_liquidations": 2,
        "total_liquidation_volume": "61000.00",
        "unique_symbols": 2,
    }
    assert stats["trades"] == {
        "total_trades": 2,
        "successful_trades": 1,
        "simulated_trades": 0,
        "symbols_traded": 1,
        "success_rate": 50.0,
    }
    assert [row["symbol"] for row in stats["by_symbol"]] == ["BTCUSDT", "ETHUSDT"]
    assert stats["by_symbol"][0]["trade_count"] == 2 and stats["by_symbol"][1]["liquidation_volume"] == "1000.00"
    hour = NOW - NOW % HOUR_MS
    assert [(row["hour"], row["volume"]) for row in stats["hourly_volume"]] == [
        (hour, "60000.00"),
        (hour - HOUR_MS, "1000.00"),
    ]
