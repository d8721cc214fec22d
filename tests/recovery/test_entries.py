"""An entry is decided, and the process ends on its way (C1-C6): never sent twice, and what it fills is stopped."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.recovery.lives import in_turn
from tests.recovery.rig import REQUEST_WRITTEN, Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY = OrderRole.ENTRY.value
ON_THE_WAY = {
    "C1 accepted, nothing written": Crash(Point.ORDER_DECIDED, ENTRY),
    "C2 before the commit": Crash(Point.ORDER_WRITTEN, ENTRY),
    "C3 after the commit, before sending": Crash(Point.ORDER_COMMITTED, ENTRY),
    "C4 before the first byte": Crash(Point.SENDING, ENTRY),
    "C5 before the answer": Crash(REQUEST_WRITTEN, ENTRY),
    "C6 after the answer, before its commit": Crash(Point.ANSWERED, ENTRY),
}


@in_turn("crash", ON_THE_WAY)
def test_an_entry_on_its_way_is_never_sent_twice(stage: Stage, crash: Crash) -> None:
    stage.start()
    stage.arm(crash)
    stage.provoke()
    stage.wait_dead()
    stage.fill()  # while nobody looks
    stage.start()
    stage.check_recovered()
