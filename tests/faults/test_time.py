"""A computer whose clock is wrong, or is set while the bot runs (F15)."""

import time

import pytest

from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

HOUR_MS = 3_600_000


def is_off(rig: Rig) -> bool:
    return rig.trading()[0] == "REDUCE_ONLY" and "clock is" in rig.trading()[1]


def trades(rig: Rig) -> bool:
    return rig.trading()[0] == "ACTIVE"


@pytest.mark.parametrize("ahead_ms", [5_000, -5_000])
def test_f15_a_clock_that_is_wrong_halts_entries_until_it_is_set_right(make_rig: MakeRig, ahead_ms: int) -> None:
    rig = make_rig()
    rig.machine.ahead_ms = ahead_ms
    rig.launch()
    rig.measure("entries halted", lambda: is_off(rig), 15)
    rig.machine.ahead_ms = 0
    wait_until(lambda: trades(rig), 40, "the clock is right again")
    rig.open_position()
    rig.check_books()


def test_f15_a_clock_set_back_an_hour_halts_entries_and_extends_nothing(make_rig: MakeRig) -> None:
    rig = make_rig({"cooldown_sec": 40, "order_ttl_seconds": 8}).start()
    first, asked_at = rig.hunt(), time.monotonic()
    rig.machine.ahead_ms = -HOUR_MS
    rig.measure("entries halted", lambda: is_off(rig), 15)
    wait_until(lambda: rig.status(first) == "CANCELED", 20, "an entry ends when its life is over")
    rig.machine.ahead_ms = 0
    wait_until(lambda: trades(rig), 25, "the clock is right again")
    rig.wait_verdict("cooling down", 5)
    wait_until(lambda: time.monotonic() - asked_at > 41, 45, "the cooldown is over")
    rig.open_position()
    rig.check_books()


def test_f15_a_clock_set_back_an_hour_with_a_position_leaves_it_protected(rig: Rig) -> None:
    rig.hunt()
    rig.machine.ahead_ms = -HOUR_MS
    rig.fill()
    rig.wait_protected()
    rig.measure("entries halted", lambda: is_off(rig), 15)
    rig.shift("-3")
    wait_until(lambda: not rig.position and rig.booked_position() == 0, 15, "the stop is booked")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()
