"""Positions that change as nobody asked them to (F27, F28, F30-F35, F47)."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from src.domain.instrument import Quantity
from src.domain.messages import Duty
from src.domain.orders import OrderRequest
from src.sandbox.faults import FaultKind
from tests.faults.conftest import in_both_modes
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def part_filled(rig: Rig) -> str:
    """An entry of which somebody has taken a part."""
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "NEW", 10)
    price = rig.orders(ENTRY)[0].price
    rig.exchange.trade(SYMBOL, Side.SELL, D("0.004"), price - 1)
    assert 0 < rig.position == D("0.004")
    return entry


@in_both_modes
def test_f27_the_filled_part_of_a_cancelled_entry_is_protected(rig: Rig) -> None:
    entry = part_filled(rig)
    rig.cancel_by_hand(entry)
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "CANCELED", 10)
    assert rig.position == D("0.004")
    rig.check_books()


def test_f28_a_fill_told_after_the_cancel_is_booked_and_protected(rig: Rig) -> None:
    entry = rig.hunt()
    wait_until(lambda: rig.status(entry) == "NEW", 10)
    [order] = rig.orders(ENTRY)
    with rig.unheard(), rig.exchange.lock:
        rig.exchange.trade(SYMBOL, Side.SELL, D("0.004"), order.price - 1)
        rig.cancel_by_hand(entry)
        [fill] = rig.fills()
    rig.tell(replace(order, status=OrderStatus.CANCELED, event_at=fill.traded_at))
    wait_until(lambda: rig.status(entry) == "CANCELED", 10)
    part = OrderStatus.PARTIALLY_FILLED
    late = replace(order, status=part, filled_quantity=fill.quantity, average_price=fill.price, fill=fill)
    rig.tell(replace(late, event_at=fill.traded_at))
    rig.wait_protected()
    rig.check_books()


@in_both_modes
def test_f30_a_take_profit_left_by_a_stop_out_is_gone_before_the_next_entry(rig: Rig) -> None:
    rig.open_position()
    rig.shift("-3")
    wait_until(lambda: rig.booked_position() == 0, 10, "the bot knows it")
    rig.hunt()
    assert not rig.orders(STOP) + rig.orders(TAKE)
    rig.fill()
    rig.wait_protected()
    rig.check_books()


def test_f31_a_take_profit_that_fills_in_part_leaves_the_stop(rig: Rig) -> None:
    rig.open_position()
    held, price = rig.position, (rig.middle * D("1.015")).quantize(D(1))
    rig.inject(FaultKind.PARTIAL_FILL, path=SYMBOL, value=0)
    with rig.exchange.lock:
        rig.exchange.set_mark(SYMBOL, price / D("0.9801"))  # its bound lies just below the best bid
        rig.move(price)
        assert 0 < rig.position < held
        assert rig.orders(STOP)
    rig.exchange.clear_faults()
    wait_until(lambda: not rig.position, 10, "the rest is taken too")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books(naked_ms=2_000)


def test_f32_a_position_closed_by_hand_is_let_go(rig: Rig) -> None:
    rig.open_position()
    rig.trade_by_hand(Side.SELL, str(rig.position))
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


@pytest.mark.parametrize("side", list(Side))
def test_f32_a_position_changed_by_hand_is_protected_as_it_is_now(rig: Rig, side: Side) -> None:
    rig.open_position()
    rig.shift("-0.5")
    rig.trade_by_hand(side, "0.003")
    wait_until(rig.has_one_right_stop, 30, "the stop fits")
    wait_until(lambda: rig.booked_position() == rig.position, 10, "the bot knows it")
    wait_until(rig.has_one_right_stop, 10, "and fits still")
    rig.check_books()


@in_both_modes
def test_f33_a_stop_cancelled_by_hand_is_replaced_each_time_and_told(rig: Rig) -> None:
    rig.open_position()
    for _ in range(3):
        rig.wait_protected()
        rig.cancel_by_hand(rig.orders(STOP)[0].client_order_id)
    rig.wait_protected()
    told = [alert for alert in rig.alerts() if "not by the bot: it is replaced" in alert]
    assert len(told) == 3
    assert told[-1].endswith("3 times by now: find out who does it")
    assert len(rig.arrived(STOP)) == 4
    rig.check_books()


LOCKED = "resume lifts this lock"
"""What a signal leads to then."""


def check_forced(rig: Rig, deed: str) -> None:
    rig.measure("no order left", lambda: not rig.orders(), 10)
    wait_until(lambda: any(deed in alert for alert in rig.alerts()), 15, "a person is told")
    booked_as = "SELECT 1 FROM journal WHERE kind = 'fill' AND payload LIKE '%FORCED%'"
    wait_until(lambda: rig.rows(booked_as), 15, "it is booked as such")
    rig.wait_verdict(LOCKED)
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f34_a_liquidation_is_booked_swept_and_locks_the_symbol_until_a_person_resumes(rig: Rig) -> None:
    rig.open_position()
    rig.exchange.set_mark(SYMBOL, rig.middle * D("0.88"))  # the mark alone: no stop fires at it
    assert not rig.position
    check_forced(rig, "was liquidated by the exchange")
    rig.stop()
    rig.start()
    rig.wait_verdict(LOCKED)  # a restart forgets none
    rig.resume()
    wait_until(lambda: not rig.state("symbol_locks")["locked"], 15, "resume lifts it")
    rig.shift("0")
    rig.open_position()
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f34_a_liquidation_nobody_heard_of_is_found_and_booked_as_such(rig: Rig) -> None:
    rig.open_position()
    with rig.unheard():
        rig.exchange.set_mark(SYMBOL, rig.middle * D("0.88"))
    rig.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
    check_forced(rig, "was liquidated by the exchange")


@pytest.mark.parametrize(
    ("name", "deed"),
    [("adl_autoclose", "auto-deleveraging"), ("settlement_autoclose-7", "settled by the exchange")],
)
def test_f34_a_position_the_exchange_takes_is_booked_swept_and_locks_the_symbol(rig: Rig, name: str, deed: str) -> None:
    rig.open_position()
    rig.trade_by_hand(Side.SELL, str(rig.position), name)
    check_forced(rig, deed)


def test_f35_funding_and_news_of_another_symbol_close_nothing(rig: Rig) -> None:
    rig.open_position()
    held = rig.position
    rig.exchange.settle_funding(SYMBOL, D("0.0001"))
    other = OrderRequest("web_1", "ETHUSDT", Side.BUY, PositionSide.BOTH, OrderType.MARKET, quantity=Quantity(D("0.1")))
    rig.by_hand(other)
    wait_until(lambda: rig.rows("SELECT 1 FROM funding"), 15, "funding is booked")
    with rig.exchange.lock:
        names = {each.symbol: each.quantity for each in rig.exchange.account.open_positions()}
    assert names == {SYMBOL: held, "ETHUSDT": D("0.1")}
    assert len(rig.orders(STOP)) == 1
    by_hand = replace(other, client_order_id="web_2", side=Side.SELL, reduce_only=True)
    rig.by_hand(by_hand)
    rig.check_books()


@in_both_modes
def test_f47_a_price_that_has_passed_the_stop_before_it_rests_is_closed_and_booked_as_it_was(rig: Rig) -> None:
    rig.inject(FaultKind.DELAY, STOP, value=700)
    rig.hunt()
    rig.fill()
    wait_until(lambda: rig.position, 5, "the entry's fill")
    rig.shift("-4")
    rig.measure("closed", lambda: not rig.position, 5)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    entry, *exits = rig.fills()
    assert all(each.price < entry.price * D("0.97") for each in exits)  # worse than the stop would have been
    assert rig.net() < -entry.price * entry.quantity * D("0.03")
    rig.check_books()


@in_both_modes
def test_i18_books_that_differ_are_put_right_once_and_twice_is_a_reason_to_stop(rig: Rig) -> None:
    rig.open_position()
    for count, quantity in enumerate(("0.001", "0.002"), start=1):
        time.sleep(5.5)  # news of the position older than the grace for what is still on its way
        with rig.unheard():
            rig.trade_by_hand(Side.SELL, quantity)
        rig.remind(Duty.RECONCILE)
        wait_until(lambda: rig.booked_position() == rig.position, 15, "put right")
        wait_until(lambda count=count: len(rig.rows("SELECT id FROM corrections")) == count, 10)  # type: ignore[misc]
        if count == 1:  # what a stream that is not trusted has not told counts for nothing
            wait_until(lambda: any("private stream is mute" in each for each in rig.alerts()), 15, "a mute stream")
            wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "the stream is trusted again")
    wait_until(lambda: "positions differed from the exchange 2 times" in rig.trading()[1], 15, "entries halt")
    rig.resume()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "resume lifts it")
    rig.check_books(naked_ms=2_000)
