"""Orders whose answers are lost, late or refused (F1-F8, F10-F14)."""

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
    wait_until(lambda: harness.rows("SELECT 1 FROM trades WHERE unresolved_since IS NOT NULL"), 8, "the answer is lost")


def wait_swept(harness: FaultHarness) -> None:
    wait_until(lambda: not harness.orders(), 10, "no order is left")


@in_both_modes
def test_f01_an_entry_that_was_executed_and_answered_503_is_found_and_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNKNOWN_OUTCOME, ENTRY)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency()


def test_f02_an_entry_whose_answer_never_came_is_found_and_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DROPPED_REPLY, ENTRY)
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f03_an_entry_that_never_came_to_be_is_given_up_and_its_symbol_freed(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry, asked_at = harness.trigger_entry(), time.monotonic()
    wait_unresolved(harness)
    harness.wait_verdict("an earlier entry's answer was lost", 8)
    harness.measure("considered lost after", lambda: harness.status(entry) == "REJECTED", 30)
    assert time.monotonic() - asked_at >= 10
    assert len(harness.received_orders(ENTRY)) == 1
    harness.open_position()
    harness.check_consistency()


@in_both_modes
def test_f04_an_entry_that_executes_late_is_protected_while_it_is_asked_for(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_unresolved(harness)
    harness.submit_manual_order(harness.request_of(entry))
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


def test_f04_an_entry_that_executes_after_it_was_given_up_is_protected_and_told(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    with harness.exchange.lock:
        harness.submit_manual_order(harness.request_of(entry))
        harness.fill()
    harness.wait_protected()
    assert any("late order" in alert for alert in harness.alerts())
    harness.check_consistency()


def test_f04_an_entry_that_rests_after_it_was_given_up_is_cancelled_and_told(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    harness.submit_manual_order(harness.request_of(entry))
    wait_until(lambda: not harness.orders(ENTRY), 10, "it is cancelled")
    assert any("late order" in alert for alert in harness.alerts())
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    harness.check_consistency(unprotected_ms=0)


def test_f04_an_entry_that_fills_unheard_after_it_was_given_up_is_found_and_protected(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 30)
    with harness.without_user_stream():
        harness.submit_manual_order(harness.request_of(entry))
        harness.fill()
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f05_a_stop_that_rests_though_its_answer_was_lost_stays_alone(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNKNOWN_OUTCOME, STOP)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) <= 2
    harness.check_consistency()


@in_both_modes
def test_f06_a_stop_that_never_came_to_rest_is_placed_again(harness: FaultHarness) -> None:
    harness.inject(FaultKind.UNAVAILABLE, STOP)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert len(harness.received_orders(STOP)) == 2
    harness.check_consistency()


@pytest.mark.parametrize("kind", [FaultKind.UNKNOWN_OUTCOME, FaultKind.DROPPED_REPLY])
def test_f07_a_close_that_was_executed_and_answered_503_is_not_repeated(harness: FaultHarness, kind: FaultKind) -> None:
    harness.open_position()
    harness.inject(kind, CLOSE)
    harness.close_position()
    wait_flat(harness)
    wait_swept(harness)
    assert len(harness.received_orders(CLOSE)) == 1
    harness.check_consistency()


@in_both_modes
@pytest.mark.parametrize("code", [2021, 4142])
def test_f08_a_stop_that_would_fire_at_once_closes_at_once(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_swept(harness)
    harness.check_consistency(unprotected_ms=2_000)


def test_f10_a_close_of_what_the_exchange_has_closed_is_believed_after_reading_the_position(
    harness: FaultHarness,
) -> None:
    harness.open_position()
    time.sleep(6)  # news of the position older than the grace for what is still on its way
    harness.freeze_account_replies(
        "positionRisk", "openOrders"
    )  # or a look of the bot may find it closed before the person does
    harness.silence_user_stream()
    harness.shift("-3")
    wait_flat(harness)
    harness.close_position()
    wait_until(lambda: harness.received_orders(CLOSE), 10)
    harness.exchange.clear_faults()
    harness.measure("recorded as closed", lambda: harness.recorded_position() == 0, 5)
    wait_swept(harness)
    harness.check_consistency()


def test_f11_an_entry_without_margin_is_dropped_and_cools_down(make_harness: MakeHarness) -> None:
    harness = make_harness({"cooldown_sec": 30}).start()
    harness.inject(FaultKind.REJECTED, ENTRY, value=2019)
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "REJECTED", 2)
    harness.wait_verdict("cooling down")
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=0)


def test_f11_a_stop_without_margin_is_tried_again(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=2019)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert all(order.close_position for order in harness.orders(STOP))
    harness.check_consistency(unprotected_ms=2_000)


@pytest.mark.parametrize("code", [4045, 2025])
def test_f12_a_stop_too_many_is_tried_again(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


def test_f12_where_no_stop_finds_room_the_position_is_closed(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=4045, times=FOREVER)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_swept(harness)
    harness.check_consistency()


@pytest.mark.parametrize("code", [1111, 4014, 4023])
def test_f13_a_stop_that_a_filter_refuses_once_is_tried_again(harness: FaultHarness, code: int) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=code)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.check_consistency(unprotected_ms=3_000)


def test_f13_where_no_stop_passes_the_filters_the_position_is_closed(harness: FaultHarness) -> None:
    harness.inject(FaultKind.REJECTED, STOP, value=4014, times=FOREVER)
    harness.trigger_entry()
    harness.fill()
    wait_flat(harness)
    wait_swept(harness)
    harness.check_consistency(unprotected_ms=3_000)


@pytest.mark.parametrize("role", [ENTRY, STOP])
def test_f14_a_timestamp_out_of_the_window_is_signed_anew_once(harness: FaultHarness, role: OrderRole) -> None:
    harness.inject(FaultKind.BAD_TIMESTAMP, role)
    harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    assert list(harness.received_orders(role).values()) == [2]
    harness.check_consistency(unprotected_ms=2_000)


def test_a_cancel_that_is_refused_again_and_again_is_told_and_tried_on_slowly(harness: FaultHarness) -> None:
    """§4: five tries, then a person knows, and an entry that rests is called off as soon as the exchange lets it."""
    entry = harness.trigger_entry()
    refusing = Fault(FaultKind.REJECTED, path=entry, method="DELETE", value=1008, times=FOREVER)
    harness.exchange.inject(refusing)
    harness.send_command(OperatorAction.CANCEL_ENTRY, client_order_id=entry)
    wait_until(
        lambda: any("cannot be cancelled (5 attempts)" in alert for alert in harness.alerts()), 25, "a person is told"
    )
    time.sleep(5)
    assert FOREVER - refusing.times == 5
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.orders(ENTRY), 35, "it is cancelled")
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    assert len([alert for alert in harness.alerts() if "cannot be cancelled" in alert]) == 1
    harness.check_consistency(unprotected_ms=0)
