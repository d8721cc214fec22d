"""The account as the exchange tells it: taken over, never guessed, and what is not ours left alone."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.core.operator.settings_changed import SettingsChanged
from src.core.vitals import Vitals
from src.domain.account_commands import SetLeverage, SetMarginType, SetPositionMode
from src.domain.decisions import Gate
from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, PositionSide
from src.domain.messages import (
    AccountSet,
    CommandFailed,
    Due,
    Duty,
    FetchFills,
    FetchFunding,
    FetchQuote,
    LeverageChanged,
    SnapshotTaken,
    TakeSnapshot,
)
from src.domain.paper import PaperKept
from tests.builders import a_position, a_report, an_update, some_settings
from tests.core.rig import LONG, Rig

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def test_nothing_is_traded_before_the_account_was_read(path: Path) -> None:
    rig = Rig(path)
    rig.prices()
    rig.liquidate()
    assert rig.verdicts() == [Gate.TRADING_STATE]
    reason = rig.rows("SELECT reason FROM decisions")[0]["reason"]
    assert reason.startswith("starting: the account has not been read yet")


def test_a_foreign_position_is_shown_never_touched_and_keeps_entries_away(rig: Rig) -> None:
    rig.clock.advance(6000)
    rig.prices()
    rig.snapshot(positions=(a_report("0.5", 50_000),))
    rig.wait(3000)
    row = rig.rows("SELECT quantity, protection FROM positions")[0]
    assert tuple(row.values()) == ("0.5", "foreign")
    rig.liquidate()
    assert rig.verdicts() == [Gate.OPEN_ORDERS]
    assert (rig.submitted(), rig.cancelled()) == ([], [])


def test_a_foreign_order_is_shown_never_touched_and_keeps_entries_away(rig: Rig) -> None:
    theirs = an_update(client_order_id="web-1", order_id=9, original_type=OrderType.STOP_MARKET)
    rig.snapshot(open_orders=(theirs,))
    rig.wait(1000)
    rig.liquidate()
    assert rig.verdicts() == [Gate.OPEN_ORDERS]
    shown = rig.rows("SELECT value FROM state WHERE key = 'foreign_orders'")[0]["value"]
    assert "web-1" in shown
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.cancelled() == []
    rig.clock.advance(10)
    rig.snapshot()
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_a_foreign_order_that_ends_by_the_stream_is_forgotten(rig: Rig) -> None:
    theirs = an_update(client_order_id="web-1", order_id=9)
    rig.feed(theirs)
    assert len(rig.desk.books.foreign_orders) == 1
    rig.feed(replace(theirs, status=OrderStatus.CANCELED))
    assert rig.desk.books.foreign_orders == {}


def test_a_snapshot_older_than_our_fill_does_not_flatten(rig: Rig) -> None:
    entry = rig.enter()
    before = rig.a_snapshot()
    rig.clock.advance(10)
    rig.fill(entry)
    rig.feed(SnapshotTaken(before, "reconcile"))
    assert rig.position().quantity == D("0.010")
    assert rig.cancelled() == []


@pytest.mark.parametrize("updated_at", ["never", "before the fill"])
def test_a_stale_replica_does_not_flatten(rig: Rig, updated_at: str) -> None:
    at = 0 if updated_at == "never" else rig.now
    rig.clock.advance(10)
    rig.open_position()
    rig.clock.advance(1000)
    shown = tuple(rig.told(each) for each in (rig.last(STOP), rig.last(TAKE)))
    rig.snapshot(positions=(a_report(updated_at=at),), open_orders=shown)
    assert rig.position().is_open
    assert rig.cancelled() == []
    asked = len(rig.of(TakeSnapshot))
    rig.wait(5000)
    assert len(rig.of(TakeSnapshot)) == asked + 1


def test_a_stop_out_missed_by_the_stream_is_found(rig: Rig) -> None:
    rig.open_position()
    stop, take = rig.last(STOP), rig.last(TAKE)
    rig.wait(10_000)
    rig.snapshot(positions=(a_report(updated_at=rig.now - 100),), open_orders=(rig.told(take),))
    assert not rig.position().is_open
    assert rig.of(FetchFills)[-1].symbol == "BTCUSDT"
    assert any("corrected from 0.010 to 0" in each["message"] for each in rig.journal("alert"))
    assert {stop.client_order_id, take.client_order_id} <= set(rig.cancelled())


def test_trades_a_snapshot_holds_already_do_not_move_the_position_again(rig: Rig) -> None:
    rig.open_position()
    rig.wait(10_000)
    stop = rig.last(STOP)
    fill = rig.a_fill(stop, price=49_000, pnl=-10)
    update = rig.filled_by(stop, fill)
    rig.clock.advance(100)
    rig.snapshot(positions=(a_report(updated_at=0),))
    rig.feed(update)
    assert rig.position().quantity == 0


def test_a_slot_of_the_other_mode_is_gone(path: Path) -> None:
    rig = Rig(path).connect()
    rig.open_position()
    rig.clock.advance(6000)
    rig.snapshot(hedge_mode=False, positions=(a_report(position_side=PositionSide.BOTH),))
    assert not rig.position().is_open


def test_a_read_that_failed_blocks_entries_and_flattens_nothing(path: Path) -> None:
    rig = Rig(path)
    rig.prices()
    failed = CommandFailed(TakeSnapshot("start"), None, "timeout", rig.now)
    rig.feed(Due(Duty.RECONCILE, rig.now), failed)
    assert "could not be read: timeout" in rig.desk.standing.reason
    rig.connect()
    rig.open_position()
    rig.feed(Due(Duty.RECONCILE, rig.now), replace(failed, at=rig.now))
    assert rig.position().is_open
    rig.wait(61_000)
    rig.liquidate()
    assert rig.verdicts()[-1] == Gate.TRADING_STATE
    assert "has not been read for over a minute" in rig.desk.standing.reason
    assert rig.position().is_open


def test_a_read_that_failed_is_tried_again_soon(rig: Rig) -> None:
    rig.feed(CommandFailed(TakeSnapshot("reconcile"), None, "timeout", rig.now))
    asked = len(rig.of(TakeSnapshot))
    rig.wait(5000)
    assert len(rig.of(TakeSnapshot)) == asked + 1
    rig.wait(5000)
    assert len(rig.of(TakeSnapshot)) == asked + 1  # it is on its way


def test_other_reads_that_fail_are_only_said(rig: Rig) -> None:
    rig.feed(CommandFailed(FetchQuote("BTCUSDT"), None, "timeout", rig.now))
    rig.feed(CommandFailed(FetchFunding(0), None, "timeout", rig.now))
    assert rig.desk.standing.reason == ""


def test_the_account_is_set_as_the_settings_want_and_read_back(path: Path) -> None:
    rig = Rig(path)
    rig.connect(hedge_mode=False, positions=(a_report(leverage=20, margin_type=MarginType.CROSSED),))
    wanted = [SetPositionMode(True), SetMarginType("BTCUSDT", MarginType.ISOLATED), SetLeverage("BTCUSDT", 10)]
    assert [each for each in rig.sent if each in wanted] == wanted
    rig.liquidate()
    assert rig.verdicts() == [Gate.CONFIGURED]
    assert rig.desk.standing.reason == "the account is being set as the settings want"
    asked = len(rig.of(TakeSnapshot))
    for command in wanted:
        assert isinstance(command, SetPositionMode | SetMarginType | SetLeverage)
        rig.feed(AccountSet(command, rig.now))
    assert len(rig.of(TakeSnapshot)) == asked + 1
    rig.snapshot()
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_a_refused_setting_keeps_entries_back_and_is_tried_again(path: Path) -> None:
    rig = Rig(path)
    crooked = {"positions": (a_report(leverage=20),)}
    rig.connect(**crooked)
    command = SetLeverage("BTCUSDT", 10)
    rig.feed(CommandFailed(command, -4028, "leverage not valid", rig.now))
    assert "leverage not valid" in rig.desk.standing.reason
    rig.snapshot(**crooked)
    assert rig.of(SetLeverage) == [command]
    rig.clock.advance(10_000)
    rig.snapshot(**crooked)
    assert rig.of(SetLeverage) == [command, command]


def test_what_only_the_owner_can_settle_is_said(path: Path) -> None:
    rig = Rig(path)
    rig.connect(hedge_mode=False, positions=(a_report("0.5", 50_000, position_side=PositionSide.BOTH),))
    assert "the account is in one-way mode, the settings want hedge" in rig.desk.standing.reason
    assert rig.of(SetPositionMode) == []


def test_the_leverage_of_a_new_position_is_known(rig: Rig) -> None:
    rig.fill(rig.enter())
    assert rig.desk.books.holdings[LONG].margin == D(50)


def test_a_position_opened_while_we_looked_away_is_taken_over_by_its_entry(rig: Rig) -> None:
    entry = rig.enter()
    rig.wait(6000)
    rig.snapshot(positions=(a_report("0.010", 50_000, updated_at=rig.now),))
    rig.feed(rig.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price))
    assert rig.last(STOP).stop_price == D("49000.0")
    assert rig.position() == a_position("0.010")


def test_settings_that_need_a_restart_keep_their_running_value(rig: Rig) -> None:
    wanted = some_settings({"simulate_only": True, "db_path": "other.db", "volume_window_sec": 5})
    rig.feed(SettingsChanged(wanted))
    running = rig.desk.settings.globals_
    assert (running.simulate_only, running.db_path, running.volume_window_sec) == (False, "data/bot.db", 5)
    assert rig.journal("settings") == [{"message": "new settings are in force, some of them only after a restart"}]


def test_new_settings_count_at_once_for_the_window_and_the_threshold(rig: Rig) -> None:
    rig.liquidate(30_000)
    rig.feed(SettingsChanged(some_settings(volume_threshold=20_000)))
    rig.liquidate(1)
    assert rig.verdicts() == [Gate.THRESHOLD, None]
    assert rig.journal("settings") == [{"message": "new settings are in force"}]


def test_an_account_set_while_it_is_being_read_is_read_once_more(rig: Rig) -> None:
    """What is on its way may show the account as it was before."""
    rig.clock.advance(20_000)
    differs = (a_report(leverage=20),)
    rig.snapshot(positions=differs)
    rig.feed(Due(Duty.RECONCILE, rig.now))
    asked = len(rig.of(TakeSnapshot))
    rig.feed(AccountSet(SetLeverage("BTCUSDT", 10), rig.now))
    assert len(rig.of(TakeSnapshot)) == asked
    rig.snapshot(positions=differs)
    assert len(rig.of(TakeSnapshot)) == asked + 1


def test_funding_is_looked_for_from_the_first_look_at_the_account_on(rig: Rig) -> None:
    since = rig.of(FetchFunding)[0].since_ms
    rig.clock.advance(60_000)
    rig.feed(rig.account_update(reason="FUNDING_FEE"))
    assert rig.of(FetchFunding)[-1].since_ms == since


def test_the_paper_account_is_kept_with_what_changed_it(rig: Rig) -> None:
    rig.liquidate()
    rig.feed(rig.told(rig.last(OrderRole.ENTRY)), PaperKept({"wallets": {"USDT": "9999.5"}}))
    [row] = rig.rows("SELECT value FROM state WHERE key = 'paper_account'")
    assert json.loads(row["value"]) == {"wallets": {"USDT": "9999.5"}}


def test_a_ban_is_shown_with_its_end_and_told_once(rig: Rig) -> None:
    rig.vitals = Vitals(weight_limit=2400, blocked_until=1_750_000_120_000, is_banned=True)
    rig.audit()
    rig.audit()
    reason = "banned by the exchange until 15:08:40 UTC: nothing can be sent, stops rest on the exchange"
    assert rig.desk.standing.reason == reason
    assert [each["message"] for each in rig.journal("alert")].count(reason) == 1
    rig.vitals = Vitals(weight_limit=2400)
    rig.audit()
    assert rig.desk.standing.reason == ""


def test_a_leverage_changed_outside_keeps_entries_back_at_once_and_has_the_account_read(rig: Rig) -> None:
    rig.feed(LeverageChanged("BTCUSDT", 5, rig.now))
    assert rig.of(TakeSnapshot)[-1].reason == "the leverage was changed"
    rig.liquidate()
    assert rig.verdicts() == [Gate.CONFIGURED]


def test_a_margin_type_changed_outside_has_the_account_read(rig: Rig) -> None:
    rig.feed(rig.account_update(reason="MARGIN_TYPE_CHANGE"))
    assert rig.of(TakeSnapshot)[-1].reason == "a margin type was changed"


def test_an_order_that_does_not_fit_the_position_mode_has_the_account_read(rig: Rig) -> None:
    rig.liquidate()
    rig.refuse(rig.last(OrderRole.ENTRY), -4061)
    assert rig.of(TakeSnapshot)[-1].reason == "the position mode differs"
