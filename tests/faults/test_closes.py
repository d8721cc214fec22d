"""Positions that are hard to close (F9, F29): repeated close attempts (I12), and changes of the stop (I10)."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderType, Side
from src.sandbox.faults import FOREVER, FaultKind
from src.sandbox.streams.user_events import MAX_LATENCY_MS
from tests.faults.conftest import in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
STOP, CLOSE = OrderRole.STOP_LOSS, OrderRole.CLOSE


def closes(harness: FaultHarness) -> list[tuple[OrderType, int]]:
    """Types and times of the close orders that reached the engine."""
    with harness.exchange.lock:
        received = list(harness.exchange.account.request_log.received)
    return [(each.request.type, each.at) for each in received if "-c" in each.request.client_order_id]


def wait_closed(harness: FaultHarness, seconds: float = 10) -> None:
    wait_until(lambda: not harness.position, seconds, "a flat position")
    wait_until(lambda: not harness.orders(), 10, "no open orders")


@in_both_modes
def test_f09_rejected_close_is_retried_and_the_stop_stays(harness: FaultHarness) -> None:
    harness.open_position()
    protected_at = harness.exchange.now_ms()
    harness.inject(FaultKind.REJECTED, CLOSE, value=4131, times=3)
    harness.close_position()
    harness.measure("second attempt", lambda: len(harness.received_orders(CLOSE)) >= 2, 10)
    wait_closed(harness, 30)
    assert len(harness.received_orders(CLOSE)) == 4
    assert harness.unprotected_spans(protected_at) == []
    assert [kind for kind, _ in closes(harness)] == [OrderType.LIMIT]  # the fourth order; the first three were rejected
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f09_expired_close_is_retried(harness: FaultHarness) -> None:
    harness.open_position()
    held, protected_at = harness.position, harness.exchange.now_ms()
    harness.inject(FaultKind.EXPIRED, CLOSE, value=0, times=2)
    harness.inject(FaultKind.EXPIRED, CLOSE, value=50)
    harness.close_position()
    wait_closed(harness, 30)
    part, rest = [each.quantity for each in harness.fills() if each.side is Side.SELL]
    assert 0 < part < held == part + rest
    assert harness.unprotected_spans(protected_at) == []
    kinds = [kind for kind, _ in closes(harness)]
    assert kinds == [OrderType.MARKET, OrderType.LIMIT, OrderType.MARKET, OrderType.MARKET]
    instants = [at for _, at in closes(harness)]
    assert instants[1] - instants[0] < 10_000
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f09_entries_of_a_symbol_are_cancelled_and_refused_while_its_close_is_rejected(harness: FaultHarness) -> None:
    harness.open_position()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10, "a second entry is open")
    harness.inject(FaultKind.REJECTED, CLOSE, value=4131, times=FOREVER)
    harness.close_position()
    wait_until(lambda: harness.status(entry) == "CANCELED", 10, "it is cancelled")
    harness.wait_verdict("the position of BTCUSDT is being closed")
    harness.exchange.clear_faults()
    wait_closed(harness, 40)
    assert len(harness.received_orders(OrderRole.ENTRY)) == 2
    harness.check_consistency()


def test_f09_entry_that_fills_before_its_cancel_is_closed_too(harness: FaultHarness) -> None:
    harness.open_position()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10, "a second entry is open")
    harness.inject(FaultKind.UNAVAILABLE, path=entry, method="DELETE", times=FOREVER)
    harness.close_position()
    wait_until(lambda: not harness.position, 10, "a flat position")
    harness.fill()
    harness.exchange.clear_faults()
    wait_closed(harness)
    assert len(harness.received_orders(CLOSE)) == 2
    harness.check_consistency()


def test_f09_last_failed_close_raises_alert_and_keeps_stop(harness: FaultHarness) -> None:
    harness.open_position()
    harness.inject(FaultKind.REJECTED, CLOSE, value=4131, times=FOREVER)
    harness.close_position()
    wait_until(lambda: any("cannot be closed" in alert for alert in harness.alerts()), 30, "an alert")
    assert harness.position
    assert len(harness.orders(STOP)) == 1
    harness.shift("-3")
    wait_closed(harness)  # by the stop that was kept
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f29_expired_stop_is_followed_by_a_close(
    harness: FaultHarness,
) -> None:
    harness.open_position()
    mid_price = harness.mid_price
    with harness.exchange.lock:
        harness.exchange.move("BTCUSDT", mid_price * D("0.8"))  # beyond the price limit of market orders
        assert harness.position
        assert not harness.orders(STOP)
        harness.exchange.move("BTCUSDT", mid_price)
    harness.measure("closed", lambda: not harness.position, 5)
    wait_closed(harness)
    assert closes(harness)
    harness.check_consistency()


@in_both_modes
def test_f29_triggered_stop_without_a_fill_leads_to_a_close(harness: FaultHarness) -> None:
    harness.open_position()
    [stop] = harness.orders(STOP)
    opened_at = harness.exchange.now_ms()
    wait_until(lambda: harness.exchange.now_ms() > opened_at + MAX_LATENCY_MS, 5, "newer than any event of the stop")
    with harness.exchange.lock:
        triggered_at = harness.exchange.now_ms()
    harness.publish_update(replace(stop, type=OrderType.MARKET, event_at=triggered_at))
    wait_closed(harness, 20)
    [(kind, at)] = closes(harness)
    assert kind is OrderType.MARKET
    assert (
        4_900 <= at - triggered_at <= 9_000
    )  # five seconds, up to one until the next check, and time for a slow machine
    harness.check_consistency(unprotected_ms=2_000)


def average_down(harness: FaultHarness) -> None:
    """Let the price fall a little and fill a second entry there."""
    harness.shift("-0.5")
    harness.trigger_entry()
    harness.fill()


@in_both_modes
@pytest.mark.parametrize("allows_second_stop", [True, False])
def test_i10_new_stop_is_open_before_the_old_one_is_cancelled(harness: FaultHarness, allows_second_stop: bool) -> None:
    if not allows_second_stop:
        harness.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    harness.open_position()
    held, old = harness.position, harness.orders(STOP)[0]
    average_down(harness)
    wait_until(lambda: harness.position > held and harness.has_correct_stop(), 8, "only the new stop")
    [stop] = harness.orders(STOP)
    assert stop.stop_price < old.stop_price
    assert stop.close_position is allows_second_stop
    assert stop.close_position or stop.quantity == harness.position
    harness.shift("-3")
    wait_until(lambda: not harness.position, 5, "the new stop closes the position")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_i10_quantity_stop_bridges_until_close_position_stop(
    harness: FaultHarness,
) -> None:
    harness.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    harness.open_position()
    average_down(harness)
    wait_until(lambda: harness.has_correct_stop() and not harness.orders(STOP)[0].close_position, 8, "a quantity stop")
    harness.trade_manually(Side.SELL, "0.003")
    wait_until(
        lambda: [each.quantity for each in harness.orders(STOP)] == [harness.position],
        5,
        "its quantity follows the position",
    )
    wait_until(
        lambda: harness.has_correct_stop() and harness.orders(STOP)[0].close_position, 20, "a closePosition stop"
    )
    harness.check_consistency(unprotected_ms=2_000, has_manual_trades=True)
