"""The process is killed while a position grows or is closed."""

import pytest

from src.domain.commands import OperatorAction
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.faults.harness import wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP, TAKE = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value, OrderRole.TAKE_PROFIT.value
GROWING = {
    "second entry recorded, stop not moved": Crash(Point.FILL_RECORDED, ENTRY),
    "between the new stop and the cancel of the old one": Crash(Point.SENDING, f"cancel {STOP}"),
    "cancel of the old stop sent": Crash(REQUEST_WRITTEN, f"cancel {STOP}"),
}
CLOSING = {
    "exit sent, before its response": Crash(REQUEST_WRITTEN, OrderRole.CLOSE.value),
    "exit acknowledged, before its commit": Crash(Point.ANSWERED, OrderRole.CLOSE.value),
    "exit filled, before the cleanup": Crash(Point.SWEEPING),
    "during the cleanup": Crash(Point.SENDING, f"cancel {TAKE}"),
}


@each_setup("crash", GROWING)
def test_grown_position_has_one_stop_at_the_new_price(make_harness: MakeHarness, crash: Crash) -> None:
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


@each_setup("crash", CLOSING)
def test_position_is_closed_once_without_leftover_orders(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.open_position()
    harness.arm(crash)
    harness.close_position()
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.position and not harness.orders(), 20, "flat, no open orders")
    harness.check_recovered()


def test_take_profit_is_cancelled_after_a_stop_and_a_kill(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    harness.arm(Crash(Point.SWEEPING))
    harness.shift("-3")
    harness.wait_exited()
    harness.start()
    wait_until(lambda: not harness.orders(), 20, "no open orders")
    harness.check_recovered()


FLATTENING = {
    "before the cancel of the entry": Crash(Point.SENDING, f"cancel {ENTRY}"),
    "before the response to the cancel": Crash(REQUEST_WRITTEN, f"cancel {ENTRY}"),
}


@each_setup("crash", FLATTENING)
def test_flatten_is_carried_on_by_the_next_start(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 5)
    harness.arm(crash)
    harness.send_command(OperatorAction.FLATTEN)
    harness.wait_exited()
    harness.launch()
    wait_until(lambda: harness.is_alive and not harness.orders(), 90, "the entry is cancelled")
    harness.check_recovered()
    assert not harness.fills()


@each_setup("crash", {"before the cancel of the entry": FLATTENING["before the cancel of the entry"]})
def test_entry_that_fills_after_a_killed_flatten_is_closed(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 5)
    harness.arm(crash)
    harness.send_command(OperatorAction.FLATTEN)
    harness.wait_exited()
    harness.fill()  # while the bot is down
    assert harness.position
    harness.launch()
    wait_until(lambda: not harness.position and not harness.orders(), 90, "flat, no open orders")
    harness.check_recovered()
    assert len(harness.received_orders(OrderRole.CLOSE)) == 1
