"""Conditional orders: when they fire, and what becomes of them."""

from typing import Any

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce, WorkingType
from tests.builders import an_instrument
from tests.engine.harness import BTC, ETH, D, EngineHarness, orders_in, statuses

S = OrderStatus
CLOSE = {"close_position": True, "quantity": None, "side": Side.SELL}


def a_stop(harness: EngineHarness, stop_price: str = "49000", **changes: Any) -> Any:
    return harness.submit(**{"type": OrderType.STOP_MARKET, "stop_price": D(stop_price), **CLOSE, **changes})


def test_triggered_stop_becomes_a_market_order_and_closes_everything() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)
    harness.buy("0.2")

    events = orders_in(harness.quote("48999.8", "48999.9"))

    assert [event.status for event in events] == [S.NEW, S.FILLED]
    assert {(event.order_id, event.type, event.original_type) for event in events} == {
        (stop.order_id, OrderType.MARKET, OrderType.STOP_MARKET)
    }
    assert (events[-1].quantity, harness.held) == (D("0.3"), D(0))


@pytest.mark.parametrize(
    ("order_type", "side", "stop_price", "before", "at"),
    [
        (OrderType.STOP_MARKET, Side.BUY, 51_000, 50_999, 51_000),
        (OrderType.STOP_MARKET, Side.SELL, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.BUY, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.SELL, 51_000, 50_999, 51_000),
    ],
)
def test_order_triggers_at_its_stop_price(
    order_type: OrderType, side: Side, stop_price: int, before: int, at: int
) -> None:
    harness = EngineHarness()
    order = harness.submit(type=order_type, side=side, stop_price=D(stop_price), working_type=WorkingType.MARK_PRICE)

    harness.mark(before)
    assert harness.status(order) is S.NEW
    harness.mark(at)
    assert harness.status(order) is S.FILLED


def test_mark_price_stop_ignores_trades() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness, working_type=WorkingType.MARK_PRICE)

    harness.trade(48_000)
    harness.quote(48_000, "48000.1")
    assert harness.status(stop) is S.NEW
    harness.mark(48_900)
    assert harness.status(stop) is S.FILLED


def test_contract_price_stop_ignores_the_mark() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)

    harness.mark(48_000)
    assert harness.status(stop) is S.NEW
    harness.quote(48_990, 50_000)
    harness.trade(48_999)
    assert harness.status(stop) is S.FILLED


def test_price_protection_delays_a_stop_while_prices_diverge() -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(trigger_protect=D("0.01"))})
    harness.buy("0.1")
    stop = a_stop(harness, price_protect=True)

    harness.quote(48_990, "48990.1")
    assert harness.status(stop) is S.NEW
    harness.mark(49_000)
    assert harness.status(stop) is S.FILLED


@pytest.mark.parametrize("working_type", list(WorkingType))
def test_no_trigger_without_a_contract_price(working_type: WorkingType) -> None:
    harness = EngineHarness()
    harness.mark(50_000, ETH)
    order = a_stop(harness, symbol=ETH, working_type=working_type, price_protect=True)

    harness.mark(48_000, ETH)

    assert harness.status(order) is S.NEW


def test_triggered_stop_limit_rests_at_its_price() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    order = harness.submit(
        type=OrderType.STOP, side=Side.SELL, stop_price=D(49_000), price=D(48_950), time_in_force=TimeInForce.GTC
    )

    harness.quote(48_900, "48900.1")
    current = harness.order(order)
    assert (current.status, current.type, current.original_type) == (S.NEW, OrderType.LIMIT, OrderType.STOP)

    harness.quote(48_960, "48960.1")
    assert harness.status(order) is S.FILLED


def test_close_position_stop_without_a_position_expires() -> None:
    harness = EngineHarness()
    order = a_stop(harness)

    assert statuses(harness.quote(48_990, "48990.1")) == [S.EXPIRED]
    assert (harness.order(order).quantity, harness.held) == (D(0), D(0))


def test_leftover_stop_closes_the_next_position() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    a_stop(harness)
    harness.sell("0.1")
    harness.buy("0.4")

    harness.quote(48_990, "48990.1")

    assert harness.held == 0


def test_second_of_two_stops_expires() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    first, second = a_stop(harness), a_stop(harness, "48999")

    harness.quote(48_990, "48990.1")

    assert (harness.status(first), harness.status(second), harness.held) == (S.FILLED, S.EXPIRED, D(0))


def test_stop_with_rejected_market_order_expires() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)

    harness.quote(47_000, "47000.1")  # the mark stays at 50,000: past marketTakeBound

    assert (harness.status(stop), harness.held) == (S.EXPIRED, D("0.1"))


def test_triggered_opening_stop_needs_margin() -> None:
    harness = EngineHarness(money=100)
    order = harness.submit(type=OrderType.STOP_MARKET, stop_price=D(51_000))

    harness.move_market(51_000)

    assert harness.status(order) is S.EXPIRED
