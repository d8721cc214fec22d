"""A position grows, or is left, and the process ends meanwhile (C12, C15-C18)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.harness import wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
GROWING = {
    "C15 second entry booked, stop not moved": Crash(Point.FILL_RECORDED, ENTRY),
    "C12 between the new stop and the end of the old": Crash(Point.SENDING, f"cancel {STOP}"),
    "C12 the old stop's end is sent": Crash(REQUEST_WRITTEN, f"cancel {STOP}"),
}
LEAVING = {
    "C16 exit sent, before its answer": Crash(REQUEST_WRITTEN, OrderRole.CLOSE.value),
    "C16 exit answered, before its commit": Crash(Point.ANSWERED, OrderRole.CLOSE.value),
    "C17 exit filled, before the sweep": Crash(Point.SWEEPING),
    "C18 in the middle of the sweep": Crash(Point.SENDING, f"cancel {TAKE}"),
}


@each_setup("crash", GROWING)
def test_a_position_that_grew_has_one_stop_at_its_new_price(make_harness: MakeHarness, crash: Crash) -> None:
    harness = make_harness(globals={"cooldown_sec": 0}).start()
    harness.open_position()
    harness.shift("-0.8")
    [old] = harness.orders(OrderRole.STOP_LOSS)
    harness.trigger_entry()
    entries = len(harness.received_orders(OrderRole.ENTRY))
    harness.arm(crash)
    harness.fill()
    harness.wait_exited()
    harness.start()
    wait_until(
        lambda: [old.stop_price] != [each.stop_price for each in harness.orders(OrderRole.STOP_LOSS)], 20, "moved"
    )
    wait_until(lambda: len(harness.orders(OrderRole.STOP_LOSS)) == 1, 20, "one stop")
    harness.check_recovered(entries=entries)


@each_setup("crash", LEAVING)
def test_a_position_is_left_once_and_nothing_stays_behind(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.open_position()
    harness.arm(crash)
    harness.close_position()
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.position and not harness.orders(), 20, "flat, and no order is left")
    harness.check_recovered()


def test_c17_the_stop_has_fired_and_the_take_profit_is_left(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    harness.arm(Crash(Point.SWEEPING))
    harness.shift("-3")
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.orders(), 20, "no order is left")
    harness.check_recovered()
