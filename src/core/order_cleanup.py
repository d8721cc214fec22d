"""Orders that should no longer be open, and the scheduler that posts the trader's periodic tasks."""

from collections.abc import Callable, Iterable, Iterator

from apscheduler.schedulers.background import BackgroundScheduler

from src.core.portfolio import TrackedPosition
from src.domain.clock import Clock
from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import Task, TaskDue
from src.domain.orders import Order
from src.domain.positions import PositionKey
from src.settings.config import GlobalSettings

_MISFIRE_GRACE_SECONDS = 300
"""APScheduler's default of one second silently skips late jobs."""

AUDIT_INTERVAL_SECONDS = 1
CHECK_POSITIONS_SECONDS = 2
RECONCILE_SECONDS = 30
REFRESH_INSTRUMENTS_SECONDS = 45
"""A symbol that stops trading is noticed within a minute (F37)."""
PRUNE_SECONDS = 600
CHECKPOINT_SECONDS = 60


def expired_entries(orders: Iterable[Order], settings: GlobalSettings, now_ms: int) -> list[Order]:
    """Entries that may still fill although their lifetime is over, unconfirmed ones included."""
    created_before = now_ms - settings.entry_lifetime_ms
    return [
        order
        for order in orders
        if order.role is OrderRole.ENTRY and order.is_open and order.created_at <= created_before
    ]


def orphaned_protection(
    orders: Iterable[Order], tracked_positions: dict[PositionKey, TrackedPosition]
) -> Iterator[Order]:
    """Open protective orders without a position: they would close the next one (I14)."""
    confirmed = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    return (order for order in orders if order.status in confirmed and _is_orphan(order, tracked_positions))


def _is_orphan(order: Order, tracked_positions: dict[PositionKey, TrackedPosition]) -> bool:
    tracked = tracked_positions.get((order.symbol, order.request.position_side))
    return order.role is not OrderRole.ENTRY and (tracked is None or not tracked.position.is_open)


class OrderCleanup:
    """Posts the tasks that are due; the trader decides what to do. Monitored like a worker."""

    name = "scheduler"

    def __init__(self, post: Callable[[TaskDue], None], clock: Clock, cleanup_seconds: int) -> None:
        self._post = post
        self._clock = clock
        self._last_heartbeat_at = clock.monotonic_ms()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            job_defaults={"misfire_grace_time": _MISFIRE_GRACE_SECONDS, "coalesce": True, "max_instances": 1},
        )
        intervals = {
            Task.EVERY_SECOND: AUDIT_INTERVAL_SECONDS,
            Task.CHECK_POSITIONS: CHECK_POSITIONS_SECONDS,
            Task.CLEANUP: cleanup_seconds,
            Task.RECONCILE: RECONCILE_SECONDS,
            Task.REFRESH_INSTRUMENTS: REFRESH_INSTRUMENTS_SECONDS,
            Task.PRUNE: PRUNE_SECONDS,
            Task.CHECKPOINT: CHECKPOINT_SECONDS,
        }
        for task, seconds in intervals.items():
            self._scheduler.add_job(self._post_task, "interval", seconds=seconds, args=[task], id=task.value)

    def start(self) -> None:
        self.heartbeat()
        self._scheduler.start()

    @property
    def is_alive(self) -> bool:
        return bool(self._scheduler.running)

    @property
    def ms_since_heartbeat(self) -> int:
        """Milliseconds since it last posted a task; one is due every second (I32)."""
        return self._clock.monotonic_ms() - self._last_heartbeat_at

    def heartbeat(self) -> None:
        self._last_heartbeat_at = self._clock.monotonic_ms()

    def stop(self) -> None:
        """Post no further task; one that is already running is harmless."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _post_task(self, task: Task) -> None:
        self._post(TaskDue(task, self._clock.now_ms()))
        self.heartbeat()
