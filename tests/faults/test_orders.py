"""Orders with lost, late or rejecting responses (F1-F8, F10-F14)."""

import time

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeHarness, in_both_modes
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE


def wait_flat(harness: FaultHarness, seconds: float = 10) -> None:
    wait_until(lambda: harness.fills() and not harness.position, seconds, "a flat position")


def wait_unresolved(harness: FaultHarness) -> None:
    wait_until(
        lambda: harness.rows("SELECT 1 FROM trades WHERE unresolved_since IS NOT NULL"), 8, "the outcome is unknown"
    )


def wait_no_orders(harness: FaultHarness) -> None:
    wait_until(lambda: not harness.orders(), 10, "no open orders")


@in_both_modes
def test_f01_entry_executed_despite_503_is_found_and_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNKNOWN_OUTCOME, ENTRY)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


def test_f02_entry_without_a_response_is_found_and_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DROPPED_REPLY, ENTRY)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f03_entry_that_never_existed_is_dropped(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry, sent_at = harness.trigger_entry(), time.monotonic()
    wait_unresolved(harness)
    harness.wait_verdict("an earlier entry is unconfirmed", 8)
    harness.measure("considered lost after", lambda: harness.status(entry) == "REJECTED", 30)
    assert time.monotonic() - sent_at >= 10
    assert len(harness.received_orders(ENTRY)) == 1
    harness.open_position()
    harness.check_consistency()


@in_both_modes
def test_f04_entry_executed_during_the_queries_is_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_unresolved(harness)
    harness.submit_manual_order(harness.request_of(entry))
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


def test_f04_entry_filled_after_being_dropped_is_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    with harness.exchange.lock:
        harness.submit_manual_order(harness.request_of(entry))
        harness.fill()
    harness.wait_protected()
    assert any("was considered lost but exists" in alert for alert in harness.alerts())
    harness.check_consistency()


def test_f04_entry_opened_after_being_dropped_is_cancelled(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    harness.submit_manual_order(harness.request_of(entry))
    wait_until(lambda: not harness.orders(ENTRY), 10, "the entry is cancelled")
    assert any("was considered lost but exists" in alert for alert in harness.alerts())
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    harness.check_consistency(unprotected_ms=0)


def test_f04_unreported_fill_of_a_dropped_entry_is_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    with harness.without_user_stream():
        harness.submit_manual_order(harness.request_of(entry))
        harness.fill()
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the bot reads the account afterwards
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f05_stop_with_a_lost_response_stays_the_only_one(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNKNOWN_OUTCOME, STOP)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) <= 2
    harness.check_consistency()


@in_both_modes
def test_f06_stop_that_never_opened_is_placed_again(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, STOP)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) == 2
    harness.check_consistency()


@pytest.mark.parametrize("kind", [FaultKind.UNKNOWN_OUTCOME, FaultKind.DROPPED_REPLY])
def test_f07_close_executed_despite_503_is_not_repeated(harness: FaultHarness, kind: FaultKind) -> None:
    harness.open_position()
    harness.inject(kind, CLOSE)
    harness.close_position()
    wait_flat(harness)
    wait_no_orders(harness)
    assert len(harness.received_orders(CLOSE)) == 1
    harness.check_consistency()


@in_both_modes
@pytest.mark.parametrize("code", [2021, 4142])
def test_f08_stop_that_would_trigger_at_once_leads_to_a_close(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_no_orders(harness)
    harness.check_consistency(unprotected_ms=2_000)


def test_f10_rejected_close_of_a_closed_position_is_recorded(
    harness: FaultHarness,
) -> None:
    harness.open_position()
    time.sleep(6)  # the last position update must be older than 5 s
    harness.freeze_account_replies(
        "positionRisk", "openOrders"
    )  # otherwise polling may find it closed before the close command
    harness.silence_user_stream()
    harness.shift("-3")
    wait_flat(harness)
    harness.close_position()
    wait_until(lambda: harness.received_orders(CLOSE), 10)
    harness.exchange.clear_faults()
    harness.measure("recorded as closed", lambda: harness.recorded_position() == 0, 5)
    wait_no_orders(harness)
    harness.check_consistency()


def test_f11_entry_without_margin_is_dropped_and_cools_down(make_harness: MakeHarness) -> None:
    harness = make_harness({"cooldown_sec": 30}).start()
    harness.inject(FaultKind.REJECTED, ENTRY, value=2019)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 2)
    harness.wait_verdict("cooldown:")
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=0)


def test_f11_stop_without_margin_is_retried(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=2019)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert all(order.close_position for order in harness.orders(STOP))
    harness.check_consistency(unprotected_ms=2_000)


@pytest.mark.parametrize("code", [4045, 2025])
def test_f12_stop_over_the_limit_is_retried(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


def test_f12_position_is_closed_if_no_stop_is_accepted(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=4045, times=FOREVER)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_no_orders(harness)
    harness.check_consistency()


@pytest.mark.parametrize("code", [1111, 4014, 4023])
def test_f13_stop_rejected_by_a_filter_once_is_retried(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.check_consistency(unprotected_ms=3_000)


def test_f13_position_is_closed_if_no_stop_passes_the_filters(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=4014, times=FOREVER)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_no_orders(harness)
    harness.check_consistency(unprotected_ms=3_000)


@pytest.mark.parametrize("role", [ENTRY, STOP])
def test_f14_bad_timestamp_is_signed_again_once(harness: FaultHarness, role: OrderRole) -> None:
    harness.inject(FaultKind.BAD_TIMESTAMP, role)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert list(harness.received_orders(role).values()) == [2]
    harness.check_consistency(unprotected_ms=2_000)


def test_cancel_rejected_five_times_raises_an_alert(harness: FaultHarness) -> None:
    """After five attempts an alert is raised; slow retries follow, until the exchange accepts one."""
    entry = harness.trigger_entry()
    rejection = Fault(FaultKind.REJECTED, path=entry, method="DELETE", value=1008, times=FOREVER)
    harness.exchange.inject(rejection)
    harness.send_command(OperatorAction.CANCEL_ENTRY, client_order_id=entry)
    wait_until(
        lambda: any("cannot be cancelled (5 attempts)" in alert for alert in harness.alerts()),
        25,
        "an alert is reported",
    )
    time.sleep(5)
    assert FOREVER - rejection.times == 5
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.orders(ENTRY), 35, "the entry is cancelled")
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    assert len([alert for alert in harness.alerts() if "cannot be cancelled" in alert]) == 1
    harness.check_consistency(unprotected_ms=0)
