import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.order_cleanup import OrderCleanup, expired_entries, orphaned_protection
from src.core.portfolio import TrackedPosition
from src.domain.clock import SystemClock
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.events import Task, TaskDue
from src.domain.orders import Order
from tests.builders import NOW, a_position, an_order, some_settings
from tests.core.harness import Harness

KEY = ("BTCUSDT", PositionSide.LONG)


def expired(order: Order, now_ms: int) -> list[Order]:
    return expired_entries([order], some_settings().globals_, now_ms)


@pytest.mark.parametrize("status", [OrderStatus.PENDING_NEW, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED])
def test_entry_expires_after_its_lifetime(status: OrderStatus) -> None:
    entry = an_order(status=status)
    assert expired(entry, NOW + 29_999) == []
    assert expired(entry, NOW + 30_000) == [entry]


def test_only_open_entries_expire() -> None:
    assert expired(an_order(status=OrderStatus.FILLED), NOW + 60_000) == []
    assert expired(an_order(OrderRole.STOP_LOSS), NOW + 60_000) == []


def test_orphaned_protection_is_cancelled() -> None:
    stop = an_order(OrderRole.STOP_LOSS)
    assert list(orphaned_protection([stop], {KEY: TrackedPosition(a_position())})) == []
    assert list(orphaned_protection([stop], {KEY: TrackedPosition(a_position(0))})) == [stop]
    assert list(orphaned_protection([stop], {})) == [stop]
    assert list(orphaned_protection([an_order(OrderRole.STOP_LOSS, status=OrderStatus.PENDING_NEW)], {})) == []


@pytest.fixture
def brief_harness(tmp_path: Path) -> Iterator[Harness]:
    """An entry lives 5 seconds; the cleanup job runs once an hour."""
    settings = some_settings({"order_ttl_seconds": 5, "order_cleanup_interval_seconds": 3600})
    harness = Harness(tmp_path / "bot.db", settings).connect()
    yield harness
    harness.close()


def test_entry_lifetime_is_honoured_within_a_second_without_the_cleanup_job(brief_harness: Harness) -> None:
    entry = brief_harness.enter()
    brief_harness.wait(4_999)
    assert brief_harness.cancelled() == []
    brief_harness.wait(1_000)
    assert brief_harness.cancelled() == [entry.client_order_id]


def test_entry_lifetime_counts_across_a_restart(brief_harness: Harness) -> None:
    entry = brief_harness.enter()
    brief_harness.wait(3_000)
    again = brief_harness.restart().connect(open_orders=(brief_harness.update_for(entry),))
    again.wait(1_000)
    assert again.cancelled() == []
    again.wait(2_000)
    assert again.cancelled() == [entry.client_order_id]


def test_unanswered_entry_is_cancelled_once_the_exchange_shows_it_after_its_lifetime(brief_harness: Harness) -> None:
    brief_harness.liquidate()
    entry = brief_harness.last(OrderRole.ENTRY)
    brief_harness.lose_response(entry)
    brief_harness.wait(6_000)
    assert brief_harness.cancelled() == []  # it is not known to exist yet
    brief_harness.accept(entry)
    assert brief_harness.cancelled() == [entry.client_order_id]


def test_scheduler_posts_every_task_and_stops() -> None:
    tasks: set[Task] = set()
    audited = threading.Event()

    def post(due: TaskDue) -> None:
        tasks.add(due.task)
        if {Task.EVERY_SECOND, Task.CLEANUP} <= tasks:
            audited.set()

    cleanup = OrderCleanup(post, SystemClock(), cleanup_seconds=1)
    cleanup.start()
    try:
        assert audited.wait(10)
    finally:
        cleanup.stop()
    cleanup.stop()
    assert Task.EVERY_SECOND in tasks
