"""Edits of settings.json by hand, while the whole bot runs."""

import json
from typing import Any

import pytest

from src.core.operator.importing import Importer
from src.domain.clock import SystemClock
from src.domain.enums import OrderRole
from src.exchange.limits import WEIGHT_HEADER
from src.utils.auth import ApiVersion
from tests.database.other_bots import make_older, older_trade
from tests.faults.conftest import MakeHarness
from tests.faults.harness import SYMBOL, D, FaultHarness, wait_until

IN_FORCE_WITHIN_SECONDS = 2
PATIENT_SECONDS = 10


def edit_by_hand(harness: FaultHarness, **global_changes: object) -> None:
    """Save settings.json as an editor does: write another file and rename it."""
    harness._document["globals"].update(global_changes)
    edited = harness.home / "settings.json.swp"
    edited.write_text(json.dumps(harness._document), encoding="utf-8")
    edited.replace(harness.home / "settings.json")


def in_force(harness: FaultHarness, name: str) -> object:
    return harness.state("settings").get("values", {}).get("globals", {}).get(name)


def market_connections(harness: FaultHarness) -> set[object]:
    """The open connections to the market stream; a new one is another object."""
    return {
        client for client in set(harness.exchange._streams._clients) if "!forceOrder@arr" in client.subscriptions.names
    }


def test_edit_by_hand_is_in_force_within_two_seconds_and_reopens_no_stream(harness: FaultHarness) -> None:
    connections = market_connections(harness)
    assert connections

    edit_by_hand(harness, cooldown_sec=7)

    wait_until(lambda: in_force(harness, "cooldown_sec") == 7, IN_FORCE_WITHIN_SECONDS, "the edit is in force")
    (version,) = harness.rows("SELECT message FROM settings_versions")
    assert version["message"] == "edited by hand"
    harness.open_position()
    assert market_connections(harness) == connections


def test_imports_beside_the_running_bot_apply_and_disturb_nothing(harness: FaultHarness) -> None:
    harness.open_position()
    fills = harness.rows("SELECT * FROM fills")
    said: list[str] = []
    importer = Importer(harness._environment, SystemClock(), said.append, None, assume_yes=True)
    lost = older_trade(symbol=SYMBOL, status="FILLED", filled_qty=0.5, realized_pnl=-900.0)

    assert importer.import_database(make_older(harness.home / "older.db", trades=[lost])) == 0
    document = {**harness._document, "globals": {**harness._document["globals"], "cooldown_sec": 9}}
    (harness.home / "other.json").write_text(json.dumps(document), encoding="utf-8")
    assert importer.import_settings(harness.home / "other.json") == 0

    wait_until(lambda: in_force(harness, "cooldown_sec") == 9, IN_FORCE_WITHIN_SECONDS, "the import is in force")
    assert any("The running bot applies them within two seconds" in each for each in said)
    assert harness.rows("SELECT * FROM fills") == fills
    harness.check_consistency()


def test_symbol_added_by_hand_reopens_the_market_stream(harness: FaultHarness) -> None:
    connections = market_connections(harness)

    harness._document["symbols"]["ETHUSDT"] = harness._document["symbols"][SYMBOL]
    edit_by_hand(harness)

    wait_until(lambda: harness.exchange._streams.has_subscriber("ethusdt@bookTicker"), PATIENT_SECONDS, "its quotes")
    wait_until(lambda: not market_connections(harness) & connections, PATIENT_SECONDS, "the old connection is closed")


def test_faulty_edit_by_hand_changes_nothing_and_is_one_alert(harness: FaultHarness) -> None:
    edit_by_hand(harness, cooldown_sec=-1, hegde_mode=True)

    def alerts() -> list[str]:
        return [alert for alert in harness.alerts() if "settings.json was edited" in alert]

    wait_until(alerts, PATIENT_SECONDS, "the faults are named")
    (alert,) = alerts()
    assert "globals.cooldown_sec" in alert
    assert "globals.hegde_mode" in alert
    harness.open_position()
    assert len(alerts()) == 1
    assert in_force(harness, "cooldown_sec") == 0


def test_rate_limit_buffer_applies_at_once(make_harness: MakeHarness) -> None:
    harness = make_harness({"rate_limit_buffer_pct": 30}).start()
    limits = harness.bot._limits

    def has_budget_at_half_the_weight() -> bool:
        """The exchange's own responses report another weight meanwhile."""
        limits.update_from_headers({WEIGHT_HEADER: str(limits.weight_limit // 2)})
        return limits.has_entry_budget

    wait_until(has_budget_at_half_the_weight, PATIENT_SECONDS, "half of the budget is allowed")
    edit_by_hand(harness, rate_limit_buffer_pct=90)
    wait_until(lambda: not has_budget_at_half_the_weight(), PATIENT_SECONDS, "half of the budget is too much now")


def test_settings_that_need_a_restart_keep_their_value_and_say_so(harness: FaultHarness) -> None:
    edit_by_hand(harness, simulate_only=True, db_path="other.db")

    def answers() -> list[str]:
        rows = harness.rows("SELECT payload FROM journal WHERE kind = 'settings'")
        return [json.loads(row["payload"])["message"] for row in rows]

    wait_until(answers, PATIENT_SECONDS, "the edit is answered")
    assert "restart the bot to apply simulate_only, db_path" in answers()[0]
    assert in_force(harness, "simulate_only") is False
    assert in_force(harness, "db_path") == "data/bot.db"
    harness.open_position()
    assert not (harness.home / "other.db").exists()


@pytest.mark.parametrize("scheme", [ApiVersion.V1])
def test_shipped_settings_of_the_older_bot_trade_and_are_protected(make_harness: MakeHarness) -> None:
    """10x CROSSED with a stop 50 % away, on a wallet of 10,000: the exchange reports no liquidation price at all."""
    older: dict[str, Any] = {
        "hedge_mode": True,
        "multi_assets_mode": True,
        "max_total_exposure_usdt": 1400,
        "max_stop_orders_per_symbol": 1,
        "stale_limit_order_minutes": 1,
        "use_position_monitor": True,
        "batch_orders": True,
        "max_raise_factor": 20,  # the smallest order of BTCUSDT is 17 times the 5.5 USDT of that file
    }
    symbol: dict[str, Any] = {
        "margin_type": "CROSSED",
        "trade_value_usdt": 0.55,
        "price_offset_pct": 0.1,
        "stop_loss_pct": 50,
    }
    harness = make_harness(older, **symbol).start()
    wait_until(lambda: harness.state("symbol_checks"), PATIENT_SECONDS, "the symbol is checked")
    harness.open_position()
    (stop,) = harness.orders(OrderRole.STOP_LOSS)
    with harness.exchange.lock:
        [report] = [each for each in harness.exchange.engine.positions() if each.quantity]
    assert abs(stop.stop_price / report.entry_price - D("0.5")) < D("0.001")
    assert report.liquidation_price == 0
    assert not [alert for alert in harness.alerts() if "the bot estimates" in alert]
    harness.check_consistency()
