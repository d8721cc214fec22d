"""Positions that do not let themselves be closed (F9, F29): the ladder of I12."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderType, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import in_both_modes
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
STOP, CLOSE = OrderRole.STOP_LOSS, OrderRole.CLOSE


def closes(rig: Rig) -> list[tuple[OrderType, int]]:
    """The closing orders that came to the exchange's engine, with their instants."""
    with rig.exchange.lock:
        received = list(rig.exchange.account.records.received)
    return [(each.request.type, each.at) for each in received if "-c" in each.request.client_order_id]


def wait_closed(rig: Rig, seconds: float = 10) -> None:
    wait_until(lambda: not rig.position, seconds, "a flat position")
    wait_until(lambda: not rig.orders(), 10, "no order is left")


@in_both_modes
def test_f09_a_refused_close_climbs_the_ladder_and_the_stop_stays(rig: Rig) -> None:
    rig.open_position()
    protected_at = rig.exchange.now_ms()
    rig.inject(FaultKind.REFUSED, CLOSE, value=4131, times=3)
    rig.close_position()
    rig.measure("rung 2", lambda: len(rig.arrived(CLOSE)) >= 2, 10)
    wait_closed(rig, 30)
    assert len(rig.arrived(CLOSE)) == 4
    assert rig.bare_spans(protected_at) == []
    assert [kind for kind, _ in closes(rig)] == [OrderType.LIMIT]  # the fourth order: the first three were refused
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f09_a_close_that_expires_climbs_the_ladder_too(rig: Rig) -> None:
    rig.open_position()
    held, protected_at = rig.position, rig.exchange.now_ms()
    rig.inject(FaultKind.EXPIRED, CLOSE, value=0, times=2)
    rig.inject(FaultKind.EXPIRED, CLOSE, value=50)
    rig.close_position()
    wait_closed(rig, 30)
    part, rest = [each.quantity for each in rig.fills() if each.side is Side.SELL]
    assert 0 < part < held == part + rest
    assert rig.bare_spans(protected_at) == []
    kinds = [kind for kind, _ in closes(rig)]
    assert kinds == [OrderType.MARKET, OrderType.LIMIT, OrderType.MARKET, OrderType.MARKET]
    instants = [at for _, at in closes(rig)]
    assert instants[1] - instants[0] < 10_000
    rig.check_books(naked_ms=2_000)


def test_f09_at_the_end_of_the_ladder_a_person_is_told_and_the_stop_stays(rig: Rig) -> None:
    rig.open_position()
    rig.inject(FaultKind.REFUSED, CLOSE, value=4131, times=FOREVER)
    rig.close_position()
    wait_until(lambda: any("cannot be closed" in alert for alert in rig.alerts()), 30, "the alarm")
    assert rig.position
    assert len(rig.orders(STOP)) == 1
    rig.shift("-3")
    wait_closed(rig)  # by the stop that stayed
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f29_a_stop_that_fired_and_expired_is_followed_by_a_close_though_the_price_came_back(rig: Rig) -> None:
    rig.open_position()
    middle = rig.middle
    with rig.exchange.lock:
        rig.exchange.move("BTCUSDT", middle * D("0.8"))  # beyond the bound of every market order
        assert rig.position
        assert not rig.orders(STOP)
        rig.exchange.move("BTCUSDT", middle)
    rig.measure("closed", lambda: not rig.position, 5)
    wait_closed(rig)
    assert closes(rig)
    rig.check_books()


@in_both_modes
def test_f29_a_stop_that_fired_and_does_not_fill_is_followed_by_a_close(rig: Rig) -> None:
    rig.open_position()
    [stop] = rig.orders(STOP)
    with rig.exchange.lock:
        told_at = rig.exchange.now_ms()
    rig.tell(replace(stop, type=OrderType.MARKET, event_at=told_at))
    wait_closed(rig, 20)
    [(kind, at)] = closes(rig)
    assert kind is OrderType.MARKET
    assert 4_900 <= at - told_at <= 9_000  # five seconds, up to one until the next look, and a busy machine's
    rig.check_books(naked_ms=2_000)
