"""Lost responses, rejections and unknown orders: queried, never sent again."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from src.core.events import OrderResponse
from src.domain.commands import CancelOrder, QueryOrder, TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.events import CancelRejected, FillsFetched, OrderUnresolved, Task, TaskDue
from src.domain.orders import OrderRequest
from tests.builders import a_position, a_request, an_update
from tests.core.harness import LONG, Harness
from tests.core.orders.test_lost_orders import a_lost_entry, not_found, read_history, report_not_found_repeatedly

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_lost_response_keeps_entry_pending_and_queries(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    assert harness.order(entry).status is OrderStatus.PENDING_NEW
    assert harness.commands_of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    harness.lose_response(entry)
    harness.wait(2000)
    assert len(harness.commands_of(QueryOrder)) == 2
    harness.liquidate()
    assert harness.verdicts() == [None, Gate.OPEN_ORDERS]
    assert harness.submitted() == [entry]


def test_lost_entry_found_open_is_restored(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    harness.accept(entry)
    assert harness.order(entry).status is OrderStatus.NEW
    harness.prices()
    harness.liquidate()
    assert harness.verdicts() == [None, None]


def test_snapshot_showing_order_keeps_it(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    harness.wait(11_000)
    for _ in range(3):
        not_found(harness, entry)
    shown = harness.update_for(entry)
    harness.clock.advance(10)
    harness.snapshot(open_orders=(shown,))
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.NEW


def test_lost_close_is_not_repeated_until_confirmed_absent(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    close = harness.last(CLOSE)
    harness.lose_response(close)
    shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
    for _ in range(6):
        harness.wait(2000)
        not_found(harness, close)
    assert harness.submitted(CLOSE) == [close]
    harness.snapshot(positions=(harness.report(),), open_orders=shown)
    read_history(harness)
    not_found(harness, close)
    assert len(harness.submitted(CLOSE)) == 2
    assert harness.cancelled() == []


def test_stale_entry_is_cancelled(harness: Harness) -> None:
    entry = harness.enter()
    harness.wait(29_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert harness.cancelled() == []
    harness.wait(1000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert harness.cancelled() == [entry.client_order_id]
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert len(harness.cancelled()) == 1
    harness.end_order(entry)
    harness.wait(16 * 60_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert harness.context.portfolio.orders == {}


def cancelled_entry(harness: Harness) -> OrderRequest:
    entry = harness.enter()
    harness.wait(30_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    return entry


def test_rejected_cancel_is_queried(harness: Harness) -> None:
    entry = cancelled_entry(harness)
    harness.feed(CancelRejected("BTCUSDT", entry.client_order_id, -2011, "unknown order", harness.now))
    assert harness.order(entry).status is OrderStatus.PENDING_CANCEL
    assert harness.commands_of(QueryOrder)[-1].client_order_id == entry.client_order_id
    harness.clock.advance(10)
    harness.fill(entry)
    assert harness.order(entry).status is OrderStatus.FILLED
    assert harness.last(STOP).stop_price == D("49000.0")


def test_failed_cancel_is_retried(harness: Harness) -> None:
    entry = cancelled_entry(harness)
    harness.feed(OrderUnresolved("BTCUSDT", entry.client_order_id, "reset", harness.now))
    harness.clock.advance(10)
    assert harness.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]
    assert harness.order(entry).status is OrderStatus.PENDING_CANCEL


def test_response_is_ordered_by_update_time(harness: Harness) -> None:
    """The update time of a response is slightly older than the event time of the same change (updateTime and E)."""
    entry = cancelled_entry(harness)
    harness.feed(CancelRejected("BTCUSDT", entry.client_order_id, None, "the exchange asks for silence", harness.now))
    answer = harness.update_for(entry, event_at=harness.order(entry).event_at - 1)
    assert harness.feed(OrderResponse(answer)) == [CancelOrder("BTCUSDT", entry.client_order_id)]
    assert harness.order(entry).unresolved_since is None


def test_unknown_order_after_cancel_is_closed(harness: Harness) -> None:
    entry = cancelled_entry(harness)
    harness.feed(CancelRejected("BTCUSDT", entry.client_order_id, -2011, "unknown order", harness.now))
    harness.clock.advance(1)
    harness.snapshot()
    report_not_found_repeatedly(harness, entry)
    read_history(harness)
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.CANCELED


def test_rejected_entry_is_closed_and_volume_consumed(harness: Harness) -> None:
    harness.liquidate()
    assert harness.reject(harness.last(ENTRY), -2019) == []
    row = harness.rows("SELECT status, reason FROM trades")[0]
    assert tuple(row.values()) == ("REJECTED", "refused (-2019)")
    harness.liquidate()
    assert harness.verdicts() == [None, Gate.COOLDOWN]


def test_events_for_unknown_orders_change_nothing(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    before = harness.order(entry).status
    name = entry.client_order_id
    strangers = a_request(number=7)
    for request in (entry, strangers):
        harness.reject(request)
        harness.lose_response(request)
        not_found(harness, request)
        harness.feed(CancelRejected("BTCUSDT", request.client_order_id, -2011, "unknown order", harness.now))
    assert harness.order(entry).status is before is OrderStatus.CANCELED
    assert QueryOrder("BTCUSDT", name) not in harness.sent


def test_unknown_own_order_is_restored(harness: Harness) -> None:
    stop = a_request(STOP, 3)
    harness.feed(harness.account_update(a_position()))
    harness.feed(an_update(stop, order_id=77, event_at=harness.now))
    assert "restored an order missing from the database" in harness.journal("alert")[-1]["message"]
    assert harness.rows("SELECT role, status FROM trades WHERE order_id = '77'")[0]["role"] == "STOP_LOSS"
    assert harness.context.portfolio.tracked_positions[LONG].is_managed
    assert harness.last(TAKE).client_order_id == "lh-mbv0x1k2abcde-t4"  # a number that was never used


def test_unknown_own_entry_is_restored_and_cancelled_when_stale(harness: Harness) -> None:
    entry = a_request()
    harness.feed(an_update(entry, order_id=77, event_at=harness.now - 60_000))
    harness.audit()
    assert harness.cancelled() == [entry.client_order_id]


def test_orphaned_stop_does_not_claim_later_position(harness: Harness) -> None:
    orphan = a_request(STOP, 3)
    harness.feed(an_update(orphan, order_id=77, event_at=harness.now))
    harness.audit()
    assert harness.cancelled() == [orphan.client_order_id]
    harness.clock.advance(10)
    harness.feed(an_update(orphan, order_id=77, status=OrderStatus.CANCELED, event_at=harness.now))
    harness.audit()
    harness.feed(harness.account_update(a_position()))
    harness.wait(2000)
    assert harness.submitted() == []
    assert harness.rows("SELECT protection FROM positions")[0]["protection"] == "external"


def test_dropped_order_is_loaded_from_database(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    harness.wait(16 * 60_000)
    harness.feed(TaskDue(Task.CLEANUP, harness.now))
    assert entry.client_order_id not in harness.context.portfolio.orders
    late = an_update(entry, order_id=1001, status=OrderStatus.CANCELED, event_at=harness.now)
    harness.feed(replace(late, filled_quantity=D(0)))
    assert harness.order(entry).status is OrderStatus.CANCELED
    assert len(harness.rows("SELECT * FROM trades")) == 1


def test_order_missing_everywhere_requests_snapshot(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    harness.snapshot()
    harness.clock.advance(1)
    before = len(harness.commands_of(TakeSnapshot))
    for _ in range(3):
        harness.wait(3000)
        not_found(harness, entry)
    assert len(harness.commands_of(TakeSnapshot)) == before
    harness.wait(2000)
    assert len(harness.commands_of(TakeSnapshot)) == before + 1


def test_externally_cancelled_protection_is_replaced(harness: Harness) -> None:
    harness.open_position()
    harness.end_order(harness.last(STOP))
    assert len(harness.submitted(STOP)) == 2
    assert harness.journal("alert")[-1]["message"].endswith("was cancelled externally")
    harness.accept(harness.last(STOP))
    assert harness.journal("alert")[-1]["message"] == "STOP_LOSS of BTCUSDT, cancelled externally, is replaced"


def test_trade_of_others_in_our_position_is_not_recorded(harness: Harness) -> None:
    entry = harness.open_position()
    harness.clock.advance(1000)
    theirs = replace(harness.a_fill(entry, "0.001"), client_order_id="", order_id=77, side=Side.SELL, realized_pnl=D(3))
    for _ in range(2):
        harness.feed(FillsFetched("BTCUSDT", (theirs,), harness.now))
    assert harness.rows("SELECT * FROM fills WHERE order_id = '77'") == []
