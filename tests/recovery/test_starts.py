"""A start that is ended at each of its steps is begun anew, and recovers all the same (C21)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole, Side
from tests.faults.rig import wait_until
from tests.recovery.conftest import MakeStage
from tests.recovery.lives import in_turn
from tests.recovery.rig import Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value
STEPS = {
    "R3 private stream open": Crash(Point.STREAM_UP, "private"),
    "R4 account half read": Crash(Point.SNAPSHOT_HALF_READ),
    "R5 journal read": Crash(Point.BOOKS_LOADED),
    "R6 asking for an order": Crash(Point.SENDING, "QueryOrder"),
    "R7 asking for trades": Crash(Point.SENDING, "FetchFills"),
    "R8 positions compared": Crash(Point.RECONCILED),
    "R9 stop decided": Crash(Point.ORDER_WRITTEN, STOP),
    "R9 stop answered": Crash(Point.ANSWERED, STOP),
    "R11 missed trade read": Crash(Point.FILL_READ, ENTRY),
    "R12 start over": Crash(Point.STARTED),
    "R12 reading the account again": Crash(Point.SENDING, "TakeSnapshot", passing=2),
}


@in_turn("crash", STEPS)
def test_a_start_that_was_ended_is_begun_anew(make_stage: MakeStage, crash: Crash) -> None:
    stage = make_stage(globals={"cooldown_sec": 0}).start()
    stage.open_position()
    stage.shift("-0.8")
    stage.hunt()
    stage.kill()
    grow_without_a_stop(stage)
    entries = len(stage.arrived(OrderRole.ENTRY))
    stage.arm(crash)
    stage.launch()
    stage.wait_dead()
    stage.start()
    wait_until(lambda: len(stage.orders(OrderRole.STOP_LOSS)) == 1, 20, "one stop")
    stage.check_recovered(entries=entries)


def test_c21_r10_the_position_is_gone_and_the_sweep_is_ended(stage: Stage) -> None:
    stage.start()
    stage.open_position()
    stage.kill()
    stage.trade_by_hand(Side.SELL, str(stage.position))
    stage.arm(Crash(Point.SWEEPING))
    stage.launch()
    stage.wait_dead()
    stage.start()
    wait_until(lambda: not stage.orders(), 20, "no order is left")
    stage.check_recovered()


def grow_without_a_stop(stage: Stage) -> None:
    """Nobody looks: an entry fills, and the stop is taken away."""
    stage.fill()
    [stop] = stage.orders(OrderRole.STOP_LOSS)
    stage.cancel_by_hand(stop.client_order_id)
