"""What should no longer rest on the exchange, and the clock that reminds the trader of it."""

from collections.abc import Callable, Iterable, Iterator

from apscheduler.schedulers.background import BackgroundScheduler

from src.core.books import Holding, Slot
from src.domain.clock import Clock
from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import Due, Duty
from src.domain.orders import Order
from src.utils.config import GlobalSettings

_MISFIRE_GRACE_SECONDS = 300
"""APScheduler's own default of one second skips late jobs without a word."""

AUDIT_SECONDS = 1
LOOK_SECONDS = 2
RECONCILE_SECONDS = 30
RULES_SECONDS = 45
"""A symbol that leaves trading is noticed within the minute (F37)."""
PRUNE_SECONDS = 600
CHECKPOINT_SECONDS = 60


def plan_cleanup(
    orders: Iterable[Order], holdings: dict[Slot, Holding], settings: GlobalSettings, now_ms: int
) -> list[Order]:
    """Orders of ours to cancel one by one: entries past their life, protection of positions that are gone."""
    return [
        order
        for order in orders
        if order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
        and (_is_stale_entry(order, now_ms - settings.entry_lifetime_ms) or _is_orphan(order, holdings))
    ]


def orphans(orders: Iterable[Order], holdings: dict[Slot, Holding]) -> Iterator[Order]:
    """Protection that stands without a position: it would hit the next one (I14)."""
    return (order for order in orders if order.status is OrderStatus.NEW and _is_orphan(order, holdings))


def _is_stale_entry(order: Order, sent_before_ms: int) -> bool:
    return order.role is OrderRole.ENTRY and order.created_at <= sent_before_ms


def _is_orphan(order: Order, holdings: dict[Slot, Holding]) -> bool:
    holding = holdings.get((order.symbol, order.request.position_side))
    return order.role is not OrderRole.ENTRY and (holding is None or not holding.position.is_open)


class OrderCleanup:
    """APScheduler jobs that post what is due; the deciding is the trader's. It is watched like a worker."""

    name = "scheduler"

    def __init__(self, post: Callable[[Due], None], clock: Clock, cleanup_seconds: int) -> None:
        self._post = post
        self._clock = clock
        self._beaten_at = clock.monotonic_ms()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            job_defaults={"misfire_grace_time": _MISFIRE_GRACE_SECONDS, "coalesce": True, "max_instances": 1},
        )
        intervals = {
            Duty.AUDIT: AUDIT_SECONDS,
            Duty.LOOK: LOOK_SECONDS,
            Duty.CLEANUP: cleanup_seconds,
            Duty.RECONCILE: RECONCILE_SECONDS,
            Duty.RULES: RULES_SECONDS,
            Duty.PRUNE: PRUNE_SECONDS,
            Duty.CHECKPOINT: CHECKPOINT_SECONDS,
        }
        for duty, seconds in intervals.items():
            self._scheduler.add_job(self._remind, "interval", seconds=seconds, args=[duty], id=duty.value)

    def start(self) -> None:
        self.beat()
        self._scheduler.start()

    @property
    def is_alive(self) -> bool:
        return bool(self._scheduler.running)

    @property
    def silent_ms(self) -> int:
        """How long ago it last reminded of the audit, which is due each second (I32)."""
        return self._clock.monotonic_ms() - self._beaten_at

    def beat(self) -> None:
        self._beaten_at = self._clock.monotonic_ms()

    def stop(self) -> None:
        """No further reminder; one on its way is harmless."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _remind(self, duty: Duty) -> None:
        self._post(Due(duty, self._clock.now_ms()))
        self.beat()
