"""Answers that silence us or that nobody can read (F16-F18)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, GARBLED_RESPONSES, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
ANSWERS = range(len(GARBLED_RESPONSES))
BAN_SECONDS = 10


@pytest.mark.parametrize("retry_after", [30, 0])
def test_f16_after_429_only_protection_and_reading_go_on(harness: FaultHarness, retry_after: int) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.RATE_LIMITED, STOP, value=retry_after)
    harness.fill()
    harness.wait_protected()
    harness.wait_verdict("kept for protection")
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


def test_f17_during_a_ban_nothing_is_sent_and_the_stop_rests(harness: FaultHarness) -> None:
    harness.open_position()
    ban = Fault(FaultKind.BANNED, times=FOREVER, value=BAN_SECONDS)
    harness.exchange.inject(ban)
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the account would be read after it
    wait_until(lambda: ban.times < FOREVER, 5, "the ban is met")
    time.sleep(2)  # what was under way has met it too
    met, ends_at = ban.times, time.monotonic() + BAN_SECONDS
    harness.shift("-3")
    wait_until(lambda: not harness.position, 1, "the resting stop closes")
    time.sleep(3)
    assert ban.times == met, "it asked during the ban"
    harness.exchange.clear_faults()
    wait_until(lambda: time.monotonic() > ends_at, BAN_SECONDS, "the ban has ended")
    harness.measure("close recorded after the ban", lambda: harness.recorded_position() == 0, 10)
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


@pytest.mark.parametrize("answer", ANSWERS)
def test_f18_an_entry_answered_by_nonsense_is_found_and_protected(harness: FaultHarness, answer: int) -> None:
    harness.inject(FaultKind.GARBLED, ENTRY, value=answer)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


@pytest.mark.parametrize("answer", ANSWERS)
def test_f18_a_stop_answered_by_nonsense_protects_all_the_same(harness: FaultHarness, answer: int) -> None:
    harness.inject(FaultKind.GARBLED, STOP, value=answer)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) <= 2
    harness.check_consistency()


@pytest.mark.parametrize("path", ["positionRisk", "openOrders"])
def test_f18_a_reading_that_is_nonsense_is_never_taken_for_flat(harness: FaultHarness, path: str) -> None:
    harness.open_position()
    held = harness.position
    for answer in ANSWERS:
        harness.inject(FaultKind.GARBLED, path=path, method="GET", value=answer)
        harness.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
        wait_until(lambda: not harness.exchange.faults.pending(), 20, "the account is read")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "it trades again")
    assert harness.position == harness.recorded_position() == held
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.check_consistency()
