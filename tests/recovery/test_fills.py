"""An entry fills, and the process ends before all of it is protected (C7-C11, C13, C14)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.rig import wait_until
from tests.recovery.lives import in_turn
from tests.recovery.rig import REQUEST_WRITTEN, Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
AFTER_THE_FILL = {
    "C7 fill read, before its commit": Crash(Point.FILL_READ, ENTRY),
    "C8 fill booked, before the stop": Crash(Point.FILL_BOOKED, ENTRY),
    "C9 stop committed, before sending": Crash(Point.ORDER_COMMITTED, STOP),
    "C10 stop sent, before its answer": Crash(REQUEST_WRITTEN, STOP),
    "C11 stop acknowledged, before its commit": Crash(Point.ANSWERED, STOP),
    "C13 between stop and take profit": Crash(Point.ORDER_COMMITTED, TAKE),
    "C13 take profit sent, before its answer": Crash(REQUEST_WRITTEN, TAKE),
}


@in_turn("crash", AFTER_THE_FILL)
def test_what_has_filled_is_stopped_by_the_next_start(stage: Stage, crash: Crash) -> None:
    stage.start()
    stage.hunt()
    stage.arm(crash)
    stage.fill()
    stage.wait_dead()
    stage.start()
    stage.wait_protected(20)
    stage.check_recovered()


def test_c14_the_second_fill_is_on_its_way(stage: Stage) -> None:
    stage.start()
    stage.hunt()
    stage.arm(Crash(Point.FILL_READ, ENTRY, passing=2))
    stage.fill_in_part("0.003")
    wait_until(lambda: stage.orders(OrderRole.STOP_LOSS), 10, "the part is stopped")
    stage.fill()
    stage.wait_dead()
    stage.start()
    stage.wait_protected(20)
    stage.check_recovered()


def test_c14_a_part_has_filled_and_the_rest_fills_while_nobody_looks(stage: Stage) -> None:
    stage.start()
    stage.hunt()
    stage.arm(Crash(Point.FILL_BOOKED, ENTRY))
    stage.fill_in_part("0.003")
    stage.wait_dead()
    stage.fill()
    stage.start()
    stage.wait_protected(20)
    stage.check_recovered()
