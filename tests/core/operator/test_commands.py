"""Operator commands: carried out once, answered by id, remembered across a restart."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from src.core.events import SettingsChanged, SettingsRefused
from src.core.operator.restart import RestartRequest
from src.database.db import open_reader, read_transaction
from src.database.queries.account import settings_versions
from src.domain.commands import CancelOrder, OperatorAction, OperatorCommand
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, TradingState
from src.domain.events import Task, TaskDue
from src.settings.config import InvalidSetting, settings_to_json
from tests.builders import NOW, a_position, a_report, some_settings
from tests.core.harness import Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def answers(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("command")]


def test_pause_blocks_entries_until_resume(harness: Harness) -> None:
    harness.command(OperatorAction.PAUSE)
    harness.liquidate(30_000)
    harness.command(OperatorAction.RESUME)
    harness.liquidate(30_000)
    assert harness.verdicts() == [Gate.TRADING_STATE, None]
    journaled = harness.journal("command")
    assert [each["id"] for each in journaled] == [NOW + 1, NOW + 2]
    assert answers(harness) == ["entries paused; positions stay protected", "entries resumed"]


def test_resume_names_remaining_blocks(path: Path) -> None:
    harness = Harness(path)
    harness.command(OperatorAction.RESUME)
    assert answers(harness)[0].startswith("resumed, but entries are still blocked: starting")


def test_command_is_carried_out_once(harness: Harness) -> None:
    harness.open_position()
    half = OperatorCommand(NOW + 5, OperatorAction.CLOSE_POSITION, NOW, "BTCUSDT", close_fraction=D("0.5"))
    harness.feed(half)
    harness.feed(half)
    harness.fill(harness.last(CLOSE))
    harness.feed(half)
    assert len(harness.submitted(CLOSE)) == 1
    assert answers(harness) == ["closing 50 % of BTCUSDT"]


def test_halt_cancels_entries_and_keeps_protection(harness: Harness) -> None:
    harness.open_position()
    harness.wait(61_000)
    harness.snapshot(
        positions=(harness.report(),),
        open_orders=(harness.update_for(harness.last(STOP)), harness.update_for(harness.last(TAKE))),
    )
    second = harness.enter()
    harness.command(OperatorAction.HALT)
    assert harness.cancelled() == [second.client_order_id]
    assert harness.context.trading_status.state is TradingState.HALTED
    assert answers(harness) == ["halted; cancelling 1 open entries, positions stay protected"]


def test_halt_cancels_unconfirmed_entry(harness: Harness) -> None:
    harness.liquidate()
    entry = harness.last(ENTRY)
    assert harness.command(OperatorAction.HALT) == []
    assert harness.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_flatten_pauses_cancels_and_closes(harness: Harness) -> None:
    harness.open_position()
    harness.command(OperatorAction.FLATTEN)
    close = harness.last(CLOSE)
    assert (close.type, close.quantity, close.reduce_only) == (OrderType.MARKET, D("0.010"), False)
    assert answers(harness) == ["entries paused; cancelling 0 entries, closing 1 positions"]
    harness.command(OperatorAction.FLATTEN)
    assert len(harness.submitted(CLOSE)) == 1
    harness.wait(10)
    harness.fill(close)
    harness.end_order(harness.last(STOP))
    harness.end_order(harness.last(TAKE))
    harness.wait(1000)
    assert harness.rows("SELECT * FROM positions") == []
    assert harness.context.trading_status.state is TradingState.REDUCE_ONLY


def test_flatten_closes_later_fills(harness: Harness) -> None:
    entry = harness.enter()
    harness.command(OperatorAction.FLATTEN)
    harness.clock.advance(10)
    harness.fill(entry)
    harness.wait(1000)
    assert harness.last(CLOSE).quantity == D("0.010")
    harness.fill(harness.last(CLOSE))
    harness.end_order(harness.last(STOP))
    harness.wait(60_000)
    harness.command(OperatorAction.RESUME)
    harness.snapshot()
    harness.enter()
    harness.fill(harness.last(ENTRY))
    harness.wait(2000)
    assert len(harness.submitted(CLOSE)) == 1  # a later entry is not affected


def test_flatten_leaves_external_position(harness: Harness) -> None:
    harness.feed(harness.account_update(a_position("0.5")))
    harness.command(OperatorAction.FLATTEN)
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT")
    harness.wait(2000)
    assert harness.submitted() == []
    assert answers(harness)[1] == "the position of BTCUSDT is external and is left alone"


def test_close_position_by_symbol_and_side(harness: Harness) -> None:
    harness.open_position()
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", position_side=PositionSide.SHORT)
    harness.command(OperatorAction.CLOSE_POSITION, symbol="ETHUSDT")
    harness.command(OperatorAction.CLOSE_POSITION)
    assert harness.submitted(CLOSE) == []
    assert answers(harness)[:2] == ["no open position of BTCUSDT", "no open position of ETHUSDT"]
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", position_side=PositionSide.LONG)
    assert harness.last(CLOSE).position_side is PositionSide.LONG


def test_partial_close_keeps_stop(harness: Harness) -> None:
    harness.open_position()
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.55"))
    assert harness.last(CLOSE).quantity == D("0.005")
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.5"))
    assert "nothing sent" in answers(harness)[1]
    harness.clock.advance(10)
    harness.fill(harness.last(CLOSE))
    harness.wait(3000)
    assert harness.position().quantity == D("0.005")
    assert len(harness.submitted(CLOSE)) == 1
    assert harness.cancelled() == []


def test_one_way_closes_are_reduce_only(path: Path) -> None:
    harness = Harness(path, some_settings({"hedge_mode": False})).connect()
    harness.open_position()
    harness.close_position()
    assert harness.last(CLOSE).reduce_only


def test_entry_is_cancelled_by_client_order_id(harness: Harness) -> None:
    entry = harness.enter()
    harness.command(OperatorAction.CANCEL_ENTRY, client_order_id="lh-nobody-e")
    harness.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    assert harness.cancelled() == [entry.client_order_id]
    assert answers(harness) == ["no such open entry", "cancelling the entry of BTCUSDT"]


def test_settings_reload_is_answered_by_id(harness: Harness) -> None:
    harness.feed(SettingsChanged(some_settings(leverage=5), NOW + 1))
    harness._commands = 1
    harness.command(OperatorAction.RELOAD_SETTINGS)
    assert answers(harness) == [
        "settings applied",
        "the settings could not be read; the old ones stay active",
    ]


def test_second_save_of_the_same_settings_is_only_answered(harness: Harness) -> None:
    changed = some_settings(leverage=5)
    harness.feed(SettingsChanged(changed, NOW + 1))
    notes = harness.journal("settings")
    harness.feed(SettingsChanged(changed, NOW + 2))
    assert answers(harness) == ["settings applied", "settings applied"]
    assert harness.journal("settings") == notes


def versions_of(harness: Harness) -> list[tuple[str, int, int]]:
    """Message, earlier and new leverage of each version that was edited by hand, newest first."""
    with read_transaction(open_reader(harness.path)) as connection:
        found = settings_versions(connection, 10)
    return [(each.message, leverage_in(each.previous), leverage_in(each.document)) for each in found]


def published(harness: Harness) -> dict[str, Any]:
    with harness.context.store.transaction():
        return harness.context.store.get_state("settings") or {}


def leverage_in(document: Any) -> int:
    return int(document["symbols"]["BTCUSDT"]["leverage"])


def test_edit_by_hand_is_applied_kept_as_a_version_and_published(harness: Harness) -> None:
    assert leverage_in(published(harness)["values"]) == 10
    harness.feed(SettingsChanged(some_settings(leverage=5)))
    harness.feed(SettingsChanged(some_settings(leverage=5)))
    assert harness.context.settings.symbols["BTCUSDT"].leverage == 5
    assert versions_of(harness) == [("edited by hand", 10, 5)]
    assert published(harness) == {"values": settings_to_json(some_settings(leverage=5)), "faults": []}
    assert harness.journal("settings")[0] == {"message": "settings.json was edited by hand: settings applied"}


def test_save_on_the_dashboard_is_no_edit_by_hand(harness: Harness) -> None:
    harness.feed(SettingsChanged(some_settings(leverage=5), NOW + 1))
    assert versions_of(harness) == []
    assert leverage_in(published(harness)["values"]) == 5


def test_faulty_edit_by_hand_names_every_fault_and_keeps_the_settings(harness: Harness) -> None:
    faults = InvalidSetting("globals.hegde_mode", "is unknown"), InvalidSetting("symbols.BTCUSDT.leverage", "is 500")
    harness.feed(SettingsRefused(faults))
    assert harness.context.settings == some_settings()
    assert [alert["message"] for alert in harness.journal("alert")] == [
        "settings.json was edited and is not applied, the earlier settings stay in force: "
        "globals.hegde_mode is unknown; symbols.BTCUSDT.leverage is 500"
    ]
    row = published(harness)
    assert row["values"] == settings_to_json(some_settings())
    assert [fault["path"] for fault in row["faults"]] == ["globals.hegde_mode", "symbols.BTCUSDT.leverage"]
    harness.feed(SettingsChanged(some_settings()))
    assert published(harness)["faults"] == []
    assert versions_of(harness) == []


def test_pause_and_halt_survive_restart(harness: Harness) -> None:
    harness.command(OperatorAction.PAUSE)
    harness.command(OperatorAction.HALT)
    again = harness.restart().connect()
    assert again.last_command == NOW + 2
    again.liquidate()
    again.command(OperatorAction.RESUME)
    again.feed(OperatorCommand(NOW + 2, OperatorAction.HALT, NOW))
    again.liquidate()
    assert again.verdicts() == [Gate.TRADING_STATE, None]
    states = [each["state"] for each in again.journal("state")]
    assert [states[-2], states[-1]] == [TradingState.HALTED, TradingState.ACTIVE]


def test_stop_cancels_entries_and_signals_completion(harness: Harness) -> None:
    harness.open_position()
    harness.wait(61_000)
    harness.snapshot(
        positions=(harness.report(),),
        open_orders=(harness.update_for(harness.last(STOP)), harness.update_for(harness.last(TAKE))),
    )
    harness.liquidate()
    entry = harness.last(ENTRY)
    harness.feed(TaskDue(Task.STOP, harness.now))
    assert not harness.trader.graceful_stop.settled.is_set()
    harness.accept(entry)
    assert harness.cancelled() == [entry.client_order_id]
    harness.end_order(entry)
    assert harness.trader.graceful_stop.settled.is_set()
    assert harness.order(harness.last(STOP)).status is OrderStatus.NEW


def test_external_position_is_not_partially_closed(harness: Harness) -> None:
    harness.clock.advance(6000)
    harness.snapshot(positions=(a_report("0.1", 50_000),))
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.5"))
    assert harness.submitted() == []


def test_restart_is_requested_after_commit(harness: Harness) -> None:
    harness.context.restart = RestartRequest(NOW - 1, is_supervised=True)
    harness.command(OperatorAction.RESTART)
    assert harness.context.restart.is_requested
    assert answers(harness) == ["the bot restarts now; positions stay protected"]
