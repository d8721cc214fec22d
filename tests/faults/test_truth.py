"""An exchange that answers from an old copy or leaves something out, and a second bot on the account (F39-F41)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
LOOKED = 3
"""So often an old copy must have answered while a test waits."""


def answers(fault: Fault, times: int = LOOKED) -> None:
    """The fault strikes so many times more; the account is read after each cut."""
    left = fault.times - times
    wait_until(lambda: fault.times <= left, 30, "the old copy is read again and again")


def test_f39_an_old_copy_without_the_position_neither_closes_nor_forgets_it(rig: Rig) -> None:
    [fault] = rig.freeze("positionRisk")
    rig.open_position()
    held = rig.position
    for _ in range(LOOKED):
        rig.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
        answers(fault, 2)
    assert rig.position == rig.booked_position() == held
    assert len(rig.arrived(STOP)) == len(rig.orders(STOP)) == 1
    assert not rig.arrived(CLOSE)
    rig.check_books()


def test_f39_an_old_copy_is_not_believed_after_a_restart(rig: Rig) -> None:
    [fault] = rig.freeze("positionRisk")
    rig.open_position()
    held = rig.position
    rig.stop()
    rig.launch()
    answers(fault)
    assert rig.position == rig.booked_position() == held
    assert len(rig.orders(STOP)) == 1
    rig.exchange.clear_faults()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "it trades again")
    rig.check_books()


def test_f39_an_old_copy_with_the_position_revives_nothing(rig: Rig) -> None:
    rig.open_position()
    [fault] = rig.freeze("positionRisk")
    rig.shift("-3")
    wait_until(lambda: not rig.position and not rig.orders(), 10, "stopped out and swept")
    for _ in range(LOOKED):
        rig.inject(FaultKind.STREAM_CUT, path="user")
        answers(fault, 2)
    assert rig.booked_position() == 0
    assert not rig.orders()
    assert not rig.arrived(CLOSE)
    rig.check_books()


def test_f40_a_stop_left_out_of_the_open_orders_is_asked_for_and_kept(rig: Rig) -> None:
    rig.open_position()
    omitted = Fault(FaultKind.OMITTED, path="-s", times=FOREVER)
    rig.exchange.inject(omitted)
    with rig.exchange.lock:
        before = rig.exchange.limits.used_weight
    for seen in range(1, 5):
        rig.inject(FaultKind.STREAM_CUT, path="user")
        wait_until(lambda seen=seen: omitted.times <= FOREVER - seen, 20, "the list is read")  # type: ignore[misc]
    time.sleep(2)
    with rig.exchange.lock:
        spent = rig.exchange.limits.used_weight - before
    assert len(rig.arrived(STOP)) == len(rig.orders(STOP)) == 1
    assert not rig.arrived(CLOSE)
    assert spent < 1200, "a storm of questions"
    rig.shift("-3")
    wait_until(lambda: not rig.position, 2, "the stop that was left out closes")
    rig.exchange.clear_faults()
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


def names_the_other(rig: Rig) -> bool:
    state, reason = rig.trading()
    return state == "REDUCE_ONLY" and "another bot trades on this account" in reason


def test_f41_a_bot_that_sees_orders_of_another_makes_no_entry(rig: Rig, make_rig: MakeRig) -> None:
    idle = make_rig({"hedge_mode": False}, server=rig.server, volume_threshold=10**9).start()
    rig.hunt()
    idle.measure("said by the bot that sees the other", lambda: names_the_other(idle), 30)
    rig.fill()
    rig.wait_protected()
    time.sleep(2)
    assert len(rig.arrived(STOP)) == 1, "the other's position is left to the other"
    rig.check_books()


def test_f41_neither_the_halt_nor_whose_orders_they_are_is_forgotten_by_a_restart(rig: Rig, make_rig: MakeRig) -> None:
    idle = make_rig({"hedge_mode": False}, server=rig.server, volume_threshold=10**9).start()
    rig.open_position()
    wait_until(lambda: names_the_other(idle), 30, "it has seen the other")
    before = idle.state("bot")["started_at"]
    idle.stop()
    idle.launch()
    wait_until(lambda: idle.state("bot")["started_at"] != before, 30, "it lives again")
    wait_until(lambda: len(idle.state("foreign_orders")["items"]) == 2, 30, "the other's orders are seen again")
    assert names_the_other(idle)
    assert idle.rows("SELECT * FROM trades") == []
    assert len(rig.arrived(STOP)) == len(rig.arrived(TAKE)) == 1, "the other's position is left to the other"
    idle.resume()
    wait_until(lambda: idle.trading()[0] == "ACTIVE", 15, "a person has resumed")
    rig.check_books()


def test_f41_two_bots_that_trade_on_one_account_both_halt_and_say_so(rig: Rig, make_rig: MakeRig) -> None:
    second = make_rig({"hedge_mode": False}, server=rig.server).start()
    rig.inject(FaultKind.DELAY, ENTRY, times=2, value=1_500)  # both have decided before they see each other
    rig.move(rig.middle)
    rig.liquidate()
    wait_until(lambda: len(rig.arrived(ENTRY)) == 2, 20, "both have made an entry")
    rig.measure("said by both", lambda: names_the_other(rig) and names_the_other(second), 30)
    rig.fill()
    wait_until(lambda: rig.position and rig.orders(STOP), 15, "a stop loss")
    rig.move(rig.middle)
    rig.liquidate()
    for bot in (rig, second):
        wait_until(lambda bot=bot: "another bot" in bot.verdicts()[-1], 15, "the refusal says why")  # type: ignore[misc]
    assert len(rig.arrived(ENTRY)) == 2
    assert rig.longest_naked_ms() <= 5_000
