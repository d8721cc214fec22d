"""Answers that silence us or that nobody can read (F16-F18)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, GARBLED_ANSWERS, Fault, FaultKind
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
ANSWERS = range(len(GARBLED_ANSWERS))
BAN_SECONDS = 10


@pytest.mark.parametrize("retry_after", [30, 0])
def test_f16_after_429_only_protection_and_reading_go_on(rig: Rig, retry_after: int) -> None:
    rig.hunt()
    rig.inject(FaultKind.RATE_LIMITED, STOP, value=retry_after)
    rig.fill()
    rig.wait_protected()
    rig.wait_verdict("kept for protection")
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books()


def test_f17_during_a_ban_nothing_is_sent_and_the_stop_rests(rig: Rig) -> None:
    rig.open_position()
    ban = Fault(FaultKind.BANNED, times=FOREVER, value=BAN_SECONDS)
    rig.exchange.inject(ban)
    rig.inject(FaultKind.STREAM_CUT, path="user")  # the account would be read after it
    wait_until(lambda: ban.times < FOREVER, 5, "the ban is met")
    time.sleep(2)  # what was under way has met it too
    met, ends_at = ban.times, time.monotonic() + BAN_SECONDS
    rig.shift("-3")
    wait_until(lambda: not rig.position, 1, "the resting stop closes")
    time.sleep(3)
    assert ban.times == met, "it asked during the ban"
    rig.exchange.clear_faults()
    wait_until(lambda: time.monotonic() > ends_at, BAN_SECONDS, "the ban has ended")
    rig.measure("known after the ban", lambda: rig.booked_position() == 0, 10)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


@pytest.mark.parametrize("answer", ANSWERS)
def test_f18_an_entry_answered_by_nonsense_is_found_and_protected(rig: Rig, answer: int) -> None:
    rig.inject(FaultKind.GARBLED, ENTRY, value=answer)
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books()


@pytest.mark.parametrize("answer", ANSWERS)
def test_f18_a_stop_answered_by_nonsense_protects_all_the_same(rig: Rig, answer: int) -> None:
    rig.inject(FaultKind.GARBLED, STOP, value=answer)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    assert len(rig.arrived(STOP)) <= 2
    rig.check_books()


@pytest.mark.parametrize("path", ["positionRisk", "openOrders"])
def test_f18_a_reading_that_is_nonsense_is_never_taken_for_flat(rig: Rig, path: str) -> None:
    rig.open_position()
    held = rig.position
    for answer in ANSWERS:
        rig.inject(FaultKind.GARBLED, path=path, method="GET", value=answer)
        rig.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
        wait_until(lambda: not rig.exchange.faults.waiting(), 20, "the account is read")
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 20, "it trades again")
    assert rig.position == rig.booked_position() == held
    assert len(rig.arrived(STOP)) == len(rig.orders(STOP)) == 1
    rig.check_books()
