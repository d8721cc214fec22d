import threading

from src.core.books import Holding
from src.core.order_cleanup import OrderCleanup, orphans, plan_cleanup
from src.domain.clock import SystemClock
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.messages import Due, Duty
from src.domain.orders import Order
from tests.builders import NOW, a_position, an_order, some_settings

SLOT = ("BTCUSDT", PositionSide.LONG)


def planned(*orders: Order, now_ms: int = NOW, holding: Holding | None = None) -> list[Order]:
    holdings = {SLOT: holding} if holding else {}
    return plan_cleanup(orders, holdings, some_settings().globals_, now_ms)


def test_an_entry_past_its_life_is_cancelled() -> None:
    entry = an_order()
    assert planned(entry, now_ms=NOW + 29_999) == []
    assert planned(entry, now_ms=NOW + 30_000) == [entry]


def test_protection_without_a_position_is_cancelled() -> None:
    stop = an_order(OrderRole.STOP_LOSS)
    assert planned(stop, holding=Holding(a_position())) == []
    assert planned(stop, holding=Holding(a_position(0))) == [stop]
    assert list(orphans([stop], {})) == [stop]


def test_what_is_not_confirmed_is_not_cancelled() -> None:
    pending = an_order(status=OrderStatus.PENDING_NEW)
    assert planned(pending, now_ms=NOW + 60_000) == []


def test_the_scheduler_reminds_of_every_duty_and_stops() -> None:
    heard: set[Duty] = set()
    audited = threading.Event()

    def post(due: Due) -> None:
        heard.add(due.duty)
        if {Duty.AUDIT, Duty.CLEANUP} <= heard:
            audited.set()

    cleanup = OrderCleanup(post, SystemClock(), cleanup_seconds=1)
    cleanup.start()
    try:
        assert audited.wait(10)
    finally:
        cleanup.stop()
    cleanup.stop()
    assert Duty.AUDIT in heard
