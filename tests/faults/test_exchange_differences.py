"""The exchange is less regular than its documents: events, reports, maintenance, own orders (F49-F53)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
CLOSE = OrderRole.CLOSE
_READ_SECONDS = 6
"""Time for several reads of the account."""
_MAINTENANCE_SECONDS = 20


def trade_and_close(harness: FaultHarness) -> None:
    """Open a position, keep it while the account is read, and close it by one order."""
    harness.open_position()
    wait_until(lambda: harness.recorded_position() == harness.position, 5, "the position is recorded")
    time.sleep(_READ_SECONDS)
    assert harness.recorded_position() == harness.position
    assert (len(harness.orders(STOP)), len(harness.orders(TAKE))) == (1, 1)
    harness.close_position()
    wait_until(lambda: not harness.position, 10, "the position is closed")
    assert len(harness.received_orders(CLOSE)) == 1
    wait_until(lambda: not harness.orders(), 10, "no open orders")


@pytest.mark.parametrize(
    ("first", "skew_ms"),
    [(first, skew_ms) for first in ("order", "account") for skew_ms in (-50, -1, 1, 50)] + [("account", 0)],
)
def test_f49_order_and_stamps_of_the_two_events_change_nothing(harness: FaultHarness, first: str, skew_ms: int) -> None:
    if first == "account":
        harness.inject(FaultKind.ACCOUNT_EVENT_FIRST, times=FOREVER)
    if skew_ms:
        harness.inject(FaultKind.STAMPS_DIFFER, times=FOREVER, value=skew_ms)
    trade_and_close(harness)
    assert not [each for each in harness.alerts() if "position" in each], harness.alerts()
    harness.check_consistency()


@pytest.mark.parametrize(
    "kinds",
    [
        (FaultKind.POSITION_TIME_ZERO,),
        (FaultKind.POSITION_TIME_OF_ACCOUNT, FaultKind.STAMPS_DIFFER),
        (FaultKind.FLAT_OMITTED,),
    ],
    ids=lambda kinds: str(kinds[0]),
)
def test_f50_position_reports_without_times_or_flat_symbols(
    harness: FaultHarness, kinds: tuple[FaultKind, ...]
) -> None:
    for kind in kinds:
        harness.inject(kind, times=FOREVER)
    trade_and_close(harness)
    harness.check_consistency()


def test_f51_maintenance_ends_with_everything_as_it_was(harness: FaultHarness) -> None:
    harness.open_position()
    before = harness.orders(), harness.position
    received = len(harness.received_orders())
    harness.inject(FaultKind.MAINTENANCE, value=_MAINTENANCE_SECONDS)
    wait_until(lambda: harness.trading_status()[0] != "ACTIVE", 10, "entries are blocked")
    wait_until(lambda: not harness.exchange.is_in_maintenance(), _MAINTENANCE_SECONDS + 5, "the maintenance ends")
    harness.measure("trading after maintenance", lambda: harness.trading_status()[0] == "ACTIVE", 45)
    assert (harness.orders(), harness.position) == before
    assert len(harness.received_orders()) == received
    trade = len(harness.received_orders(ENTRY))
    harness.close_position()
    wait_until(lambda: not harness.position, 10, "the position is closed")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    assert len(harness.received_orders(ENTRY)) == trade
    harness.check_consistency()


@pytest.mark.parametrize("name", ["announcement", "STRATEGY_UPDATE"])
def test_f52_undocumented_user_events_change_nothing(harness: FaultHarness, name: str) -> None:
    harness.open_position()
    for _ in range(20):
        harness.inject(FaultKind.USER_EVENT, new=name)
    time.sleep(2)
    assert harness.trading_status()[0] == "ACTIVE"
    harness.close_position()
    wait_until(lambda: not harness.position, 10, "the position is closed")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


def test_f53_own_orders_in_the_book_change_nothing(harness: FaultHarness) -> None:
    harness.inject(FaultKind.OWN_ORDERS_IN_BOOK)
    trade_and_close(harness)
    harness.check_consistency()
