"""What a person asks for: done once, answered by its number, remembered across a restart."""

from decimal import Decimal
from pathlib import Path

from src.core.operator.restart import RestartWish
from src.core.operator.settings_changed import SettingsChanged
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, TradingState
from src.domain.messages import CancelOrder, Due, Duty, OperatorAction, OperatorCommand
from tests.builders import NOW, a_position, a_report, some_settings
from tests.core.rig import Rig

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def answers(rig: Rig) -> list[str]:
    return [each["message"] for each in rig.journal("command")]


def test_pause_keeps_entries_back_until_resume(rig: Rig) -> None:
    rig.command(OperatorAction.PAUSE)
    rig.liquidate(30_000)
    rig.command(OperatorAction.RESUME)
    rig.liquidate(30_000)
    assert rig.verdicts() == [Gate.TRADING_STATE, None]
    told = rig.journal("command")
    assert [each["id"] for each in told] == [NOW + 1, NOW + 2]
    assert answers(rig) == ["entries are paused; positions stay protected", "entries are made again"]


def test_resume_says_what_else_keeps_entries_back(path: Path) -> None:
    rig = Rig(path)
    rig.command(OperatorAction.RESUME)
    assert answers(rig)[0].startswith("resumed, but entries still wait: starting")


def test_a_command_is_carried_out_once(rig: Rig) -> None:
    rig.open_position()
    half = OperatorCommand(NOW + 5, OperatorAction.CLOSE_POSITION, NOW, "BTCUSDT", fraction=D("0.5"))
    rig.feed(half)
    rig.feed(half)
    rig.fill(rig.last(CLOSE))
    rig.feed(half)
    assert len(rig.submitted(CLOSE)) == 1
    assert answers(rig) == ["50 % of BTCUSDT is being closed"]


def test_halt_cancels_entries_and_leaves_protection(rig: Rig) -> None:
    rig.open_position()
    rig.wait(61_000)
    rig.snapshot(positions=(rig.report(),), open_orders=(rig.told(rig.last(STOP)), rig.told(rig.last(TAKE))))
    second = rig.enter()
    rig.command(OperatorAction.HALT)
    assert rig.cancelled() == [second.client_order_id]
    assert rig.desk.standing.state is TradingState.HALTED
    assert answers(rig) == ["halted; 1 open entries are being cancelled, positions stay protected"]


def test_halt_reaches_an_entry_that_was_on_its_way(rig: Rig) -> None:
    rig.liquidate()
    entry = rig.last(ENTRY)
    assert rig.command(OperatorAction.HALT) == []
    assert rig.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_close_all_pauses_cancels_and_closes(rig: Rig) -> None:
    rig.open_position()
    rig.command(OperatorAction.FLATTEN)
    close = rig.last(CLOSE)
    assert (close.type, close.quantity, close.reduce_only) == (OrderType.MARKET, D("0.010"), False)
    assert answers(rig) == ["entries are paused, 0 are being cancelled, 1 positions are being closed"]
    rig.command(OperatorAction.FLATTEN)
    assert len(rig.submitted(CLOSE)) == 1
    rig.wait(10)
    rig.fill(close)
    rig.ended(rig.last(STOP))
    rig.ended(rig.last(TAKE))
    rig.wait(1000)
    assert rig.rows("SELECT * FROM positions") == []
    assert rig.desk.standing.state is TradingState.REDUCE_ONLY


def test_close_all_also_closes_what_an_entry_fills_afterwards(rig: Rig) -> None:
    entry = rig.enter()
    rig.command(OperatorAction.FLATTEN)
    rig.clock.advance(10)
    rig.fill(entry)
    rig.wait(1000)
    assert rig.last(CLOSE).quantity == D("0.010")
    rig.fill(rig.last(CLOSE))
    rig.wait(60_000)
    rig.command(OperatorAction.RESUME)
    rig.snapshot()
    rig.enter()
    rig.fill(rig.last(ENTRY))
    rig.wait(2000)
    assert len(rig.submitted(CLOSE)) == 1  # a later entry is not called off


def test_close_all_leaves_a_foreign_position_alone(rig: Rig) -> None:
    rig.feed(rig.account_update(a_position("0.5")))
    rig.command(OperatorAction.FLATTEN)
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT")
    rig.wait(2000)
    assert rig.submitted() == []
    assert answers(rig)[1] == "the position of BTCUSDT is not the bot's: it is left alone"


def test_a_position_is_closed_by_symbol_and_side(rig: Rig) -> None:
    rig.open_position()
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", position_side=PositionSide.SHORT)
    rig.command(OperatorAction.CLOSE_POSITION, symbol="ETHUSDT")
    rig.command(OperatorAction.CLOSE_POSITION)
    assert rig.submitted(CLOSE) == []
    assert answers(rig)[:2] == ["no open position of BTCUSDT", "no open position of ETHUSDT"]
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", position_side=PositionSide.LONG)
    assert rig.last(CLOSE).position_side is PositionSide.LONG


def test_half_a_position_closes_half_and_keeps_the_stop(rig: Rig) -> None:
    rig.open_position()
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", fraction=D("0.55"))
    assert rig.last(CLOSE).quantity == D("0.005")
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", fraction=D("0.5"))
    assert "nothing was sent" in answers(rig)[1]
    rig.clock.advance(10)
    rig.fill(rig.last(CLOSE))
    rig.wait(3000)
    assert rig.position().quantity == D("0.005")
    assert len(rig.submitted(CLOSE)) == 1
    assert rig.cancelled() == []


def test_one_way_closes_are_reduce_only(path: Path) -> None:
    rig = Rig(path, some_settings({"hedge_mode": False})).connect()
    rig.open_position()
    rig.close_position()
    assert rig.last(CLOSE).reduce_only


def test_an_entry_is_cancelled_by_its_name(rig: Rig) -> None:
    entry = rig.enter()
    rig.command(OperatorAction.CANCEL_ENTRY, client_order_id="lh-nobody-e")
    rig.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    assert rig.cancelled() == [entry.client_order_id]
    assert answers(rig) == ["no such open entry", "the entry of BTCUSDT is being cancelled"]


def test_new_settings_are_answered_by_number_and_faulty_ones_too(rig: Rig) -> None:
    rig.feed(SettingsChanged(some_settings(leverage=5), NOW + 1))
    rig._commands = 1
    rig.command(OperatorAction.RELOAD_SETTINGS)
    assert answers(rig) == [
        "new settings are in force",
        "the settings could not be read: the old ones stay in force",
    ]


def test_a_pause_and_a_halt_outlive_a_restart(rig: Rig) -> None:
    rig.command(OperatorAction.PAUSE)
    rig.command(OperatorAction.HALT)
    again = rig.restart().connect()
    assert again.last_command == NOW + 2
    again.liquidate()
    again.command(OperatorAction.RESUME)
    again.feed(OperatorCommand(NOW + 2, OperatorAction.HALT, NOW))
    again.liquidate()
    assert again.verdicts() == [Gate.TRADING_STATE, None]
    states = [each["state"] for each in again.journal("state")]
    assert [states[-2], states[-1]] == [TradingState.HALTED, TradingState.ACTIVE]


def test_stopping_cancels_entries_and_says_when_none_is_left(rig: Rig) -> None:
    rig.open_position()
    rig.wait(61_000)
    rig.snapshot(positions=(rig.report(),), open_orders=(rig.told(rig.last(STOP)), rig.told(rig.last(TAKE))))
    rig.liquidate()
    entry = rig.last(ENTRY)
    rig.feed(Due(Duty.STOP, rig.now))
    assert not rig.trader.entries_gone.is_set()
    rig.accept(entry)
    assert rig.cancelled() == [entry.client_order_id]
    rig.ended(entry)
    assert rig.trader.entries_gone.is_set()
    assert rig.order(rig.last(STOP)).status is OrderStatus.NEW


def test_a_foreign_report_is_not_closed_by_number(rig: Rig) -> None:
    rig.clock.advance(6000)
    rig.snapshot(positions=(a_report("0.1", 50_000),))
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", fraction=D("0.5"))
    assert rig.submitted() == []


def test_a_restart_is_asked_for_once_it_is_written_down(rig: Rig) -> None:
    rig.desk.restart = RestartWish(NOW - 1, is_supervised=True)
    rig.command(OperatorAction.RESTART)
    assert rig.desk.restart.is_asked
    assert answers(rig) == ["the bot ends and is started anew at once; positions stay protected"]
