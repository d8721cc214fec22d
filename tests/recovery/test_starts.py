"""A start that is ended at each of its steps is begun anew, and recovers all the same (C21)."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole, Side
from tests.faults.harness import wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value
STEPS = {
    "R3 private stream open": Crash(Point.STREAM_UP, "user"),
    "R4 account half read": Crash(Point.SNAPSHOT_HALF_READ),
    "R5 journal read": Crash(Point.PORTFOLIO_LOADED),
    "R6 asking for an order": Crash(Point.SENDING, "QueryOrder"),
    "R7 asking for trades": Crash(Point.SENDING, "FetchFills"),
    "R8 positions compared": Crash(Point.RECONCILED),
    "R9 stop decided": Crash(Point.ORDER_WRITTEN, STOP),
    "R9 stop answered": Crash(Point.ANSWERED, STOP),
    "R11 missed trade read": Crash(Point.FILL_READ, ENTRY),
    "R12 start over": Crash(Point.STARTED),
    "R12 reading the account again": Crash(Point.SENDING, "TakeSnapshot", passing=2),
}


@each_setup("crash", STEPS)
def test_a_start_that_was_ended_is_begun_anew(make_harness: MakeHarness, crash: Crash) -> None:
    harness = make_harness(globals={"cooldown_sec": 0}).start()
    harness.open_position()
    harness.shift("-0.8")
    harness.trigger_entry()
    harness.kill()
    grow_without_a_stop(harness)
    entries = len(harness.received_orders(OrderRole.ENTRY))
    harness.arm(crash)
    harness.launch()
    harness.wait_exited()
    harness.start()
    wait_until(lambda: len(harness.orders(OrderRole.STOP_LOSS)) == 1, 20, "one stop")
    harness.check_recovered(entries=entries)


def test_c21_r10_the_position_is_gone_and_the_sweep_is_ended(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    harness.kill()
    harness.trade_manually(Side.SELL, str(harness.position))
    harness.arm(Crash(Point.SWEEPING))
    harness.launch()
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.orders(), 20, "no order is left")
    harness.check_recovered()


def grow_without_a_stop(harness: BotHarness) -> None:
    """Nobody looks: an entry fills, and the stop is taken away."""
    harness.fill()
    [stop] = harness.orders(OrderRole.STOP_LOSS)
    harness.cancel_manually(stop.client_order_id)
