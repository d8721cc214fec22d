"""A position grows, or is left, and the process ends meanwhile (C12, C15-C18)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.rig import wait_until
from tests.recovery.conftest import MakeStage
from tests.recovery.lives import in_turn
from tests.recovery.rig import REQUEST_WRITTEN, Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
GROWING = {
    "C15 second entry booked, stop not moved": Crash(Point.FILL_BOOKED, ENTRY),
    "C12 between the new stop and the end of the old": Crash(Point.SENDING, f"cancel {STOP}"),
    "C12 the old stop's end is sent": Crash(REQUEST_WRITTEN, f"cancel {STOP}"),
}
LEAVING = {
    "C16 exit sent, before its answer": Crash(REQUEST_WRITTEN, OrderRole.CLOSE.value),
    "C16 exit answered, before its commit": Crash(Point.ANSWERED, OrderRole.CLOSE.value),
    "C17 exit filled, before the sweep": Crash(Point.SWEEPING),
    "C18 in the middle of the sweep": Crash(Point.SENDING, f"cancel {TAKE}"),
}


@in_turn("crash", GROWING)
def test_a_position_that_grew_has_one_stop_at_its_new_price(make_stage: MakeStage, crash: Crash) -> None:
    stage = make_stage(globals={"cooldown_sec": 0}).start()
    stage.open_position()
    stage.shift("-0.8")
    [old] = stage.orders(OrderRole.STOP_LOSS)
    stage.hunt()
    entries = len(stage.arrived(OrderRole.ENTRY))
    stage.arm(crash)
    stage.fill()
    stage.wait_dead()
    stage.start()
    wait_until(lambda: [old.stop_price] != [each.stop_price for each in stage.orders(OrderRole.STOP_LOSS)], 20, "moved")
    wait_until(lambda: len(stage.orders(OrderRole.STOP_LOSS)) == 1, 20, "one stop")
    stage.check_recovered(entries=entries)


@in_turn("crash", LEAVING)
def test_a_position_is_left_once_and_nothing_stays_behind(stage: Stage, crash: Crash) -> None:
    stage.start()
    stage.open_position()
    stage.arm(crash)
    stage.close_position()
    stage.wait_dead()
    stage.start()
    wait_until(lambda: not stage.position and not stage.orders(), 20, "flat, and no order is left")
    stage.check_recovered()


def test_c17_the_stop_has_fired_and_the_take_profit_is_left(stage: Stage) -> None:
    stage.start()
    stage.open_position()
    stage.arm(Crash(Point.SWEEPING))
    stage.shift("-3")
    stage.wait_dead()
    stage.start()
    wait_until(lambda: not stage.orders(), 20, "no order is left")
    stage.check_recovered()
