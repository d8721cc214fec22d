"""An exchange that answers from an old copy or leaves something out, and a second bot on the account (F39-F41)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
POLLS = 3
"""So often an old copy must have answered while a test waits."""


def answers(fault: Fault, times: int = POLLS) -> None:
    """The fault strikes so many times more; the account is read after each cut."""
    left = fault.times - times
    wait_until(lambda: fault.times <= left, 30, "the old copy is read again and again")


def test_f39_an_old_copy_without_the_position_neither_closes_nor_forgets_it(harness: FaultHarness) -> None:
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.open_position()
    held = harness.position
    for _ in range(POLLS):
        harness.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
        answers(fault, 2)
    assert harness.position == harness.recorded_position() == held
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    assert not harness.received_orders(CLOSE)
    harness.check_consistency()


def test_f39_an_old_copy_is_not_believed_after_a_restart(harness: FaultHarness) -> None:
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.open_position()
    held = harness.position
    harness.stop()
    harness.launch()
    answers(fault)
    assert harness.position == harness.recorded_position() == held
    assert len(harness.orders(STOP)) == 1
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "it trades again")
    harness.check_consistency()


def test_f39_an_old_copy_with_the_position_revives_nothing(harness: FaultHarness) -> None:
    harness.open_position()
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.shift("-3")
    wait_until(lambda: not harness.position and not harness.orders(), 10, "stopped out and swept")
    for _ in range(POLLS):
        harness.inject(FaultKind.STREAM_CUT, path="user")
        answers(fault, 2)
    assert harness.recorded_position() == 0
    assert not harness.orders()
    assert not harness.received_orders(CLOSE)
    harness.check_consistency()


def test_f40_a_stop_left_out_of_the_open_orders_is_asked_for_and_kept(harness: FaultHarness) -> None:
    harness.open_position()
    omitted = Fault(FaultKind.OMITTED_FROM_LIST, path="-s", times=FOREVER)
    harness.exchange.inject(omitted)
    with harness.exchange.lock:
        before = harness.exchange.limits.used_weight
    for seen in range(1, 5):
        harness.inject(FaultKind.STREAM_CUT, path="user")
        wait_until(lambda seen=seen: omitted.times <= FOREVER - seen, 20, "the list is read")  # type: ignore[misc]
    time.sleep(2)
    with harness.exchange.lock:
        spent = harness.exchange.limits.used_weight - before
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    assert not harness.received_orders(CLOSE)
    assert spent < 1200, "a storm of questions"
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the stop that was left out closes")
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


def names_the_other(harness: FaultHarness) -> bool:
    state, reason = harness.trading_status()
    return state == "REDUCE_ONLY" and "another bot trades on this account" in reason


def test_f41_a_bot_that_sees_orders_of_another_makes_no_entry(harness: FaultHarness, make_harness: MakeHarness) -> None:
    idle = make_harness({"hedge_mode": False}, server=harness.server, volume_threshold=10**9).start()
    harness.trigger_entry()
    idle.measure("reported by the idle bot", lambda: names_the_other(idle), 30)
    harness.fill()
    harness.wait_protected()
    time.sleep(2)
    assert len(harness.received_orders(STOP)) == 1, "the other's position is left to the other"
    harness.check_consistency()


def test_f41_neither_the_halt_nor_whose_orders_they_are_is_forgotten_by_a_restart(
    harness: FaultHarness, make_harness: MakeHarness
) -> None:
    idle = make_harness({"hedge_mode": False}, server=harness.server, volume_threshold=10**9).start()
    harness.open_position()
    wait_until(lambda: names_the_other(idle), 30, "it has seen the other")
    before = idle.state("bot")["started_at"]
    idle.stop()
    idle.launch()
    wait_until(lambda: idle.state("bot")["started_at"] != before, 30, "it lives again")
    wait_until(lambda: len(idle.state("foreign_orders")["items"]) == 2, 30, "the other's orders are seen again")
    assert names_the_other(idle)
    assert idle.rows("SELECT * FROM trades") == []
    assert len(harness.received_orders(STOP)) == len(harness.received_orders(TAKE)) == 1, (
        "the other's position is left to the other"
    )
    idle.resume()
    wait_until(lambda: idle.trading_status()[0] == "ACTIVE", 15, "a person has resumed")
    harness.check_consistency()


def test_f41_two_bots_that_trade_on_one_account_both_halt_and_say_so(
    harness: FaultHarness, make_harness: MakeHarness
) -> None:
    second = make_harness({"hedge_mode": False}, server=harness.server).start()
    harness.inject(FaultKind.DELAY, ENTRY, times=2, value=1_500)  # both have decided before they see each other
    harness.move(harness.mid_price)
    harness.liquidate()
    wait_until(lambda: len(harness.received_orders(ENTRY)) == 2, 20, "both have made an entry")
    harness.measure("reported by both bots", lambda: names_the_other(harness) and names_the_other(second), 30)
    harness.fill()
    wait_until(lambda: harness.position and harness.orders(STOP), 15, "a stop loss")
    harness.move(harness.mid_price)
    harness.liquidate()
    for bot in (harness, second):
        wait_until(lambda bot=bot: "another bot" in bot.verdicts()[-1], 15, "the refusal says why")  # type: ignore[misc]
    assert len(harness.received_orders(ENTRY)) == 2
    assert harness.longest_unprotected_ms() <= 5_000
