"""The system clock is wrong, or is set while the bot runs (F15)."""

import time

import pytest

from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

HOUR_MS = 3_600_000


def has_clock_error(harness: FaultHarness) -> bool:
    return harness.trading_status()[0] == "REDUCE_ONLY" and "clock is" in harness.trading_status()[1]


def is_active(harness: FaultHarness) -> bool:
    return harness.trading_status()[0] == "ACTIVE"


@pytest.mark.parametrize("ahead_ms", [5_000, -5_000])
def test_f15_wrong_clock_blocks_entries_until_corrected(make_harness: MakeHarness, ahead_ms: int) -> None:
    harness = make_harness()
    harness.clock.ahead_ms = ahead_ms
    harness.launch()
    harness.measure("entries blocked", lambda: has_clock_error(harness), 15)
    harness.clock.ahead_ms = 0
    wait_until(lambda: is_active(harness), 40, "the clock is right again")
    harness.open_position()
    harness.check_consistency()


def test_f15_clock_set_back_extends_no_cooldown(make_harness: MakeHarness) -> None:
    harness = make_harness({"cooldown_sec": 40, "order_ttl_seconds": 8}).start()
    first, sent_at = harness.trigger_entry(), time.monotonic()
    harness.clock.ahead_ms = -HOUR_MS
    harness.measure("entries blocked", lambda: has_clock_error(harness), 15)
    wait_until(lambda: harness.status(first) == "CANCELED", 20, "the entry expires")
    harness.clock.ahead_ms = 0
    wait_until(lambda: is_active(harness), 25, "the clock is right again")
    harness.wait_verdict("cooldown:", 5)
    wait_until(lambda: time.monotonic() - sent_at > 41, 45, "the cooldown is over")
    harness.open_position()
    harness.check_consistency()


def test_f15_clock_set_back_keeps_positions_protected(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.clock.ahead_ms = -HOUR_MS
    harness.fill()
    harness.wait_protected()
    harness.measure("entries blocked", lambda: has_clock_error(harness), 15)
    harness.shift("-3")
    wait_until(lambda: not harness.position and harness.recorded_position() == 0, 15, "the stop is recorded")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()
