"""Cancels that are rejected repeatedly: five attempts, one alert, then slow retries."""

from src.domain.commands import CancelOrder, Command, OperatorAction, QueryOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import CancelRejected, Task, TaskDue
from src.domain.orders import OrderRequest
from tests.core.harness import Harness

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
SLOWLY_MS = 30_000


def refuse_cancel(harness: Harness, request: OrderRequest) -> list[Command]:
    """The exchange rejects the cancel, and a query two seconds later shows the order open."""
    harness.feed(CancelRejected(request.symbol, request.client_order_id, -1008, "overloaded", harness.now))
    harness.clock.advance(2_000)
    return harness.accept(request)


def refuse_five(harness: Harness, request: OrderRequest) -> None:
    for _ in range(4):
        assert refuse_cancel(harness, request) == [CancelOrder(request.symbol, request.client_order_id)]
    assert refuse_cancel(harness, request) == []


def alarms(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if "cannot be cancelled" in each["message"]]


def resting_entry(harness: Harness) -> OrderRequest:
    """An entry that the operator cancelled."""
    entry = harness.enter()
    harness.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    return entry


def test_fifth_rejection_alerts_once_and_slows_retries(harness: Harness) -> None:
    entry = resting_entry(harness)
    refuse_five(harness, entry)
    assert alarms(harness) == [
        f"ENTRY {entry.client_order_id} of BTCUSDT cannot be cancelled (5 attempts) "
        "and is still open: overloaded (-1008). Cancel it on the exchange's site; the bot keeps retrying"
    ]
    harness.wait(SLOWLY_MS - 3_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert len(harness.cancelled()) == 5
    harness.wait(3_000)
    assert len(harness.cancelled()) == 6
    assert refuse_cancel(harness, entry) == []
    harness.wait(SLOWLY_MS)
    assert len(harness.cancelled()) == 7
    assert len(alarms(harness)) == 1


def test_uncancelled_entry_counts_and_its_fill_is_protected(harness: Harness) -> None:
    entry = resting_entry(harness)
    refuse_five(harness, entry)
    harness.liquidate()
    assert harness.submitted(ENTRY) == [entry]
    harness.fill(entry)
    assert len(harness.submitted(STOP)) == 1


def test_operator_cancel_is_not_delayed(harness: Harness) -> None:
    entry = resting_entry(harness)
    refuse_five(harness, entry)
    harness.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    assert len(harness.cancelled()) == 6
    harness.end_order(entry)
    harness.wait(2 * SLOWLY_MS)
    assert len(harness.cancelled()) == 6
    assert harness.order(entry).status is OrderStatus.CANCELED


def test_halt_retries_cancel_slowly(harness: Harness) -> None:
    entry = harness.enter()
    harness.command(OperatorAction.HALT)
    refuse_five(harness, entry)
    harness.wait(SLOWLY_MS - 3_000)
    assert len(harness.cancelled()) == 5
    harness.command(OperatorAction.HALT)
    assert len(harness.cancelled()) == 6
    assert refuse_cancel(harness, entry) == []
    harness.wait(SLOWLY_MS)
    assert len(harness.cancelled()) == 7
    assert len(alarms(harness)) == 1


def test_unanswered_cancel_is_queried_after_five_seconds(harness: Harness) -> None:
    entry = resting_entry(harness)
    harness.wait(4_000)
    assert harness.commands_of(QueryOrder) == []
    harness.wait(1_000)
    assert harness.commands_of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    assert harness.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_orphaned_protection_is_cancelled_slowly(harness: Harness) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    harness.fill(stop)
    harness.audit()
    journaled = len(harness.journal("protection"))
    for _ in range(5):
        refuse_cancel(harness, take)
        harness.audit()
    assert harness.cancelled().count(take.client_order_id) == 5
    harness.wait(SLOWLY_MS - 5_000)
    assert harness.cancelled().count(take.client_order_id) == 5
    harness.wait(5_000)
    assert harness.cancelled().count(take.client_order_id) == 6
    assert len(alarms(harness)) == 1
    assert len(harness.journal("protection")) == journaled


def test_cancel_attempts_of_closed_orders_are_dropped(harness: Harness) -> None:
    entry = resting_entry(harness)
    assert entry.client_order_id in harness.context.cancel_attempts
    harness.end_order(entry)
    harness.wait(16 * 60_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert harness.context.cancel_attempts == {}
