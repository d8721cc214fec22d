"""Orders the exchange does not know: lost only once nothing shows them, and restored if they appear late."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from src.domain.commands import CancelOrder, FetchOrders, QueryOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import FillsFetched, OrderNotFound, OrdersFetched
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from tests.builders import a_position, an_update, some_settings
from tests.core.harness import Harness

D = Decimal
ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS


def not_found(harness: Harness, request: OrderRequest) -> None:
    harness.feed(OrderNotFound(request.symbol, request.client_order_id, harness.now))


def a_lost_entry(path: Path) -> tuple[Harness, OrderRequest]:
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.liquidate()
    entry = harness.last(ENTRY)
    harness.lose_response(entry)
    return harness, entry


def report_not_found_repeatedly(harness: Harness, request: OrderRequest) -> None:
    """The exchange reports for ten seconds that it knows no such order."""
    for _ in range(5):
        harness.wait(2000)
        not_found(harness, request)


def confirm_absent(harness: Harness, request: OrderRequest) -> None:
    """Every list is read, and none shows the order."""
    report_not_found_repeatedly(harness, request)
    harness.snapshot()
    read_history(harness)
    not_found(harness, request)


def read_history(harness: Harness, orders: tuple[OrderUpdate, ...] = (), fills: tuple[Fill, ...] = ()) -> None:
    """The lists of all orders and trades of the symbol, read now."""
    harness.feed(OrdersFetched("BTCUSDT", orders, 0, harness.now), FillsFetched("BTCUSDT", fills, harness.now))


def test_lost_entry_is_absent_only_when_nothing_shows_it(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    for _ in range(5):
        harness.wait(2000)
        not_found(harness, entry)
    assert harness.commands_of(FetchOrders)[-1].since_ms <= harness.order(entry).created_at
    for evidence in (harness.snapshot, partial(read_history, harness)):
        assert harness.order(entry).status is OrderStatus.PENDING_NEW
        evidence()
        assert harness.order(entry).status is OrderStatus.PENDING_NEW
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.REJECTED
    row = harness.rows("SELECT status, reason FROM trades")[0]
    assert tuple(row.values()) == ("REJECTED", "the exchange knows no such order")
    harness.liquidate()
    assert harness.verdicts() == [None, None]


def test_history_read_too_early_is_not_proof(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    harness.wait(1000)
    harness.snapshot()
    read_history(harness)
    report_not_found_repeatedly(harness, entry)
    assert harness.order(entry).status is OrderStatus.PENDING_NEW


def test_history_with_a_trade_that_cannot_be_read_is_not_proof(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    harness.snapshot()
    harness.feed(OrdersFetched("BTCUSDT", (), 0, harness.now))
    for is_incomplete, status in ((True, OrderStatus.PENDING_NEW), (False, OrderStatus.REJECTED)):
        harness.feed(FillsFetched("BTCUSDT", (), harness.now, is_incomplete=is_incomplete))
        not_found(harness, entry)
        assert harness.order(entry).status is status


def test_fill_of_unlisted_order_keeps_entry_unresolved(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    harness.snapshot()
    theirs = replace(harness.a_fill(entry), client_order_id="", order_id=77)
    read_history(harness, fills=(theirs,))
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.PENDING_NEW
    before = len(harness.commands_of(FetchOrders))
    harness.wait(3000)
    assert len(harness.commands_of(FetchOrders)) == before + 1
    by_hand = an_update(order_id=77, client_order_id="web_1", status=OrderStatus.FILLED)
    read_history(harness, orders=(by_hand,), fills=(theirs,))
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.REJECTED


def test_differing_position_keeps_entry_unresolved(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    harness.snapshot()
    read_history(harness)
    harness.feed(harness.account_update(a_position()))
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.PENDING_NEW


def test_order_in_history_is_restored(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    found = harness.update_for(
        entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price
    )
    read_history(harness, orders=(found,))
    assert harness.order(entry).status is OrderStatus.FILLED
    read_history(harness, fills=(harness.a_fill(entry, "0.01"),))
    assert harness.last(STOP).stop_price == D("49000.0")


def test_late_fill_of_absent_entry_is_protected(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    confirm_absent(harness, entry)
    harness.clock.advance(10)
    harness.fill(entry)
    assert harness.last(STOP).stop_price == D("49000.0")
    assert any(each["message"].startswith("order ENTRY") for each in harness.journal("alert"))


def test_late_open_entry_is_cancelled(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    confirm_absent(harness, entry)
    harness.clock.advance(10)
    assert harness.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_unexplained_position_queries_absent_entry_again(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    confirm_absent(harness, entry)
    before = len(harness.commands_of(QueryOrder))
    harness.wait(3000)
    assert len(harness.commands_of(QueryOrder)) == before
    harness.feed(harness.account_update(a_position()))
    harness.wait(1000)
    assert len(harness.commands_of(QueryOrder)) == before + 1


def test_snapshot_before_lost_response_is_not_proof(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    read_history(harness)
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.PENDING_NEW
    harness.wait(3000)
    before = len(harness.commands_of(FetchOrders))
    harness.wait(3000)
    assert len(harness.commands_of(FetchOrders)) == before  # the lists are known: only a snapshot is missing


def test_fill_before_order_is_not_proof(path: Path) -> None:
    harness, entry = a_lost_entry(path)
    report_not_found_repeatedly(harness, entry)
    harness.snapshot()
    older = replace(
        harness.a_fill(entry), client_order_id="", order_id=77, traded_at=harness.order(entry).created_at - 61_000
    )
    read_history(harness, fills=(older,))
    not_found(harness, entry)
    assert harness.order(entry).status is OrderStatus.REJECTED
