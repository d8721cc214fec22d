"""Positions closed by the exchange: recorded as forced, and the symbol locked until the operator resumes."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.commands import OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, Side
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.orders import OrderUpdate
from tests.builders import some_settings
from tests.core.harness import Harness

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
NAMES = ["autoclose-1588", "adl_autoclose", "settlement_autoclose-1588"]


def forced(harness: Harness, name: str, order_id: int = 88) -> OrderUpdate:
    """The fill that closes the whole position by force, with a loss."""
    stop = harness.last(STOP)
    fill = replace(harness.a_fill(stop, price=45_000, pnl=-50), client_order_id=name, order_id=order_id)
    update = harness.filled_by(stop, fill)
    return replace(update, client_order_id=name, type=OrderType.LIMIT, original_type=OrderType.LIMIT, side=Side.SELL)


def force(harness: Harness, name: str) -> None:
    harness.clock.advance(1000)
    update = forced(harness, name)
    assert update.fill is not None
    harness.feed(harness.account_after(update.fill), update)


@pytest.fixture
def eager(path: Path) -> Harness:
    return Harness(path, some_settings({"cooldown_sec": 0})).connect()


@pytest.mark.parametrize("name", NAMES)
def test_forced_close_is_recorded_and_locks_symbol(eager: Harness, name: str) -> None:
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


def test_lock_survives_restart_and_resume_releases_it(eager: Harness) -> None:
    eager.command(OperatorAction.RESUME)  # the commands that follow a restart are newer than this one
    eager.open_position()
    force(eager, NAMES[0])
    again = eager.restart().connect()
    again.liquidate()
    assert again.verdicts()[-1] == Gate.TRADING_STATE
    assert (
        again.rows("SELECT value FROM bot_state WHERE key = 'trading'")[0]["value"].count('"needs_resume": true') == 1
    )
    again.command(OperatorAction.RESUME)
    assert "entries allowed again in BTCUSDT" in again.journal("command")[-1]["message"]
    again.confirm_cancels()
    again.liquidate()
    assert again.verdicts()[-1] is None


def test_repeated_forced_close_does_not_lock_again(eager: Harness) -> None:
    eager.open_position()
    force(eager, NAMES[0])
    eager.command(OperatorAction.RESUME)
    update = replace(forced(eager, NAMES[0]), fill=None)
    eager.feed(OrdersFetched("BTCUSDT", (update,), 0, eager.now))
    eager.confirm_cancels()
    eager.wait(1000)
    eager.liquidate()
    assert eager.verdicts()[-1] is None


def test_open_entry_is_cancelled_by_lock(eager: Harness) -> None:
    eager.open_position()
    resting = eager.enter()
    force(eager, NAMES[0])
    assert resting.client_order_id in eager.cancelled()


def test_forced_close_from_history_is_recorded(eager: Harness) -> None:
    eager.open_position()
    eager.clock.advance(10_000)
    update = forced(eager, NAMES[0])
    assert update.fill is not None
    eager.feed(OrdersFetched("BTCUSDT", (replace(update, fill=None),), 0, eager.now))
    eager.feed(FillsFetched("BTCUSDT", (replace(update.fill, client_order_id=""),), eager.now))
    assert eager.journal("fill")[-1]["role"] == "FORCED"
    assert not eager.position().is_open


def test_external_liquidation_on_other_symbol_locks_nothing(eager: Harness) -> None:
    eager.open_position()
    update = replace(forced(eager, NAMES[0]), symbol="ETHUSDT", fill=None, status=OrderStatus.NEW)
    eager.feed(update)
    assert eager.context.symbol_locks == {}
