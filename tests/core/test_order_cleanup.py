import threading

from src.core.order_cleanup import OrderCleanup, orphaned_protection, plan_cleanup
from src.core.portfolio import TrackedPosition
from src.domain.clock import SystemClock
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.events import Task, TaskDue
from src.domain.orders import Order
from tests.builders import NOW, a_position, an_order, some_settings

KEY = ("BTCUSDT", PositionSide.LONG)


def planned(*orders: Order, now_ms: int = NOW, tracked: TrackedPosition | None = None) -> list[Order]:
    tracked_positions = {KEY: tracked} if tracked else {}
    return plan_cleanup(orders, tracked_positions, some_settings().globals_, now_ms)


def test_expired_entry_is_cancelled() -> None:
    entry = an_order()
    assert planned(entry, now_ms=NOW + 29_999) == []
    assert planned(entry, now_ms=NOW + 30_000) == [entry]


def test_orphaned_protection_is_cancelled() -> None:
    stop = an_order(OrderRole.STOP_LOSS)
    assert planned(stop, tracked=TrackedPosition(a_position())) == []
    assert planned(stop, tracked=TrackedPosition(a_position(0))) == [stop]
    assert list(orphaned_protection([stop], {})) == [stop]


def test_unconfirmed_orders_are_not_cancelled() -> None:
    pending = an_order(status=OrderStatus.PENDING_NEW)
    assert planned(pending, now_ms=NOW + 60_000) == []


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
