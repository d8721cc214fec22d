"""Leaving a position that does not want to be left: the ladder, its alarm, and stops that fired in vain."""

from decimal import Decimal
from typing import Any

import pytest

from src.domain.enums import OrderRole, OrderStatus, OrderType
from src.domain.messages import OperatorAction
from tests.core.rig import LONG, Rig

D = Decimal
STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def expire(rig: Rig, filled: object = 0) -> None:
    """The newest close is accepted, fills so far, and expires."""
    close = rig.last(CLOSE)
    rig.accept(close)
    if filled:
        rig.clock.advance(1)
        rig.fill(close, filled)
    rig.clock.advance(1)
    rig.ended(close, OrderStatus.EXPIRED)


def messages(rig: Rig, level: str) -> list[str]:
    return [each["message"] for each in rig.journal("alert") if each["level"] == level]


def test_a_close_that_expires_unfilled_is_followed_by_the_next_rung(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    kinds = []
    for _ in range(4):
        kinds.append(rig.last(CLOSE).type)
        expire(rig)
        rig.wait(1000)
    assert kinds == [OrderType.MARKET, OrderType.LIMIT] * 2
    assert rig.cancelled() == []
    assert messages(rig, "warning")[-1] == "CLOSE of BTCUSDT expired without a fill"


def test_a_close_that_filled_in_part_is_followed_by_one_at_market_for_the_rest(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    expire(rig)
    rig.wait(1000)
    expire(rig, "0.004")
    rig.wait(1000)
    assert (rig.last(CLOSE).type, rig.last(CLOSE).quantity) == (OrderType.MARKET, D("0.006"))
    assert rig.desk.books.holdings[LONG].refusals == {}


def test_a_share_too_small_to_close_holds_up_no_close_of_the_whole(rig: Rig) -> None:
    rig.fill(rig.enter(), "0.001")
    rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", fraction=D("0.3"))
    assert rig.submitted(CLOSE) == []
    rig.close_position()
    assert rig.last(CLOSE).quantity == D("0.001")


def test_the_end_of_the_ladder_is_told_once(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    for _ in range(6):
        rig.refuse(rig.last(CLOSE), -4131)
        rig.wait(1000)
    rig.wait(31_000)
    rig.refuse(rig.last(CLOSE), -4131)
    rig.wait(31_000)
    [alarm] = messages(rig, "error")
    assert "BTCUSDT cannot be closed" in alarm
    assert "its stop loss rests" in alarm
    assert rig.order(rig.last(STOP)).status is OrderStatus.NEW


@pytest.mark.parametrize("told", [{}, {"filled_quantity": D("0.004"), "average_price": D(49_000)}])
def test_a_stop_that_fired_and_expired_is_followed_by_a_close(rig: Rig, told: dict[str, Any]) -> None:
    rig.open_position()
    rig.clock.advance(1)
    rig.feed(rig.told(rig.last(STOP), type=OrderType.MARKET, status=OrderStatus.EXPIRED, **told))
    assert rig.last(CLOSE).type is OrderType.MARKET
    assert "fired and left a part" in messages(rig, "warning")[-1]


def test_a_stop_that_fired_and_does_not_fill_has_five_seconds(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(1)
    rig.feed(rig.told(rig.last(STOP), type=OrderType.MARKET))
    rig.wait(4000)
    assert rig.submitted(CLOSE) == []
    rig.wait(1000)
    assert rig.last(CLOSE).type is OrderType.MARKET


def test_a_stop_that_fired_and_filled_leaves_nothing_to_close(rig: Rig) -> None:
    rig.open_position()
    stop = rig.last(STOP)
    rig.clock.advance(1)
    rig.feed(rig.told(stop, type=OrderType.MARKET))
    rig.clock.advance(1)
    rig.fill(stop, price=49_000, pnl=-10)
    rig.wait(20_000)
    assert rig.submitted(CLOSE) == []
    assert rig.desk.books.holdings[LONG].fired_at == 0


def test_a_stop_that_ended_without_having_fired_is_only_replaced(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(1)
    rig.ended(rig.last(STOP), OrderStatus.EXPIRED)
    assert len(rig.submitted(STOP)) == 2
    assert rig.submitted(CLOSE) == []
