"""The process is killed while an entry is sent, or after its fill before the position is protected."""

import pytest

from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.harness import wait_until
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup

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
