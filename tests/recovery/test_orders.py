"""The process is killed while an entry is sent, or after its fill before the position is protected."""

from contextlib import suppress

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole, Side
from src.utils.auth import ApiVersion
from tests.faults.harness import SYMBOL, D, wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup, with_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
AFTER_FILL = {
    "fill read, before its commit": Crash(Point.FILL_READ, ENTRY),
    "fill recorded, before the stop": Crash(Point.FILL_RECORDED, ENTRY),
    "stop committed, before sending": Crash(Point.ORDER_COMMITTED, STOP),
    "stop sent, before its response": Crash(REQUEST_WRITTEN, STOP),
    "stop acknowledged, before its commit": Crash(Point.ANSWERED, STOP),
    "between stop and take profit": Crash(Point.ORDER_COMMITTED, TAKE),
    "take profit sent, before its response": Crash(REQUEST_WRITTEN, TAKE),
}


@each_setup("crash", AFTER_FILL)
def test_filled_entry_is_protected_by_the_next_start(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(crash)
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


def test_kill_at_the_second_fill_is_recovered(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.FILL_READ, ENTRY, passing=2))
    harness.fill_partly("0.003")
    wait_until(lambda: harness.orders(OrderRole.STOP_LOSS), 10, "the partial fill is protected")
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


def test_rest_filled_while_down_is_protected(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.FILL_RECORDED, ENTRY))
    harness.fill_partly("0.003")
    harness.wait_exited()
    harness.fill()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


ENTRY_POINTS = {
    "decided, nothing written": Crash(Point.ORDER_DECIDED, ENTRY),
    "before the commit": Crash(Point.ORDER_WRITTEN, ENTRY),
    "after the commit, before sending": Crash(Point.ORDER_COMMITTED, ENTRY),
    "before the first byte": Crash(Point.SENDING, ENTRY),
    "before the response": Crash(REQUEST_WRITTEN, ENTRY),
    "after the response, before its commit": Crash(Point.ANSWERED, ENTRY),
}


@each_setup("crash", ENTRY_POINTS)
def test_entry_is_never_sent_twice(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.arm(crash)
    harness.trigger_crash()
    harness.wait_exited()
    harness.fill()  # while the bot is down
    harness.start()
    harness.check_recovered()


def trigger_batch_crash(harness: BotHarness) -> None:
    """Liquidate longs and shorts behind a small liquidation, so that the trader decides on both at once."""
    for _ in range(50):
        harness.move(harness.mid_price)
        with harness.exchange.lock:
            for side, quantity in ((Side.SELL, "0.001"), (Side.SELL, "1.5"), (Side.BUY, "1.5")):
                harness.exchange.liquidate(SYMBOL, side, D(quantity))
        with suppress(AssertionError):
            wait_until(lambda: harness.has_crashed, 1)
            return
    raise AssertionError(f"no batch was sent: {harness.verdicts()[-3:]} {harness.output[-3_000:]}")


@pytest.mark.parametrize("point", [REQUEST_WRITTEN, Point.ANSWERED], ids=["before the response", "before its commit"])
@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_f57_each_order_of_a_batch_is_found_after_a_kill(make_harness: MakeHarness, point: Point | str) -> None:
    changes = {"hedge_mode": True, "batch_orders": True, "cooldown_sec": 0, "order_ttl_seconds": 600}
    harness = make_harness(globals=changes)
    harness.start()
    harness.arm(Crash(point, f"batch {ENTRY}"))
    trigger_batch_crash(harness)
    harness.wait_exited()
    entries = harness.received_orders(OrderRole.ENTRY)
    assert len(entries) >= 2
    harness.start()
    harness.fill()
    wait_until(lambda: harness.orders(OrderRole.STOP_LOSS), 20, "a stop loss")
    harness.check_recovered(entries=len(entries))
