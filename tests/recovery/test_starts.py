"""The bot is killed at each step of its start; the next start recovers."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole, Side
from tests.faults.harness import wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value
STEPS = {
    "user data stream open": Crash(Point.STREAM_UP, "user"),
    "account partly read": Crash(Point.SNAPSHOT_HALF_READ),
    "portfolio loaded": Crash(Point.PORTFOLIO_LOADED),
    "querying an order": Crash(Point.SENDING, "QueryOrder"),
    "requesting fills": Crash(Point.SENDING, "FetchFills"),
    "positions reconciled": Crash(Point.RECONCILED),
    "stop decided": Crash(Point.ORDER_WRITTEN, STOP),
    "stop acknowledged": Crash(Point.ANSWERED, STOP),
    "missed fill read": Crash(Point.FILL_READ, ENTRY),
    "start finished": Crash(Point.STARTED),
    "reading the account again": Crash(Point.SENDING, "TakeSnapshot", passing=2),
}


@each_setup("crash", STEPS)
def test_killed_start_is_repeated(make_harness: MakeHarness, crash: Crash) -> None:
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


def test_kill_while_cancelling_leftover_orders_is_recovered(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    harness.kill()
    harness.trade_manually(Side.SELL, str(harness.position))
    harness.arm(Crash(Point.SWEEPING))
    harness.launch()
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.orders(), 20, "no open orders")
    wait_until(lambda: harness.recorded_net() == harness.net(), 60, "the result is taken from the income history")
    harness.check_recovered()


def grow_without_a_stop(harness: BotHarness) -> None:
    """While the bot is down an entry fills, and the stop is cancelled."""
    harness.fill()
    [stop] = harness.orders(OrderRole.STOP_LOSS)
    harness.cancel_manually(stop.client_order_id)
