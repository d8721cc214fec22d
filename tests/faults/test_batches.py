"""Orders that share a request: one rejected, the response lost, the whole rejected (F55, F56, F58)."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.utils.auth import ApiVersion
from tests.builders import a_liquidation
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
BATCH = "batchOrders"
_ATTEMPTS = 20
with_key = pytest.mark.parametrize("scheme", [ApiVersion.V1])
with_wallet = pytest.mark.parametrize("scheme", [ApiVersion.V3])


def started(make_harness: MakeHarness) -> FaultHarness:
    return make_harness({"hedge_mode": True, "batch_orders": True}).start()


def wait_decided(harness: FaultHarness, count: int) -> None:
    wait_until(lambda: len(harness.verdicts()) >= count, 10, "the decisions")


def wait_status(harness: FaultHarness, entries: list[str], *expected: str, seconds: float = 15) -> None:
    """Wait until the recorded statuses of the orders are these."""
    wait_until(lambda: sorted(map(harness.status, entries)) == sorted(expected), seconds, f"{expected}")


def trigger_two_entries(harness: FaultHarness) -> list[str]:
    """Liquidate longs and shorts in the same instant; returns the client order ids of both entries."""
    before = set(harness.received_orders(ENTRY))
    for _ in range(_ATTEMPTS):
        harness.move(harness.mid_price)
        now_ms, decided = harness.exchange.now_ms(), len(harness.verdicts())
        longs = a_liquidation(75_000, average_price=harness.mid_price, received_at=now_ms)
        longs = replace(longs, traded_at=now_ms, event_at=now_ms)
        harness.bot._event_queue.put_all([longs, replace(longs, side=Side.BUY)])
        wait_decided(harness, decided + 2)
        if harness.decided_entries() >= len(before) + 2:
            wait_until(lambda: len(set(harness.received_orders(ENTRY)) - before) == 2, 10, "two entries")
            return sorted(set(harness.received_orders(ENTRY)) - before)
    raise AssertionError(f"no entries: {harness.verdicts()[-2:]}")


def count_batches(harness: FaultHarness, method: str) -> Fault:
    """A fault without an effect, which counts the batches from now on."""
    counter = Fault(FaultKind.DELAY, path=BATCH, method=method, times=FOREVER)
    harness.exchange.inject(counter)
    return counter


def times(counter: Fault) -> int:
    return FOREVER - counter.times


def fill_long(harness: FaultHarness) -> None:
    harness.fill()
    wait_until(lambda: len(harness.orders(STOP)) == 1, 10, "a stop loss")


@with_key
def test_f55_one_rejected_order_of_a_batch_leaves_the_other_open(make_harness: MakeHarness) -> None:
    harness = started(make_harness)
    batches = count_batches(harness, "POST")
    harness.inject(FaultKind.REJECTED, ENTRY, value=2019)
    entries = trigger_two_entries(harness)
    wait_status(harness, entries, "NEW", "REJECTED")
    assert times(batches) == 1
    [left] = harness.orders(ENTRY)
    harness.shift("-0.1" if left.side is Side.BUY else "0.1")
    wait_until(lambda: len(harness.orders(STOP)) == 1, 10, "a stop loss")
    assert set(harness.received_orders(ENTRY).values()) == {1}
    harness.check_consistency()


@with_wallet
def test_f56_lost_response_leaves_each_order_of_a_batch_to_be_found(make_harness: MakeHarness) -> None:
    """Of the entries, of their cancels, and of a batch that never arrived."""
    harness = started(make_harness)
    for kind in (FaultKind.UNKNOWN_OUTCOME, FaultKind.DROPPED_REPLY):
        harness.inject(kind, path=BATCH, method="POST")
        entries = trigger_two_entries(harness)
        wait_status(harness, entries, "NEW", "NEW")
        harness.inject(kind, path=BATCH, method="DELETE")
        cancels = count_batches(harness, "DELETE")
        harness.send_command(OperatorAction.HALT)
        wait_status(harness, entries, "CANCELED", "CANCELED")
        assert times(cancels) == 1
        harness.exchange.clear_faults()
        harness.resume()
        wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 10, "trading resumes")
    harness.inject(FaultKind.UNAVAILABLE, path=BATCH, method="POST")
    entries = trigger_two_entries(harness)
    harness.measure("considered lost after", lambda: set(map(harness.status, entries)) == {"REJECTED"}, 30)
    trigger_two_entries(harness)
    fill_long(harness)
    assert set(harness.received_orders(ENTRY).values()) == {1}
    harness.check_consistency()


@with_key
def test_f58_batch_rejected_as_a_whole_is_followed_by_single_orders(make_harness: MakeHarness) -> None:
    harness = started(make_harness)
    batches = count_batches(harness, "POST")
    harness.inject(FaultKind.REJECTED, path=BATCH, method="POST", value=4082)
    entries = trigger_two_entries(harness)
    wait_status(harness, entries, "REJECTED", "REJECTED")
    entries = trigger_two_entries(harness)
    wait_status(harness, entries, "NEW", "NEW")
    assert times(batches) == 1
    fill_long(harness)
    assert set(harness.received_orders(ENTRY).values()) == {1}
    harness.check_consistency()


@with_wallet
def test_take_profits_of_several_positions_leave_in_one_request_and_stops_alone(make_harness: MakeHarness) -> None:
    harness = started(make_harness)
    trigger_two_entries(harness)
    fill_long(harness)
    harness.shift("0.3")
    wait_until(lambda: len(harness.orders(STOP)) == len(harness.orders(OrderRole.TAKE_PROFIT)) == 2, 10, "protection")
    batches = count_batches(harness, "POST")
    harness.change_settings(take_profit_pct=3)
    above, below = Decimal("1.02"), Decimal("0.98")

    def has_new_targets() -> bool:
        prices = sorted(order.stop_price / harness.mid_price for order in harness.orders(OrderRole.TAKE_PROFIT))
        return len(prices) == 2 and prices[0] < below and prices[1] > above

    wait_until(has_new_targets, 15, "both take profits are replaced")
    assert times(batches) == 1
    assert len(harness.received_orders(STOP)) == 2
    harness.check_consistency()
