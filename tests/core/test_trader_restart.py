"""A restart at any moment: what was under way is asked about, what was held is protected, nothing is done twice."""

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.messages import Due, Duty, FetchFills, FillsFetched, OperatorAction, QueryOrder
from tests.builders import a_position, a_report, some_settings
from tests.core.rig import LONG, Rig

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_open_orders_are_all_asked_about_again(rig: Rig) -> None:
    rig.open_position()
    names = {rig.last(STOP).client_order_id, rig.last(TAKE).client_order_id}
    again = rig.restart()
    again.audit()
    assert {command.client_order_id for command in again.of(QueryOrder)} == names
    assert again.submitted() == []


def test_the_position_is_known_with_its_entry_and_its_costs(rig: Rig) -> None:
    entry = rig.open_position()
    again = rig.restart()
    holding = again.desk.books.holdings[LONG]
    assert holding.position == a_position("0.010", "50000.0")
    assert (holding.entry, holding.leverage, holding.commission) == (entry.client_order_id, 10, D("0.1"))


def test_windows_and_cooldowns_go_on(path: Path) -> None:
    rig = Rig(path).connect()
    rig.liquidate(30_000)
    again = rig.restart().connect()
    again.liquidate(30_000)
    assert again.verdicts() == [Gate.THRESHOLD, None]
    last = again.restart().connect()
    last.liquidate(30_000)
    last.liquidate(30_000)
    assert last.verdicts()[2:] == [Gate.THRESHOLD, Gate.COOLDOWN]


def test_an_entry_committed_and_never_answered_is_not_sent_again(rig: Rig) -> None:
    rig.liquidate()
    entry = rig.last(ENTRY)
    again = rig.restart().connect()
    assert again.submitted() == []
    assert again.of(QueryOrder)[0].client_order_id == entry.client_order_id
    again.liquidate()
    assert again.submitted() == []
    again.clock.advance(10)
    again.accept(entry)
    again.fill(entry)
    assert again.last(STOP).stop_price == D("49000.0")


def test_an_entry_that_filled_while_we_were_gone_is_protected(rig: Rig) -> None:
    entry = rig.enter()
    number = rig.order(entry).order_id
    assert number is not None
    rig.clock.advance(60_000)
    fill = rig.a_fill(entry)
    again = rig.restart()
    again.connect(positions=(a_report("0.010", 50_000, updated_at=fill.traded_at),))
    again.feed(again.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price))
    assert again.last(STOP).stop_price == D("49000.0")
    assert again.of(FetchFills) != []
    again.feed(FillsFetched("BTCUSDT", (replace(fill, client_order_id=""),), again.now))
    assert again.position().quantity == D("0.010")
    assert len(again.rows("SELECT * FROM fills")) == 1
    assert len(again.submitted(STOP)) == 1


def test_a_stop_out_while_we_were_gone_is_told_with_its_result(rig: Rig) -> None:
    rig.open_position()
    stop, take = rig.last(STOP), rig.last(TAKE)
    rig.clock.advance(60_000)
    fill = rig.a_fill(stop, price=49_000, pnl=-10)
    again = rig.restart()
    again.connect(positions=(a_report(updated_at=fill.traded_at),), open_orders=(again.told(take),))
    again.feed(again.told(stop, status=OrderStatus.FILLED, filled_quantity=D("0.010"), average_price=D(49_000)))
    again.feed(FillsFetched("BTCUSDT", (replace(fill, client_order_id=""),), again.now))
    again.ended(take)
    again.wait(2000)
    assert [each["net"] for each in again.journal("position")] == ["-10.2"]
    assert again.rows("SELECT * FROM positions") == []


def test_ids_of_an_earlier_run_are_not_given_out_again(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    rig.refuse(rig.last(CLOSE))
    used = {request.client_order_id for request in rig.submitted()}
    shown = tuple(rig.told(each) for each in (rig.last(STOP), rig.last(TAKE)))
    position = rig.report()
    rig.clock.advance(1000)
    again = rig.restart().connect(positions=(position,), open_orders=shown)
    again.wait(2000)
    assert again.last(CLOSE).client_order_id not in used


def test_a_close_that_was_asked_for_goes_on(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    rig.refuse(rig.last(CLOSE))
    shown = tuple(rig.told(each) for each in (rig.last(STOP), rig.last(TAKE)))
    position = rig.report()
    again = rig.restart()
    again.wait(5000)
    assert again.submitted(CLOSE) == []  # what stands there now has not been shown yet
    again.connect(positions=(position,), open_orders=shown)
    again.clock.advance(1)
    assert again.last(CLOSE).quantity == D("0.010")
    again.fill(again.last(CLOSE))
    for request in rig.submitted(STOP) + rig.submitted(TAKE):
        again.ended(request)
    again.wait(2000)
    last = again.restart()
    assert last.rows("SELECT value FROM state WHERE key = 'closing'")[0]["value"] == "{}"


def test_a_cancel_under_way_is_asked_about(rig: Rig) -> None:
    entry = rig.enter()
    rig.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    again = rig.restart()
    again.audit()
    assert again.of(QueryOrder)[0].client_order_id == entry.client_order_id


def test_a_position_of_a_mode_that_was_left_is_gone(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(60_000)
    again = rig.restart()
    again.connect(hedge_mode=False, positions=(a_report(position_side=PositionSide.BOTH),))
    assert not again.position().is_open
    assert again.submitted() == []


def test_a_symbol_that_left_the_settings_meanwhile_can_still_be_closed(path: Path) -> None:
    rig = Rig(path).connect()
    rig.open_position()
    rig.settings = some_settings().model_copy(update={"symbols": {}})
    instruments = rig.desk.instruments
    again = rig.restart()
    again.desk.instruments = instruments
    again.close_position()
    again.refuse(again.last(CLOSE))
    again.wait(1000)
    assert len(again.submitted(CLOSE)) == 2


def test_a_symbol_that_left_the_settings_meanwhile_is_protected_as_it_was_set_last(path: Path) -> None:
    rig = Rig(path, some_settings(stop_loss_pct=3)).connect()
    rig.open_position()
    rig.settings = some_settings().model_copy(update={"symbols": {}})
    instruments = rig.desk.instruments
    again = rig.restart()
    again.desk.instruments = instruments
    again.ended(rig.last(STOP))
    again.ended(rig.last(TAKE))
    assert again.last(STOP).stop_price == rig.last(STOP).stop_price == D("48500.0")
    assert set(again.restart().desk.retired) == {"BTCUSDT"}


def test_a_symbol_of_which_nothing_is_held_is_forgotten_with_its_settings(path: Path) -> None:
    rig = Rig(path).connect()
    rig.settings = some_settings().model_copy(update={"symbols": {}})
    assert rig.restart().desk.retired == {}


def test_a_position_whose_settings_nobody_knows_is_told_to_a_person(path: Path) -> None:
    rig = Rig(path).connect()
    rig.open_position()
    rig.settings = some_settings().model_copy(update={"symbols": {}})
    with rig.desk.store.transaction():
        rig.desk.store.set_state("symbol_settings", {})
    alarms = [each["message"] for each in rig.restart().journal("alert")]
    assert "its symbol is not in the settings" in alarms[-1]


def test_a_fill_whose_trade_was_never_seen_is_fetched_after_a_restart(rig: Rig) -> None:
    entry = rig.enter()
    rig.clock.advance(10)
    rig.feed(rig.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price))
    again = rig.restart()
    again.audit()
    assert again.of(FetchFills) != []
    assert again.of(QueryOrder) == []


@pytest.mark.parametrize("began_on_paper", [True, False])
def test_a_switch_between_paper_and_real_believes_in_nothing_of_the_other(path: Path, began_on_paper: bool) -> None:
    rig = Rig(path, some_settings({"simulate_only": began_on_paper})).connect()
    rig.open_position()
    rig.command(OperatorAction.FLATTEN)
    assert rig.desk.books.holdings[LONG].close_reason
    other = rig.restart(some_settings({"simulate_only": not began_on_paper})).connect()
    other.wait(20_000)
    assert (other.desk.books.orders, other.of(QueryOrder), other.submitted()) == ({}, [], [])
    assert not other.position().is_open
    other.feed(Due(Duty.RECONCILE, other.now))
    other.snapshot(positions=(a_report("0.010", 50_000),))
    other.wait(5_000)
    assert other.submitted(CLOSE) == []  # what was to be closed there is not closed here
    back = other.restart(rig.settings)
    holding = back.desk.books.holdings[LONG]
    assert holding.position == a_position("0.010", "50000.0")
    assert holding.close_reason
    assert {order.role for order in back.desk.books.open_orders()} == {STOP, TAKE, CLOSE}


def test_a_window_that_is_not_what_the_database_adds_up_is_told(rig: Rig) -> None:
    rig.liquidate(30_000)
    again = rig.restart()
    assert not [each for each in again.journal("alert") if "in the window" in each["message"]]
    again.close()
    with sqlite3.connect(rig.path) as damaged:
        damaged.execute("UPDATE liquidations SET usdt_value = '7'")
    again = rig.restart()
    told = [each["message"] for each in again.journal("alert") if "in the window" in each["message"]]
    assert told == ["volume of BTCUSDT SELL in the window: 30000.0 USDT counted, 7 stored"]
    again.close()
