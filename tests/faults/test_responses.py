"""Rate limits, bans and garbled responses (F16-F18)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, GARBLED_RESPONSES, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
RESPONSES = range(len(GARBLED_RESPONSES))
BAN_SECONDS = 10


@pytest.mark.parametrize("retry_after", [30, 0])
def test_f16_only_protection_and_reads_continue_after_429(harness: FaultHarness, retry_after: int) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.RATE_LIMITED, STOP, value=retry_after)
    harness.fill()
    harness.wait_protected()
    harness.wait_verdict("reserved for protection")
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


def test_f17_nothing_is_sent_during_a_ban(harness: FaultHarness) -> None:
    harness.open_position()
    ban = Fault(FaultKind.BANNED, times=FOREVER, value=BAN_SECONDS)
    harness.exchange.inject(ban)
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the bot would read the account afterwards
    wait_until(lambda: ban.times < FOREVER, 5, "the ban has started")
    time.sleep(2)  # requests in flight are banned too
    banned, ends_at = ban.times, time.monotonic() + BAN_SECONDS
    harness.shift("-3")
    wait_until(lambda: not harness.position, 1, "the stop closes the position")
    time.sleep(3)
    assert ban.times == banned, "a request was sent during the ban"
    harness.exchange.clear_faults()
    wait_until(lambda: time.monotonic() > ends_at, BAN_SECONDS, "the ban has ended")
    harness.measure("close recorded after the ban", lambda: harness.recorded_position() == 0, 10)
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


@pytest.mark.parametrize("response", RESPONSES)
def test_f18_entry_with_a_garbled_response_is_protected(harness: FaultHarness, response: int) -> None:
    harness.inject(FaultKind.GARBLED, ENTRY, value=response)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


@pytest.mark.parametrize("response", RESPONSES)
def test_f18_stop_with_a_garbled_response_protects(harness: FaultHarness, response: int) -> None:
    harness.inject(FaultKind.GARBLED, STOP, value=response)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) <= 2
    harness.check_consistency()


@pytest.mark.parametrize("path", ["positionRisk", "openOrders"])
def test_f18_garbled_read_never_counts_as_flat(harness: FaultHarness, path: str) -> None:
    harness.open_position()
    held = harness.position
    for response in RESPONSES:
        harness.inject(FaultKind.GARBLED, path=path, method="GET", value=response)
        harness.inject(FaultKind.STREAM_CUT, path="user")  # the bot reads the account afterwards
        wait_until(lambda: not harness.exchange.faults.pending(), 20, "the account is read")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "trading resumes")
    assert harness.position == harness.recorded_position() == held
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.check_consistency()
