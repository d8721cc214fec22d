"""Account sync: the exchange's state is adopted, never guessed; external orders and positions are left alone."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.core.events import ExchangeHealth, SettingsChanged
from src.domain.commands import (
    FetchFills,
    FetchIncome,
    FetchQuote,
    SetLeverage,
    SetMarginType,
    SetPositionMode,
    TakeSnapshot,
)
from src.domain.decisions import Gate
from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, PositionSide
from src.domain.events import (
    AccountConfigured,
    CommandFailed,
    LeverageChanged,
    PaperAccountSaved,
    SnapshotTaken,
    Task,
    TaskDue,
)
from tests.builders import a_position, a_report, an_update, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def test_no_entry_before_first_snapshot(path: Path) -> None:
    harness = Harness(path)
    harness.prices()
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]
    reason = harness.rows("SELECT reason FROM decisions")[0]["reason"]
    assert reason.startswith("starting: the account has not been read yet")


def test_external_position_is_untouched_and_blocks_entries(harness: Harness) -> None:
    harness.clock.advance(6000)
    harness.prices()
    harness.snapshot(positions=(a_report("0.5", 50_000),))
    harness.wait(3000)
    row = harness.rows("SELECT quantity, protection FROM positions")[0]
    assert tuple(row.values()) == ("0.5", "external")
    harness.liquidate()
    assert harness.verdicts() == [Gate.OPEN_ORDERS]
    assert (harness.submitted(), harness.cancelled()) == ([], [])


def test_external_order_is_untouched_and_blocks_entries(harness: Harness) -> None:
    external = an_update(client_order_id="web-1", order_id=9, original_type=OrderType.STOP_MARKET)
    harness.snapshot(open_orders=(external,))
    harness.wait(1000)
    harness.liquidate()
    assert harness.verdicts() == [Gate.OPEN_ORDERS]
    shown = harness.rows("SELECT value FROM bot_state WHERE key = 'external_orders'")[0]["value"]
    assert "web-1" in shown
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert harness.cancelled() == []
    harness.clock.advance(10)
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_closed_external_order_is_forgotten(harness: Harness) -> None:
    external = an_update(client_order_id="web-1", order_id=9)
    harness.feed(external)
    assert len(harness.context.portfolio.external_orders) == 1
    harness.feed(replace(external, status=OrderStatus.CANCELED))
    assert harness.context.portfolio.external_orders == {}


def test_snapshot_older_than_fill_keeps_position(harness: Harness) -> None:
    entry = harness.enter()
    before = harness.a_snapshot()
    harness.clock.advance(10)
    harness.fill(entry)
    harness.feed(SnapshotTaken(before, "reconcile"))
    assert harness.position().quantity == D("0.010")
    assert harness.cancelled() == []


@pytest.mark.parametrize("updated_at", ["never", "before the fill"])
def test_stale_report_keeps_position(harness: Harness, updated_at: str) -> None:
    at = 0 if updated_at == "never" else harness.now
    harness.clock.advance(10)
    harness.open_position()
    harness.clock.advance(1000)
    shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
    harness.snapshot(positions=(a_report(updated_at=at),), open_orders=shown)
    assert harness.position().is_open
    assert harness.cancelled() == []
    requested = len(harness.commands_of(TakeSnapshot))
    harness.wait(5000)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1


def test_snapshot_finds_missed_stop_out(harness: Harness) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    harness.wait(10_000)
    harness.snapshot(positions=(a_report(updated_at=harness.now - 100),), open_orders=(harness.update_for(take),))
    assert not harness.position().is_open
    harness.wait(2000)
    assert harness.commands_of(FetchFills)[-1].symbol == "BTCUSDT"
    assert any("corrected from 0.010 to 0" in each["message"] for each in harness.journal("alert"))
    assert {stop.client_order_id, take.client_order_id} <= set(harness.cancelled())


@pytest.mark.parametrize("is_restarted", [False, True])
def test_one_list_without_the_position_takes_no_protection_away(harness: Harness, is_restarted: bool) -> None:
    harness.open_position()
    listed = (harness.report(), a_report(position_side=PositionSide.SHORT))
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    harness.wait(120_000)
    if is_restarted:
        harness = harness.restart()
    harness.snapshot(positions=(), open_orders=orders)
    requested = len(harness.commands_of(TakeSnapshot))
    harness.wait(2000)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1
    harness.snapshot(positions=listed, open_orders=orders)
    harness.wait(2000)
    assert harness.position().quantity == D("0.010")
    assert harness.cancelled() == []


def test_position_that_two_lists_leave_out_is_flat(harness: Harness) -> None:
    harness.open_position()
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    harness.wait(120_000)
    harness.snapshot(positions=(), open_orders=orders)
    harness.wait(2000)
    harness.snapshot(positions=(), open_orders=orders)
    assert not harness.position().is_open
    harness.wait(1000)
    assert {order.client_order_id for order in orders} == set(harness.cancelled())


def test_fill_included_in_snapshot_is_not_applied_twice(harness: Harness) -> None:
    harness.open_position()
    harness.wait(10_000)
    stop = harness.last(STOP)
    fill = harness.a_fill(stop, price=49_000, pnl=-10)
    update = harness.filled_by(stop, fill)
    harness.clock.advance(100)
    harness.snapshot(positions=(a_report(updated_at=0),))
    harness.feed(update)
    assert harness.position().quantity == 0


def test_position_of_the_other_mode_is_dropped(path: Path) -> None:
    harness = Harness(path).connect()
    harness.open_position()
    harness.clock.advance(6000)
    harness.snapshot(hedge_mode=False, positions=(a_report(position_side=PositionSide.BOTH),))
    assert not harness.position().is_open


def test_failed_snapshot_blocks_entries_and_keeps_position(path: Path) -> None:
    harness = Harness(path)
    harness.prices()
    failed = CommandFailed(TakeSnapshot("start"), None, "timeout", harness.now)
    harness.feed(TaskDue(Task.RECONCILE, harness.now), failed)
    assert "could not be read: timeout" in harness.context.trading_status.reason
    harness.connect()
    harness.open_position()
    harness.feed(TaskDue(Task.RECONCILE, harness.now), replace(failed, at=harness.now))
    assert harness.position().is_open
    harness.wait(61_000)
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.TRADING_STATE
    assert "has not been read for over a minute" in harness.context.trading_status.reason
    assert harness.position().is_open


def test_failed_snapshot_is_retried(harness: Harness) -> None:
    harness.feed(CommandFailed(TakeSnapshot("reconcile"), None, "timeout", harness.now))
    requested = len(harness.commands_of(TakeSnapshot))
    harness.wait(5000)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1
    harness.wait(5000)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1  # one is pending


def test_other_failed_requests_block_nothing(harness: Harness) -> None:
    harness.feed(CommandFailed(FetchQuote("BTCUSDT"), None, "timeout", harness.now))
    harness.feed(CommandFailed(FetchIncome(0), None, "timeout", harness.now))
    assert harness.context.trading_status.reason == ""


def test_account_is_configured_and_read_back(path: Path) -> None:
    harness = Harness(path)
    harness.connect(hedge_mode=False, positions=(a_report(leverage=20, margin_type=MarginType.CROSSED),))
    wanted = [SetPositionMode(True), SetMarginType("BTCUSDT", MarginType.ISOLATED), SetLeverage("BTCUSDT", 10)]
    assert [each for each in harness.sent if each in wanted] == wanted
    harness.liquidate()
    assert harness.verdicts() == [Gate.CONFIGURED]
    assert harness.context.trading_status.reason == "the account is being configured"
    requested = len(harness.commands_of(TakeSnapshot))
    for command in wanted:
        assert isinstance(command, SetPositionMode | SetMarginType | SetLeverage)
        harness.feed(AccountConfigured(command, harness.now))
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_rejected_configuration_blocks_entries_and_is_retried(path: Path) -> None:
    harness = Harness(path)
    mismatched = {"positions": (a_report(leverage=20),)}
    harness.connect(**mismatched)
    command = SetLeverage("BTCUSDT", 10)
    harness.feed(CommandFailed(command, -4028, "leverage not valid", harness.now))
    assert "leverage not valid" in harness.context.untradable["BTCUSDT"]
    harness.liquidate()
    assert harness.verdicts() == [Gate.CONFIGURED]
    harness.snapshot(**mismatched)
    assert harness.commands_of(SetLeverage) == [command]
    harness.clock.advance(10_000)
    harness.snapshot(**mismatched)
    assert harness.commands_of(SetLeverage) == [command, command]


def test_configuration_conflict_is_reported(path: Path) -> None:
    harness = Harness(path)
    harness.connect(hedge_mode=False, positions=(a_report("0.5", 50_000, position_side=PositionSide.BOTH),))
    assert "the account is in one-way mode, the settings require hedge" in harness.context.trading_status.reason
    assert harness.commands_of(SetPositionMode) == []


def test_new_position_has_its_leverage(harness: Harness) -> None:
    harness.fill(harness.enter())
    assert harness.context.portfolio.tracked_positions[LONG].margin == D(50)


def test_missed_position_is_matched_to_its_entry(harness: Harness) -> None:
    entry = harness.enter()
    harness.wait(6000)
    harness.snapshot(positions=(a_report("0.010", 50_000, updated_at=harness.now),))
    harness.feed(
        harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    )
    assert harness.last(STOP).stop_price == D("49000.0")
    assert harness.position() == a_position("0.010")


def test_settings_that_need_a_restart_keep_their_running_value(harness: Harness) -> None:
    wanted = some_settings({"simulate_only": True, "db_path": "other.db", "volume_window_sec": 5})
    harness.feed(SettingsChanged(wanted))
    running = harness.context.settings.globals_
    assert (running.simulate_only, running.db_path, running.volume_window_sec) == (False, "data/bot.db", 5)
    answer = "settings.json was edited by hand: settings applied; restart the bot to apply simulate_only, db_path"
    assert harness.journal("settings") == [{"message": answer}]


def test_new_settings_apply_to_window_and_threshold(harness: Harness) -> None:
    harness.liquidate(30_000)
    harness.feed(SettingsChanged(some_settings(volume_threshold=20_000)))
    harness.liquidate(1)
    assert harness.verdicts() == [Gate.THRESHOLD, None]
    assert harness.journal("settings") == [{"message": "settings.json was edited by hand: settings applied"}]


def test_snapshot_is_repeated_after_configuration(harness: Harness) -> None:
    """The pending snapshot may show the account as it was before."""
    harness.clock.advance(20_000)
    differs = (a_report(leverage=20),)
    harness.snapshot(positions=differs)
    harness.feed(TaskDue(Task.RECONCILE, harness.now))
    requested = len(harness.commands_of(TakeSnapshot))
    harness.feed(AccountConfigured(SetLeverage("BTCUSDT", 10), harness.now))
    assert len(harness.commands_of(TakeSnapshot)) == requested
    harness.snapshot(positions=differs)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1


def test_funding_is_fetched_since_first_snapshot(harness: Harness) -> None:
    since = harness.commands_of(FetchIncome)[0].since_ms
    harness.clock.advance(60_000)
    harness.feed(harness.account_update(reason="FUNDING_FEE"))
    assert harness.commands_of(FetchIncome)[-1].since_ms == since


def test_paper_account_is_saved_with_its_change(harness: Harness) -> None:
    harness.liquidate()
    harness.feed(harness.update_for(harness.last(OrderRole.ENTRY)), PaperAccountSaved({"wallets": {"USDT": "9999.5"}}))
    [row] = harness.rows("SELECT value FROM bot_state WHERE key = 'paper_account'")
    assert json.loads(row["value"]) == {"wallets": {"USDT": "9999.5"}}


def test_ban_is_shown_with_its_end_and_alerts_once(harness: Harness) -> None:
    harness.exchange_health = ExchangeHealth(weight_limit=2400, blocked_until=1_750_000_120_000, is_banned=True)
    harness.audit()
    harness.audit()
    reason = "IP banned by the exchange until 15:08:40 UTC: nothing can be sent, stop losses stay open"
    assert harness.context.trading_status.reason == reason
    assert [each["message"] for each in harness.journal("alert")].count(reason) == 1
    harness.exchange_health = ExchangeHealth(weight_limit=2400)
    harness.audit()
    assert harness.context.trading_status.reason == ""


def test_external_leverage_change_blocks_entries(harness: Harness) -> None:
    harness.feed(LeverageChanged("BTCUSDT", 5, harness.now))
    assert harness.commands_of(TakeSnapshot)[-1].reason == "the leverage was changed"
    harness.liquidate()
    assert harness.verdicts() == [Gate.CONFIGURED]


def test_external_margin_type_change_requests_snapshot(harness: Harness) -> None:
    harness.feed(harness.account_update(reason="MARGIN_TYPE_CHANGE"))
    assert harness.commands_of(TakeSnapshot)[-1].reason == "a margin type was changed"


def test_position_mode_rejection_requests_snapshot(harness: Harness) -> None:
    harness.liquidate()
    harness.reject(harness.last(OrderRole.ENTRY), -4061)
    assert harness.commands_of(TakeSnapshot)[-1].reason == "the position mode differs"
