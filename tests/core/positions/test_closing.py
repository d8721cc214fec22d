"""Closing positions: repeated attempts, the alert after too many, and triggered stops that do not fill."""

from decimal import Decimal
from typing import Any

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, OrderStatus, OrderType
from tests.core.harness import LONG, Harness

D = Decimal
STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


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
    assert harness.context.portfolio.tracked_positions[LONG].rejections == {}


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
    assert harness.context.portfolio.tracked_positions[LONG].stop_triggered_at == 0


def test_stop_ended_without_trigger_is_replaced(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(1)
    harness.end_order(harness.last(STOP), OrderStatus.EXPIRED)
    assert len(harness.submitted(STOP)) == 2
    assert harness.submitted(CLOSE) == []
