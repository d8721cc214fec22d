"""An entry fills, and the process ends before all of it is protected (C7-C11, C13, C14)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.harness import wait_until
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
AFTER_THE_FILL = {
    "C7 fill read, before its commit": Crash(Point.FILL_READ, ENTRY),
    "C8 fill booked, before the stop": Crash(Point.FILL_RECORDED, ENTRY),
    "C9 stop committed, before sending": Crash(Point.ORDER_COMMITTED, STOP),
    "C10 stop sent, before its answer": Crash(REQUEST_WRITTEN, STOP),
    "C11 stop acknowledged, before its commit": Crash(Point.ANSWERED, STOP),
    "C13 between stop and take profit": Crash(Point.ORDER_COMMITTED, TAKE),
    "C13 take profit sent, before its answer": Crash(REQUEST_WRITTEN, TAKE),
}


@each_setup("crash", AFTER_THE_FILL)
def test_what_has_filled_is_stopped_by_the_next_start(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(crash)
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


def test_c14_the_second_fill_is_on_its_way(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.FILL_READ, ENTRY, passing=2))
    harness.fill_partly("0.003")
    wait_until(lambda: harness.orders(OrderRole.STOP_LOSS), 10, "the part is stopped")
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


def test_c14_a_part_has_filled_and_the_rest_fills_while_nobody_looks(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.FILL_RECORDED, ENTRY))
    harness.fill_partly("0.003")
    harness.wait_exited()
    harness.fill()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


ON_THE_WAY = {
    "C1 accepted, nothing written": Crash(Point.ORDER_DECIDED, ENTRY),
    "C2 before the commit": Crash(Point.ORDER_WRITTEN, ENTRY),
    "C3 after the commit, before sending": Crash(Point.ORDER_COMMITTED, ENTRY),
    "C4 before the first byte": Crash(Point.SENDING, ENTRY),
    "C5 before the answer": Crash(REQUEST_WRITTEN, ENTRY),
    "C6 after the answer, before its commit": Crash(Point.ANSWERED, ENTRY),
}


@each_setup("crash", ON_THE_WAY)
def test_an_entry_on_its_way_is_never_sent_twice(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.arm(crash)
    harness.trigger_crash()
    harness.wait_exited()
    harness.fill()  # while nobody looks
    harness.start()
    harness.check_recovered()
