"""Positions that change as nobody asked them to (F27, F28, F30-F35, F47)."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from src.domain.events import Task
from src.domain.instrument import Quantity
from src.domain.orders import OrderRequest
from src.sandbox.faults import FaultKind
from tests.faults.conftest import in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def part_filled(harness: FaultHarness) -> str:
    """An entry of which somebody has taken a part."""
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10)
    price = harness.orders(ENTRY)[0].price
    harness.exchange.trade(SYMBOL, Side.SELL, D("0.004"), price - 1)
    assert 0 < harness.position == D("0.004")
    return entry


@in_both_modes
def test_f27_the_filled_part_of_a_cancelled_entry_is_protected(harness: FaultHarness) -> None:
    entry = part_filled(harness)
    harness.cancel_manually(entry)
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    assert harness.position == D("0.004")
    harness.check_consistency()


def test_f28_a_fill_told_after_the_cancel_is_booked_and_protected(harness: FaultHarness) -> None:
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10)
    [order] = harness.orders(ENTRY)
    with harness.without_user_stream(), harness.exchange.lock:
        harness.exchange.trade(SYMBOL, Side.SELL, D("0.004"), order.price - 1)
        harness.cancel_manually(entry)
        [fill] = harness.fills()
    harness.publish_update(replace(order, status=OrderStatus.CANCELED, event_at=fill.traded_at))
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    part = OrderStatus.PARTIALLY_FILLED
    late = replace(order, status=part, filled_quantity=fill.quantity, average_price=fill.price, fill=fill)
    harness.publish_update(replace(late, event_at=fill.traded_at))
    harness.wait_protected()
    harness.check_consistency()


@in_both_modes
def test_f30_a_take_profit_left_by_a_stop_out_is_gone_before_the_next_entry(harness: FaultHarness) -> None:
    harness.open_position()
    harness.shift("-3")
    wait_until(lambda: harness.recorded_position() == 0, 10, "the bot knows it")
    harness.trigger_entry()
    assert not harness.orders(STOP) + harness.orders(TAKE)
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


def test_f31_a_take_profit_that_fills_in_part_leaves_the_stop(harness: FaultHarness) -> None:
    harness.open_position()
    held, price = harness.position, (harness.mid_price * D("1.015")).quantize(D(1))
    harness.inject(FaultKind.PARTIAL_FILL, path=SYMBOL, value=0)
    with harness.exchange.lock:
        harness.exchange.set_mark(SYMBOL, price / D("0.9801"))  # its bound lies just below the best bid
        harness.move(price)
        assert 0 < harness.position < held
        assert harness.orders(STOP)
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.position, 10, "the rest is taken too")
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency(unprotected_ms=2_000)


def test_f32_a_position_closed_by_hand_is_let_go(harness: FaultHarness) -> None:
    harness.open_position()
    harness.trade_manually(Side.SELL, str(harness.position))
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


@pytest.mark.parametrize("side", list(Side))
def test_f32_a_position_changed_by_hand_is_protected_as_it_is_now(harness: FaultHarness, side: Side) -> None:
    harness.open_position()
    harness.shift("-0.5")
    harness.trade_manually(side, "0.003")
    wait_until(harness.has_correct_stop, 30, "the stop fits")
    wait_until(lambda: harness.recorded_position() == harness.position, 10, "the bot knows it")
    wait_until(harness.has_correct_stop, 10, "and fits still")
    harness.check_consistency()


@in_both_modes
def test_f33_a_stop_cancelled_by_hand_is_replaced_each_time_and_told(harness: FaultHarness) -> None:
    harness.open_position()
    for _ in range(3):
        harness.wait_protected()
        harness.cancel_manually(harness.orders(STOP)[0].client_order_id)
    harness.wait_protected()
    told = [alert for alert in harness.alerts() if "not by the bot: it is replaced" in alert]
    assert len(told) == 3
    assert told[-1].endswith("3 times by now: find out who does it")
    assert len(harness.received_orders(STOP)) == 4
    harness.check_consistency()


LOCKED = "resume lifts this lock"
"""What a signal leads to then."""


def check_forced(harness: FaultHarness, deed: str) -> None:
    harness.measure("no open orders", lambda: not harness.orders(), 10)
    wait_until(lambda: any(deed in alert for alert in harness.alerts()), 15, "a person is told")
    booked_as = "SELECT 1 FROM journal WHERE kind = 'fill' AND payload LIKE '%FORCED%'"
    wait_until(lambda: harness.rows(booked_as), 15, "it is booked as such")
    harness.wait_verdict(LOCKED)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f34_a_liquidation_is_booked_swept_and_locks_the_symbol_until_a_person_resumes(harness: FaultHarness) -> None:
    harness.open_position()
    harness.exchange.set_mark(SYMBOL, harness.mid_price * D("0.88"))  # the mark alone: no stop fires at it
    assert not harness.position
    check_forced(harness, "was liquidated by the exchange")
    harness.stop()
    harness.start()
    harness.wait_verdict(LOCKED)  # a restart forgets none
    harness.resume()
    wait_until(lambda: not harness.state("symbol_locks")["locked"], 15, "resume lifts it")
    harness.shift("0")
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f34_a_liquidation_nobody_heard_of_is_found_and_booked_as_such(harness: FaultHarness) -> None:
    harness.open_position()
    with harness.without_user_stream():
        harness.exchange.set_mark(SYMBOL, harness.mid_price * D("0.88"))
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the account is read after it
    check_forced(harness, "was liquidated by the exchange")


@pytest.mark.parametrize(
    ("name", "deed"),
    [("adl_autoclose", "auto-deleveraging"), ("settlement_autoclose-7", "settled by the exchange")],
)
def test_f34_a_position_the_exchange_takes_is_booked_swept_and_locks_the_symbol(
    harness: FaultHarness, name: str, deed: str
) -> None:
    harness.open_position()
    harness.trade_manually(Side.SELL, str(harness.position), name)
    check_forced(harness, deed)


def test_f35_funding_and_news_of_another_symbol_close_nothing(harness: FaultHarness) -> None:
    harness.open_position()
    held = harness.position
    harness.exchange.settle_funding(SYMBOL, D("0.0001"))
    other = OrderRequest("web_1", "ETHUSDT", Side.BUY, PositionSide.BOTH, OrderType.MARKET, quantity=Quantity(D("0.1")))
    harness.submit_manual_order(other)
    wait_until(lambda: harness.rows("SELECT 1 FROM funding"), 15, "funding is booked")
    with harness.exchange.lock:
        names = {each.symbol: each.quantity for each in harness.exchange.account.open_positions()}
    assert names == {SYMBOL: held, "ETHUSDT": D("0.1")}
    assert len(harness.orders(STOP)) == 1
    by_hand = replace(other, client_order_id="web_2", side=Side.SELL, reduce_only=True)
    harness.submit_manual_order(by_hand)
    harness.check_consistency()


@in_both_modes
def test_f47_a_price_that_has_passed_the_stop_before_it_rests_is_closed_and_booked_as_it_was(
    harness: FaultHarness,
) -> None:
    harness.inject(FaultKind.DELAY, STOP, value=700)
    harness.trigger_entry()
    harness.fill()
    wait_until(lambda: harness.position, 5, "the entry's fill")
    harness.shift("-4")
    harness.measure("closed", lambda: not harness.position, 5)
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    entry, *exits = harness.fills()
    assert all(each.price < entry.price * D("0.97") for each in exits)  # worse than the stop would have been
    assert harness.net() < -entry.price * entry.quantity * D("0.03")
    harness.check_consistency()


@in_both_modes
def test_i18_books_that_differ_are_put_right_once_and_twice_is_a_reason_to_stop(harness: FaultHarness) -> None:
    harness.open_position()
    for count, quantity in enumerate(("0.001", "0.002"), start=1):
        time.sleep(5.5)  # news of the position older than the grace for what is still on its way
        with harness.without_user_stream():
            harness.trade_manually(Side.SELL, quantity)
        harness.run_task_now(Task.RECONCILE)
        wait_until(lambda: harness.recorded_position() == harness.position, 15, "put right")
        wait_until(lambda count=count: len(harness.rows("SELECT id FROM corrections")) == count, 10)  # type: ignore[misc]
        if count == 1:  # what a stream that is not trusted has not told counts for nothing
            wait_until(
                lambda: any("the user data stream missed an update" in each for each in harness.alerts()),
                15,
                "a mute stream",
            )
            wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "the stream is trusted again")
    wait_until(
        lambda: "positions differed from the exchange 2 times" in harness.trading_status()[1], 15, "entries halt"
    )
    harness.resume()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "resume lifts it")
    harness.check_consistency(unprotected_ms=2_000)
