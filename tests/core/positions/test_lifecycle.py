"""Restarts: pending orders are queried, open positions protected, and nothing is done twice."""

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.commands import FetchFills, OperatorAction, QueryOrder
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.events import FillsFetched, Task, TaskDue
from tests.builders import a_position, a_report, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_open_orders_are_queried_after_restart(harness: Harness) -> None:
    harness.open_position()
    names = {harness.last(STOP).client_order_id, harness.last(TAKE).client_order_id}
    again = harness.restart()
    again.audit()
    assert {command.client_order_id for command in again.commands_of(QueryOrder)} == names
    assert again.submitted() == []


def test_position_is_restored_with_entry_and_costs(harness: Harness) -> None:
    entry = harness.open_position()
    again = harness.restart()
    tracked = again.context.portfolio.tracked_positions[LONG]
    assert tracked.position == a_position("0.010", "50000.0")
    assert (tracked.entry_order_id, tracked.leverage, tracked.trades.commission) == (
        entry.client_order_id,
        10,
        D("0.1"),
    )


def test_windows_and_cooldowns_survive_restart(path: Path) -> None:
    harness = Harness(path).connect()
    harness.liquidate(30_000)
    again = harness.restart().connect()
    again.liquidate(30_000)
    assert again.verdicts() == [Gate.THRESHOLD, None]
    last = again.restart().connect()
    last.liquidate(30_000)
    last.liquidate(30_000)
    assert last.verdicts()[2:] == [Gate.THRESHOLD, Gate.COOLDOWN]


def test_unanswered_entry_is_queried_not_resent(harness: Harness) -> None:
    harness.liquidate()
    entry = harness.last(ENTRY)
    again = harness.restart().connect()
    assert again.submitted() == []
    assert again.commands_of(QueryOrder)[0].client_order_id == entry.client_order_id
    again.liquidate()
    assert again.submitted() == []
    again.clock.advance(10)
    again.accept(entry)
    again.fill(entry)
    assert again.last(STOP).stop_price == D("49000.0")


def test_entry_filled_while_offline_is_protected(harness: Harness) -> None:
    entry = harness.enter()
    order_id = harness.order(entry).order_id
    assert order_id is not None
    harness.clock.advance(60_000)
    fill = harness.a_fill(entry)
    again = harness.restart()
    again.connect(positions=(a_report("0.010", 50_000, updated_at=fill.traded_at),))
    again.feed(
        again.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    )
    assert again.last(STOP).stop_price == D("49000.0")
    assert again.commands_of(FetchFills) != []
    again.feed(FillsFetched("BTCUSDT", (replace(fill, client_order_id=""),), again.now))
    assert again.position().quantity == D("0.010")
    assert len(again.rows("SELECT * FROM fills")) == 1
    assert len(again.submitted(STOP)) == 1


def test_stop_out_while_offline_is_journaled_with_result(harness: Harness) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    harness.clock.advance(60_000)
    fill = harness.a_fill(stop, price=49_000, pnl=-10)
    again = harness.restart()
    again.connect(positions=(a_report(updated_at=fill.traded_at),), open_orders=(again.update_for(take),))
    again.feed(again.update_for(stop, status=OrderStatus.FILLED, filled_quantity=D("0.010"), average_price=D(49_000)))
    again.feed(FillsFetched("BTCUSDT", (replace(fill, client_order_id=""),), again.now))
    again.end_order(take)
    again.wait(2000)
    assert [each["net"] for each in again.journal("position")] == ["-10.2"]
    assert again.rows("SELECT * FROM positions") == []


def test_order_ids_of_last_run_are_not_reused(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    harness.reject(harness.last(CLOSE))
    used = {request.client_order_id for request in harness.submitted()}
    shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
    position = harness.report()
    harness.clock.advance(1000)
    again = harness.restart().connect(positions=(position,), open_orders=shown)
    again.wait(2000)
    assert again.last(CLOSE).client_order_id not in used


def test_pending_close_continues_after_restart(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    harness.reject(harness.last(CLOSE))
    shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
    position = harness.report()
    again = harness.restart()
    again.wait(5000)
    assert again.submitted(CLOSE) == []  # the exchange has not confirmed the position yet
    again.connect(positions=(position,), open_orders=shown)
    again.clock.advance(1)
    assert again.last(CLOSE).quantity == D("0.010")
    again.fill(again.last(CLOSE))
    for request in harness.submitted(STOP) + harness.submitted(TAKE):
        again.end_order(request)
    again.wait(2000)
    last = again.restart()
    assert last.rows("SELECT value FROM bot_state WHERE key = 'pending_closes'")[0]["value"] == "{}"


def test_close_request_of_an_ended_position_does_not_close_the_next(path: Path) -> None:
    """A kill between the end of a position and its result left the request in the database."""
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    harness.close_position()
    harness.fill(harness.last(CLOSE))
    for protection in (harness.last(STOP), harness.last(TAKE)):
        harness.end_order(protection)
    again = harness.restart().connect(open_orders=())
    again.wait(1000)
    again.open_position()
    last = again.restart().connect(positions=(again.report(),), open_orders=())
    last.wait(5000)
    assert last.submitted(CLOSE) == []
    assert last.position().is_open


def test_pending_cancel_is_queried_after_restart(harness: Harness) -> None:
    entry = harness.enter()
    harness.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    again = harness.restart()
    again.audit()
    assert again.commands_of(QueryOrder)[0].client_order_id == entry.client_order_id


def test_position_of_other_position_mode_is_dropped(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(60_000)
    again = harness.restart()
    again.connect(hedge_mode=False, positions=(a_report(position_side=PositionSide.BOTH),))
    assert not again.position().is_open
    assert again.submitted() == []


def test_removed_symbol_can_be_closed_after_restart(path: Path) -> None:
    harness = Harness(path).connect()
    harness.open_position()
    harness.settings = some_settings().model_copy(update={"symbols": {}})
    instruments = harness.context.instruments
    shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
    report = harness.report()
    again = harness.restart()
    again.context.instruments = instruments
    again.connect(positions=(report,), open_orders=shown)
    again.close_position()
    again.reject(again.last(CLOSE))
    again.wait(1000)
    assert len(again.submitted(CLOSE)) == 2


def test_removed_symbol_keeps_its_last_settings(path: Path) -> None:
    harness = Harness(path, some_settings(stop_loss_pct=3)).connect()
    harness.open_position()
    harness.settings = some_settings().model_copy(update={"symbols": {}})
    instruments = harness.context.instruments
    again = harness.restart()
    again.context.instruments = instruments
    again.end_order(harness.last(STOP))
    again.end_order(harness.last(TAKE))
    assert again.last(STOP).stop_price == harness.last(STOP).stop_price == D("48500.0")
    assert set(again.restart().context.removed_symbols) == {"BTCUSDT"}


def test_removed_symbol_without_position_is_forgotten(path: Path) -> None:
    harness = Harness(path).connect()
    harness.settings = some_settings().model_copy(update={"symbols": {}})
    assert harness.restart().context.removed_symbols == {}


def test_position_without_settings_alerts(path: Path) -> None:
    harness = Harness(path).connect()
    harness.open_position()
    harness.settings = some_settings().model_copy(update={"symbols": {}})
    with harness.context.store.transaction():
        harness.context.store.set_state("symbol_settings", {})
    alerts = [each["message"] for each in harness.restart().journal("alert")]
    assert "only its existing stop protects its position" in alerts[-1]


def test_unseen_fill_is_fetched_after_restart(harness: Harness) -> None:
    entry = harness.enter()
    harness.clock.advance(10)
    harness.feed(
        harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    )
    again = harness.restart()
    again.audit()
    assert again.commands_of(FetchFills) != []
    assert again.commands_of(QueryOrder) == []


@pytest.mark.parametrize("starts_on_paper", [True, False])
def test_paper_and_live_state_are_separate(path: Path, starts_on_paper: bool) -> None:
    harness = Harness(path, some_settings({"simulate_only": starts_on_paper})).connect()
    harness.open_position()
    harness.command(OperatorAction.FLATTEN)
    assert harness.context.portfolio.tracked_positions[LONG].close_reason
    other = harness.restart(some_settings({"simulate_only": not starts_on_paper})).connect()
    other.wait(20_000)
    assert (other.context.portfolio.orders, other.commands_of(QueryOrder), other.submitted()) == ({}, [], [])
    assert not other.position().is_open
    other.feed(TaskDue(Task.RECONCILE, other.now))
    other.snapshot(positions=(a_report("0.010", 50_000),))
    other.wait(5_000)
    assert other.submitted(CLOSE) == []  # a close request of the other mode is not carried out
    back = other.restart(harness.settings)
    tracked = back.context.portfolio.tracked_positions[LONG]
    assert tracked.position == a_position("0.010", "50000.0")
    assert tracked.close_reason
    assert {order.role for order in back.context.portfolio.open_orders()} == {STOP, TAKE, CLOSE}


def test_window_mismatch_with_database_warns(harness: Harness) -> None:
    harness.liquidate(30_000)
    again = harness.restart()
    assert not [each for each in again.journal("alert") if "in the window" in each["message"]]
    again.close()
    with sqlite3.connect(harness.path) as damaged:
        damaged.execute("UPDATE liquidations SET usdt_value = '7'")
    again = harness.restart()
    warnings = [each["message"] for each in again.journal("alert") if "in the window" in each["message"]]
    assert warnings == ["volume of BTCUSDT SELL in the window: 30000.0 USDT counted, 7 stored"]
    again.close()
