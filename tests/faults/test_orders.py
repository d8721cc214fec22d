"""Orders whose answers are lost, late or refused (F1-F8, F10-F14)."""

import time

import pytest

from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeRig, in_both_modes
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE


def wait_flat(rig: Rig, seconds: float = 10) -> None:
    wait_until(lambda: rig.fills() and not rig.position, seconds, "a flat position")


def wait_unresolved(rig: Rig) -> None:
    wait_until(lambda: rig.rows("SELECT 1 FROM trades WHERE unresolved_since IS NOT NULL"), 8, "the answer is lost")


def wait_swept(rig: Rig) -> None:
    wait_until(lambda: not rig.orders(), 10, "no order is left")


@in_both_modes
def test_f01_an_entry_that_was_executed_and_answered_503_is_found_and_protected(rig: Rig) -> None:
    rig.inject(FaultKind.UNKNOWN_OUTCOME, ENTRY)
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books()


def test_f02_an_entry_whose_answer_never_came_is_found_and_protected(rig: Rig) -> None:
    rig.inject(FaultKind.DROPPED_REPLY, ENTRY)
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    rig.check_books()


def test_f03_an_entry_that_never_came_to_be_is_given_up_and_its_symbol_freed(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry, asked_at = rig.hunt(), time.monotonic()
    wait_unresolved(rig)
    rig.wait_verdict("an earlier entry's answer was lost", 8)
    rig.measure("given up after", lambda: rig.status(entry) == "REJECTED", 30)
    assert time.monotonic() - asked_at >= 10
    assert len(rig.arrived(ENTRY)) == 1
    rig.open_position()
    rig.check_books()


@in_both_modes
def test_f04_an_entry_that_executes_late_is_protected_while_it_is_asked_for(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = rig.hunt()
    wait_unresolved(rig)
    rig.by_hand(rig.request_of(entry))
    rig.fill()
    rig.wait_protected()
    rig.check_books()


def test_f04_an_entry_that_executes_after_it_was_given_up_is_protected_and_told(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "REJECTED", 30)
    with rig.exchange.lock:
        rig.by_hand(rig.request_of(entry))
        rig.fill()
    rig.wait_protected()
    assert any("late order" in alert for alert in rig.alerts())
    rig.check_books()


def test_f04_an_entry_that_rests_after_it_was_given_up_is_cancelled_and_told(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "REJECTED", 30)
    rig.by_hand(rig.request_of(entry))
    wait_until(lambda: not rig.orders(ENTRY), 10, "it is cancelled")
    assert any("late order" in alert for alert in rig.alerts())
    wait_until(lambda: rig.status(entry) == "CANCELED", 10)
    rig.check_books(naked_ms=0)


def test_f04_an_entry_that_fills_unheard_after_it_was_given_up_is_found_and_protected(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "REJECTED", 30)
    with rig.unheard():
        rig.by_hand(rig.request_of(entry))
        rig.fill()
    rig.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    rig.check_books()


def test_f05_a_stop_that_rests_though_its_answer_was_lost_stays_alone(rig: Rig) -> None:
    rig.inject(FaultKind.UNKNOWN_OUTCOME, STOP)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    assert len(rig.arrived(STOP)) <= 2
    rig.check_books()


@in_both_modes
def test_f06_a_stop_that_never_came_to_rest_is_placed_again(rig: Rig) -> None:
    rig.inject(FaultKind.UNAVAILABLE, STOP)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    assert len(rig.arrived(STOP)) == 2
    rig.check_books()


@pytest.mark.parametrize("kind", [FaultKind.UNKNOWN_OUTCOME, FaultKind.DROPPED_REPLY])
def test_f07_a_close_that_was_executed_and_answered_503_is_not_repeated(rig: Rig, kind: FaultKind) -> None:
    rig.open_position()
    rig.inject(kind, CLOSE)
    rig.close_position()
    wait_flat(rig)
    wait_swept(rig)
    assert len(rig.arrived(CLOSE)) == 1
    rig.check_books()


@in_both_modes
@pytest.mark.parametrize("code", [2021, 4142])
def test_f08_a_stop_that_would_fire_at_once_closes_at_once(rig: Rig, code: int) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=code)
    rig.hunt()
    rig.fill()
    wait_flat(rig)
    wait_swept(rig)
    rig.check_books(naked_ms=2_000)


def test_f10_a_close_of_what_the_exchange_has_closed_is_believed_after_reading_the_position(rig: Rig) -> None:
    rig.open_position()
    time.sleep(6)  # news of the position older than the grace for what is still on its way
    rig.freeze("positionRisk", "openOrders")  # or a look of the bot may find it closed before the person does
    rig.mute()
    rig.shift("-3")
    wait_flat(rig)
    rig.close_position()
    wait_until(lambda: rig.arrived(CLOSE), 10)
    rig.exchange.clear_faults()
    rig.measure("booked as closed", lambda: rig.booked_position() == 0, 5)
    wait_swept(rig)
    rig.check_books()


def test_f11_an_entry_without_margin_is_dropped_and_cools_down(make_rig: MakeRig) -> None:
    rig = make_rig({"cooldown_sec": 30}).start()
    rig.inject(FaultKind.REFUSED, ENTRY, value=2019)
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "REJECTED", 2)
    rig.wait_verdict("cooling down")
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books(naked_ms=0)


def test_f11_a_stop_without_margin_is_tried_again(rig: Rig) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=2019)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    assert all(order.close_position for order in rig.orders(STOP))
    rig.check_books(naked_ms=2_000)


@pytest.mark.parametrize("code", [4045, 2025])
def test_f12_a_stop_too_many_is_tried_again(rig: Rig, code: int) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=code)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    rig.check_books()


def test_f12_where_no_stop_finds_room_the_position_is_closed(rig: Rig) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=4045, times=FOREVER)
    rig.hunt()
    rig.fill()
    wait_flat(rig)
    wait_swept(rig)
    rig.check_books()


@pytest.mark.parametrize("code", [1111, 4014, 4023])
def test_f13_a_stop_that_a_filter_refuses_once_is_tried_again(rig: Rig, code: int) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=code)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    rig.check_books(naked_ms=3_000)


def test_f13_where_no_stop_passes_the_filters_the_position_is_closed(rig: Rig) -> None:
    rig.inject(FaultKind.REFUSED, STOP, value=4014, times=FOREVER)
    rig.hunt()
    rig.fill()
    wait_flat(rig)
    wait_swept(rig)
    rig.check_books(naked_ms=3_000)


@pytest.mark.parametrize("role", [ENTRY, STOP])
def test_f14_a_timestamp_out_of_the_window_is_signed_anew_once(rig: Rig, role: OrderRole) -> None:
    rig.inject(FaultKind.BAD_TIMESTAMP, role)
    rig.hunt()
    rig.fill()
    rig.wait_protected()
    assert list(rig.arrived(role).values()) == [2]
    rig.check_books(naked_ms=2_000)


def test_a_cancel_that_is_refused_again_and_again_is_told_and_tried_on_slowly(rig: Rig) -> None:
    """§4: five tries, then a person knows, and an entry that rests is called off as soon as the exchange lets it."""
    entry = rig.hunt()
    refusing = Fault(FaultKind.REFUSED, path=entry, method="DELETE", value=1008, times=FOREVER)
    rig.exchange.inject(refusing)
    rig.wish(OperatorAction.CANCEL_ENTRY, client_order_id=entry)
    wait_until(lambda: any("cannot be cancelled: 5 tries" in alert for alert in rig.alerts()), 25, "a person is told")
    time.sleep(5)
    assert FOREVER - refusing.times == 5
    rig.exchange.clear_faults()
    wait_until(lambda: not rig.orders(ENTRY), 35, "it is cancelled")
    wait_until(lambda: rig.status(entry) == "CANCELED", 10)
    assert len([alert for alert in rig.alerts() if "cannot be cancelled" in alert]) == 1
    rig.check_books(naked_ms=0)
