"""Closing positions: attempts and alerts, triggered stops that do not fill, and entries of a symbol being closed."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.events import ProcessStalled
from src.domain.commands import OperatorAction, SubmitOrder
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, Side
from src.domain.events import Stream, StreamUp
from src.domain.orders import OrderRequest
from tests.builders import some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


@pytest.fixture
def eager(path: Path) -> Harness:
    """A connected bot without a cooldown, in hedge mode."""
    return Harness(path, some_settings({"cooldown_sec": 0})).connect()


def enter_again(harness: Harness, side: Side = Side.SELL) -> OrderRequest:
    """Place another entry, a second after the last event, and accept it."""
    harness.wait(1000)
    harness.liquidate(side=side)
    entry = harness.last(ENTRY)
    harness.accept(entry)
    return entry


def last_reason(harness: Harness) -> str:
    return str(harness.rows("SELECT reason FROM decisions ORDER BY liquidation_id")[-1]["reason"])


def close_by_person(harness: Harness) -> None:
    harness.close_position()


def close_all(harness: Harness) -> None:
    harness.command(OperatorAction.FLATTEN)
    harness.command(OperatorAction.RESUME)  # a flatten also pauses, which would hide the reason


def close_by_ladder(harness: Harness) -> None:
    """The stop triggers and ends without a fill."""
    harness.wait(1000)
    harness.feed(harness.update_for(harness.last(STOP), type=OrderType.MARKET, status=OrderStatus.EXPIRED))


each_close = pytest.mark.parametrize("close", [close_by_person, close_all, close_by_ladder])


def expire(harness: Harness, filled: object = 0) -> None:
    """Accept the newest close order, fill ``filled`` of it if given, and let it expire."""
    close = harness.last(CLOSE)
    harness.accept(close)
    if filled:
        harness.clock.advance(1)
        harness.fill(close, filled)
    harness.clock.advance(1)
    harness.end_order(close, OrderStatus.EXPIRED)


def messages(harness: Harness, level: str) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == level]


def test_expired_close_is_followed_by_next_attempt(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    kinds = []
    for _ in range(4):
        kinds.append(harness.last(CLOSE).type)
        expire(harness)
        harness.wait(1000)
    assert kinds == [OrderType.MARKET, OrderType.LIMIT] * 2
    assert harness.cancelled() == []
    assert messages(harness, "warning")[-1] == "CLOSE of BTCUSDT expired without a fill"


def test_partially_filled_close_sends_rest_at_market(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    expire(harness)
    harness.wait(1000)
    expire(harness, "0.004")
    harness.wait(1000)
    assert (harness.last(CLOSE).type, harness.last(CLOSE).quantity) == (OrderType.MARKET, D("0.006"))
    assert harness.context.portfolio.tracked_positions[LONG].exits.rejections == {}


def test_too_small_partial_close_does_not_delay_full_close(harness: Harness) -> None:
    harness.fill(harness.enter(), "0.001")
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.3"))
    assert harness.submitted(CLOSE) == []
    harness.close_position()
    assert harness.last(CLOSE).quantity == D("0.001")


def test_failed_close_alerts_once(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    for _ in range(6):
        harness.reject(harness.last(CLOSE), -4131)
        harness.wait(1000)
    harness.wait(31_000)
    harness.reject(harness.last(CLOSE), -4131)
    harness.wait(31_000)
    [alert] = messages(harness, "error")
    assert "BTCUSDT cannot be closed" in alert
    assert "its stop loss is still open" in alert
    assert harness.order(harness.last(STOP)).status is OrderStatus.NEW


@pytest.mark.parametrize("event", [{}, {"filled_quantity": D("0.004"), "average_price": D(49_000)}])
def test_expired_triggered_stop_closes_position(harness: Harness, event: dict[str, Any]) -> None:
    harness.open_position()
    harness.clock.advance(1)
    harness.feed(harness.update_for(harness.last(STOP), type=OrderType.MARKET, status=OrderStatus.EXPIRED, **event))
    assert harness.last(CLOSE).type is OrderType.MARKET
    assert "triggered but closed only part" in messages(harness, "warning")[-1]


def test_triggered_stop_has_five_seconds_to_fill(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(1)
    harness.feed(harness.update_for(harness.last(STOP), type=OrderType.MARKET))
    harness.wait(4000)
    assert harness.submitted(CLOSE) == []
    harness.wait(1000)
    assert harness.last(CLOSE).type is OrderType.MARKET


def test_filled_stop_leaves_nothing_to_close(harness: Harness) -> None:
    harness.open_position()
    stop = harness.last(STOP)
    harness.clock.advance(1)
    harness.feed(harness.update_for(stop, type=OrderType.MARKET))
    harness.clock.advance(1)
    harness.fill(stop, price=49_000, pnl=-10)
    harness.wait(20_000)
    assert harness.submitted(CLOSE) == []
    assert harness.context.portfolio.tracked_positions[LONG].exits.stop_triggered_at == 0


def test_stop_ended_without_trigger_is_replaced(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(1)
    harness.end_order(harness.last(STOP), OrderStatus.EXPIRED)
    assert len(harness.submitted(STOP)) == 2
    assert harness.submitted(CLOSE) == []


@each_close
def test_entries_of_a_symbol_are_cancelled_while_its_position_is_closed(
    eager: Harness, close: Callable[[Harness], None]
) -> None:
    eager.open_position()
    same_side, other_side = enter_again(eager), enter_again(eager, Side.BUY)
    close(eager)
    assert {same_side.client_order_id, other_side.client_order_id} <= set(eager.cancelled())


@each_close
def test_entries_of_a_symbol_are_refused_while_its_position_is_closed(
    eager: Harness, close: Callable[[Harness], None]
) -> None:
    eager.open_position()
    close(eager)
    eager.reject(eager.last(CLOSE), -4131)
    eager.wait(500)
    for side in (Side.SELL, Side.BUY):
        eager.liquidate(side=side)
        assert eager.verdicts()[-1] == Gate.OPEN_ORDERS
        assert last_reason(eager).startswith("the position of BTCUSDT is being closed: ")
    assert len(eager.submitted(ENTRY)) == 1


def test_entry_that_fills_after_the_close_is_closed_too(eager: Harness) -> None:
    eager.open_position()
    second = enter_again(eager)
    eager.close_position()
    eager.fill(eager.last(CLOSE), pnl=-1)
    eager.wait(16_000)
    eager.liquidate()
    assert last_reason(eager) == "an entry of BTCUSDT is being cancelled because its position was closed"
    eager.fill(second)
    assert [each.quantity for each in eager.submitted(CLOSE)] == [D("0.010"), D("0.010")]


def test_entry_is_refused_while_a_partial_close_is_open(eager: Harness) -> None:
    eager.open_position()
    eager.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.5"))
    eager.wait(500)
    eager.liquidate()
    assert last_reason(eager) == "an order that closes BTCUSDT is open"


@pytest.mark.parametrize("is_stop_first", [True, False], ids=["stopped out", "profit taken"])
def test_entry_is_refused_while_old_protection_is_left_in_its_slot(eager: Harness, is_stop_first: bool) -> None:
    eager.open_position()
    stop, take = eager.last(STOP), eager.last(TAKE)
    filled, left, name = (stop, take, "take profit") if is_stop_first else (take, stop, "stop loss")
    eager.wait(1000)
    eager.fill(filled)
    eager.wait(1000)
    eager.liquidate()
    assert eager.verdicts()[-1] == Gate.OPEN_ORDERS
    assert last_reason(eager) == f"the {name} of the last position of BTCUSDT is not cancelled yet"
    eager.liquidate(side=Side.BUY)
    assert eager.verdicts()[-1] is None  # the other side has its own protection
    eager.end_order(left)
    eager.liquidate()
    assert eager.verdicts()[-1] is None


def test_entry_is_refused_while_old_protection_is_unconfirmed(eager: Harness) -> None:
    eager.fill(eager.enter())
    stop = eager.last(STOP)
    eager.lose_response(stop)
    eager.close_position()
    eager.fill(eager.last(CLOSE))
    eager.wait(20_000)
    eager.snapshot()
    eager.liquidate()
    assert last_reason(eager) == "the stop loss of the last position of BTCUSDT is not cancelled yet"


def restart_with(harness: Harness, *orders: OrderRequest) -> Harness:
    """Restart after a kill; the exchange lists these orders as open, and has received no cancel."""
    again = harness.restart()
    again.feed(StreamUp(Stream.MARKET, again.now), StreamUp(Stream.USER, again.now))
    again.prices()
    again.snapshot(open_orders=tuple(again.update_for(order) for order in orders), positions=(again.report(),))
    for order in orders:
        again.accept(order)
    again.audit()
    return again


@pytest.mark.parametrize("is_confirmed", [True, False], ids=["open entry", "unconfirmed entry"])
def test_flatten_is_carried_on_after_a_kill(eager: Harness, is_confirmed: bool) -> None:
    eager.liquidate()
    entry = eager.last(ENTRY)
    if is_confirmed:
        eager.accept(entry)
    eager.command(OperatorAction.FLATTEN)
    again = restart_with(eager, entry)
    assert again.cancelled() == [entry.client_order_id]
    again.wait(1000)
    again.fill(entry)  # before its cancel arrived
    assert again.last(CLOSE).quantity == D("0.010")
    third = restart_with(again, again.last(CLOSE), again.last(STOP))
    third.fill(third.context.portfolio.orders[again.last(CLOSE).client_order_id].request, pnl=-1)
    third.wait(20_000)
    assert not third.position().is_open
    assert third.submitted(CLOSE) == []


def test_settled_flatten_is_forgotten(eager: Harness) -> None:
    entry = eager.enter()
    eager.command(OperatorAction.FLATTEN)
    eager.end_order(entry)
    eager.wait(1000)
    again = restart_with(eager)
    assert again.context.entries_to_close == {}
    again.command(OperatorAction.RESUME)
    again.wait(1000)
    again.open_position()
    again.wait(5000)
    assert again.submitted(CLOSE) == []


def test_cancel_that_a_kill_prevented_is_sent_after_the_start(eager: Harness) -> None:
    entry = eager.enter()
    eager.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    again = restart_with(eager, entry)
    assert again.cancelled() == [entry.client_order_id]
    assert again.context.entries_to_close == {}


def test_close_request_of_a_closed_position_does_not_meet_the_next_one(eager: Harness) -> None:
    eager.open_position()
    second = enter_again(eager)
    eager.close_position()
    eager.context.entries_to_close.clear()  # as for an entry that the bot has not known
    eager.wait(1000)
    eager.fill(eager.last(CLOSE), pnl=-1)
    eager.wait(1000)
    eager.fill(second)
    assert eager.position().is_open
    again = restart_with(eager, eager.last(STOP))
    assert again.context.portfolio.tracked_positions[LONG].close_reason is None


def test_close_decided_before_a_suspension_is_decided_anew_after_reading_the_account(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    [queued] = [each for each in harness.commands_of(SubmitOrder) if each.request == harness.last(CLOSE)]
    assert queued.not_after == harness.now + 30_000
    harness.clock.advance(8 * 3_600_000)
    harness.feed(ProcessStalled(8 * 3_600_000, harness.now))
    harness.reject(harness.last(CLOSE), None)
    harness.wait(5000)
    assert len(harness.submitted(CLOSE)) == 1
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    harness.snapshot(positions=(harness.report(),), open_orders=orders)
    harness.wait(1000)
    assert [each.quantity for each in harness.submitted(CLOSE)] == [D("0.010")] * 2


def test_close_of_a_position_that_ended_during_a_suspension_is_not_sent(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    harness.clock.advance(8 * 3_600_000)
    harness.feed(ProcessStalled(8 * 3_600_000, harness.now))
    harness.reject(harness.last(CLOSE), None)
    harness.wait(5000)
    harness.snapshot(positions=(harness.report(quantity=D(0), entry_price=D(0), updated_at=harness.now),))
    harness.wait(20_000)
    assert len(harness.submitted(CLOSE)) == 1
