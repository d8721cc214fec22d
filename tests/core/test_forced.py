"""The exchange closes a position by itself: booked as such, swept, and its symbol locked until a person resumes."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, Side
from src.domain.messages import FillsFetched, OperatorAction, OrdersFetched
from src.domain.orders import OrderUpdate
from tests.builders import some_settings
from tests.core.rig import Rig

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
NAMES = ["autoclose-1588", "adl_autoclose", "settlement_autoclose-1588"]


def forced(rig: Rig, name: str, order_id: int = 88) -> OrderUpdate:
    """The whole position, closed by the exchange with a loss."""
    stop = rig.last(STOP)
    fill = replace(rig.a_fill(stop, price=45_000, pnl=-50), client_order_id=name, order_id=order_id)
    told = rig.filled_by(stop, fill)
    return replace(told, client_order_id=name, type=OrderType.LIMIT, original_type=OrderType.LIMIT, side=Side.SELL)


def force(rig: Rig, name: str) -> None:
    rig.clock.advance(1000)
    update = forced(rig, name)
    assert update.fill is not None
    rig.feed(rig.account_after(update.fill), update)


@pytest.fixture
def eager(path: Path) -> Rig:
    return Rig(path, some_settings({"cooldown_sec": 0})).connect()


@pytest.mark.parametrize("name", NAMES)
def test_a_forced_close_is_booked_swept_told_and_locks_its_symbol(eager: Rig, name: str) -> None:
    eager.open_position()
    force(eager, name)
    assert not eager.position().is_open
    assert eager.journal("fill")[-1]["role"] == "FORCED"
    assert eager.rows("SELECT realized_pnl FROM fills")[-1]["realized_pnl"] == "-50"
    assert {eager.last(STOP).client_order_id, eager.last(TAKE).client_order_id} <= set(eager.cancelled())
    [alarm] = [each["message"] for each in eager.journal("alert") if each["level"] == "error"]
    assert alarm.endswith("No entries in BTCUSDT until you resume")
    eager.wait(1000)
    eager.liquidate()
    assert eager.verdicts() == [None, Gate.TRADING_STATE]


def test_the_lock_outlives_a_restart_and_resume_lifts_it(eager: Rig) -> None:
    eager.command(OperatorAction.RESUME)  # the commands that follow a restart are newer than this one
    eager.open_position()
    force(eager, NAMES[0])
    again = eager.restart().connect()
    again.liquidate()
    assert again.verdicts()[-1] == Gate.TRADING_STATE
    assert again.rows("SELECT value FROM state WHERE key = 'trading'")[0]["value"].count('"awaits_resume": true') == 1
    again.command(OperatorAction.RESUME)
    assert "entries are allowed again in BTCUSDT" in again.journal("command")[-1]["message"]
    again.liquidate()
    assert again.verdicts()[-1] is None


def test_a_forced_close_told_again_does_not_lock_again(eager: Rig) -> None:
    eager.open_position()
    force(eager, NAMES[0])
    eager.command(OperatorAction.RESUME)
    told = replace(forced(eager, NAMES[0]), fill=None)
    eager.feed(OrdersFetched("BTCUSDT", (told,), 0, eager.now))
    eager.wait(1000)
    eager.liquidate()
    assert eager.verdicts()[-1] is None


def test_an_entry_that_rests_ends_with_the_lock(eager: Rig) -> None:
    eager.open_position()
    resting = eager.enter()
    force(eager, NAMES[0])
    assert resting.client_order_id in eager.cancelled()


def test_a_forced_close_only_the_lists_tell_of_is_booked_as_such(eager: Rig) -> None:
    eager.open_position()
    eager.clock.advance(10_000)
    update = forced(eager, NAMES[0])
    assert update.fill is not None
    eager.feed(OrdersFetched("BTCUSDT", (replace(update, fill=None),), 0, eager.now))
    eager.feed(FillsFetched("BTCUSDT", (replace(update.fill, client_order_id=""),), eager.now))
    assert eager.journal("fill")[-1]["role"] == "FORCED"
    assert not eager.position().is_open


def test_the_liquidation_of_what_is_not_ours_on_a_foreign_symbol_locks_nothing(eager: Rig) -> None:
    eager.open_position()
    update = replace(forced(eager, NAMES[0]), symbol="ETHUSDT", fill=None, status=OrderStatus.NEW)
    eager.feed(update)
    assert eager.desk.locked == {}
