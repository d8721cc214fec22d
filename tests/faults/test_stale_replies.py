"""Stale or incomplete responses (F39, F40), and a second bot on the account (F41)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
POLLS = 3
"""Number of stale responses that a test waits for."""


def wait_stale_replies(fault: Fault, times: int = POLLS) -> None:
    """Wait until the fault has applied this many times more."""
    left = fault.times - times
    wait_until(lambda: fault.times <= left, 30, "stale responses are read repeatedly")


def test_f39_stale_reply_without_the_position_keeps_it(harness: FaultHarness) -> None:
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.open_position()
    held = harness.position
    for _ in range(POLLS):
        harness.inject(FaultKind.STREAM_CUT, path="user")  # the bot reads the account afterwards
        wait_stale_replies(fault, 2)
    assert harness.position == harness.recorded_position() == held
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    assert not harness.received_orders(CLOSE)
    harness.check_consistency()


def test_f39_stale_reply_is_ignored_after_a_restart(harness: FaultHarness) -> None:
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.open_position()
    held = harness.position
    harness.stop()
    harness.launch()
    wait_stale_replies(fault)
    assert harness.position == harness.recorded_position() == held
    assert len(harness.orders(STOP)) == 1
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "trading resumes")
    harness.check_consistency()


def test_f39_stale_reply_with_a_closed_position_is_ignored(harness: FaultHarness) -> None:
    harness.open_position()
    [fault] = harness.freeze_account_replies("positionRisk")
    harness.shift("-3")
    wait_until(lambda: not harness.position and not harness.orders(), 10, "stopped out, no open orders")
    for _ in range(POLLS):
        harness.inject(FaultKind.STREAM_CUT, path="user")
        wait_stale_replies(fault, 2)
    assert harness.recorded_position() == 0
    assert not harness.orders()
    assert not harness.received_orders(CLOSE)
    harness.check_consistency()


def test_f40_stop_missing_from_the_list_is_queried_and_kept(harness: FaultHarness) -> None:
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
    assert spent < 1200, "a request storm"
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the omitted stop closes the position")
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


def reports_other_bot(harness: FaultHarness) -> bool:
    state, reason = harness.trading_status()
    return state == "REDUCE_ONLY" and "another bot trades on this account" in reason


def test_f41_orders_of_another_bot_block_entries(harness: FaultHarness, make_harness: MakeHarness) -> None:
    idle = make_harness({"hedge_mode": False}, server=harness.server, volume_threshold=10**9).start()
    harness.trigger_entry()
    idle.measure("reported by the idle bot", lambda: reports_other_bot(idle), 30)
    harness.fill()
    harness.wait_protected()
    time.sleep(2)
    assert len(harness.received_orders(STOP)) == 1, "the position of the other bot was changed"
    harness.check_consistency()


def test_f41_halt_and_external_orders_survive_a_restart(harness: FaultHarness, make_harness: MakeHarness) -> None:
    idle = make_harness({"hedge_mode": False}, server=harness.server, volume_threshold=10**9).start()
    harness.open_position()
    wait_until(lambda: reports_other_bot(idle), 30, "it has detected the other bot")
    before = idle.state("bot")["started_at"]
    idle.stop()
    idle.launch()
    wait_until(lambda: idle.state("bot")["started_at"] != before, 30, "it has restarted")
    wait_until(lambda: len(idle.state("external_orders")["items"]) == 2, 30, "the other bot's orders are found again")
    assert reports_other_bot(idle)
    assert idle.rows("SELECT * FROM trades") == []
    assert len(harness.received_orders(STOP)) == len(harness.received_orders(TAKE)) == 1, (
        "the position of the other bot was changed"
    )
    idle.resume()
    wait_until(lambda: idle.trading_status()[0] == "ACTIVE", 15, "trading is resumed")
    harness.check_consistency()


def test_f41_two_bots_on_one_account_both_halt(harness: FaultHarness, make_harness: MakeHarness) -> None:
    second = make_harness({"hedge_mode": False}, server=harness.server).start()
    harness.inject(FaultKind.DELAY, ENTRY, times=2, value=1_500)  # both decide before they detect each other
    harness.move(harness.mid_price)
    harness.liquidate()
    wait_until(lambda: len(harness.received_orders(ENTRY)) == 2, 20, "both have placed an entry")
    harness.measure("reported by both bots", lambda: reports_other_bot(harness) and reports_other_bot(second), 30)
    harness.fill()
    wait_until(lambda: harness.position and harness.orders(STOP), 15, "a stop loss")
    harness.move(harness.mid_price)
    harness.liquidate()
    for bot in (harness, second):
        wait_until(lambda bot=bot: "another bot" in bot.verdicts()[-1], 15, "the decision names the reason")  # type: ignore[misc]
    assert len(harness.received_orders(ENTRY)) == 2
    assert harness.longest_unprotected_ms() <= 5_000
