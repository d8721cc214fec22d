"""Conditional orders: when they fire, and what becomes of them."""

from typing import Any

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce, WorkingType
from tests.builders import an_instrument
from tests.engine.rig import BTC, ETH, D, Rig, orders_in, statuses

S = OrderStatus
CLOSE = {"close_position": True, "quantity": None, "side": Side.SELL}


def a_stop(rig: Rig, stop_price: str = "49000", **changes: Any) -> Any:
    return rig.submit(**{"type": OrderType.STOP_MARKET, "stop_price": D(stop_price), **CLOSE, **changes})


def test_a_fired_stop_becomes_a_market_order_under_its_number_and_closes_everything() -> None:
    rig = Rig()
    rig.buy("0.1")
    stop = a_stop(rig)
    rig.buy("0.2")

    events = orders_in(rig.quote("48999.8", "48999.9"))

    assert [event.status for event in events] == [S.NEW, S.FILLED]
    assert {(event.order_id, event.type, event.original_type) for event in events} == {
        (stop.order_id, OrderType.MARKET, OrderType.STOP_MARKET)
    }
    assert (events[-1].quantity, rig.held) == (D("0.3"), D(0))


@pytest.mark.parametrize(
    ("order_type", "side", "stop_price", "before", "at"),
    [
        (OrderType.STOP_MARKET, Side.BUY, 51_000, 50_999, 51_000),
        (OrderType.STOP_MARKET, Side.SELL, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.BUY, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.SELL, 51_000, 50_999, 51_000),
    ],
)
def test_a_condition_is_met_at_its_price_and_not_before(
    order_type: OrderType, side: Side, stop_price: int, before: int, at: int
) -> None:
    rig = Rig()
    order = rig.submit(type=order_type, side=side, stop_price=D(stop_price), working_type=WorkingType.MARK_PRICE)

    rig.mark(before)
    assert rig.status(order) is S.NEW
    rig.mark(at)
    assert rig.status(order) is S.FILLED


def test_a_mark_price_stop_does_not_look_at_trades() -> None:
    rig = Rig()
    rig.buy("0.1")
    stop = a_stop(rig, working_type=WorkingType.MARK_PRICE)

    rig.trade(48_000)
    rig.quote(48_000, "48000.1")
    assert rig.status(stop) is S.NEW
    rig.mark(48_900)
    assert rig.status(stop) is S.FILLED


def test_a_contract_price_stop_does_not_look_at_the_mark() -> None:
    rig = Rig()
    rig.buy("0.1")
    stop = a_stop(rig)

    rig.mark(48_000)
    assert rig.status(stop) is S.NEW
    rig.quote(48_990, 50_000)
    rig.trade(48_999)
    assert rig.status(stop) is S.FILLED


def test_price_protection_withholds_a_stop_while_mark_and_contract_price_are_apart() -> None:
    rig = Rig(instruments={BTC: an_instrument(trigger_protect=D("0.01"))})
    rig.buy("0.1")
    stop = a_stop(rig, price_protect=True)

    rig.quote(48_990, "48990.1")
    assert rig.status(stop) is S.NEW
    rig.mark(49_000)
    assert rig.status(stop) is S.FILLED


@pytest.mark.parametrize("working_type", list(WorkingType))
def test_without_a_contract_price_nothing_is_met_that_depends_on_it(working_type: WorkingType) -> None:
    rig = Rig()
    rig.mark(50_000, ETH)
    order = a_stop(rig, symbol=ETH, working_type=working_type, price_protect=True)

    rig.mark(48_000, ETH)

    assert rig.status(order) is S.NEW


def test_a_fired_stop_limit_rests_at_its_price() -> None:
    rig = Rig()
    rig.buy("0.1")
    order = rig.submit(
        type=OrderType.STOP, side=Side.SELL, stop_price=D(49_000), price=D(48_950), time_in_force=TimeInForce.GTC
    )

    rig.quote(48_900, "48900.1")
    told = rig.order(order)
    assert (told.status, told.type, told.original_type) == (S.NEW, OrderType.LIMIT, OrderType.STOP)

    rig.quote(48_960, "48960.1")
    assert rig.status(order) is S.FILLED


def test_a_close_that_fires_without_a_position_expires() -> None:
    rig = Rig()
    order = a_stop(rig)

    assert statuses(rig.quote(48_990, "48990.1")) == [S.EXPIRED]
    assert (rig.order(order).quantity, rig.held) == (D(0), D(0))


def test_a_stop_left_behind_closes_the_next_position_that_way() -> None:
    rig = Rig()
    rig.buy("0.1")
    a_stop(rig)
    rig.sell("0.1")
    rig.buy("0.4")

    rig.quote(48_990, "48990.1")

    assert rig.held == 0


def test_of_two_stops_the_second_finds_nothing_left() -> None:
    rig = Rig()
    rig.buy("0.1")
    first, second = a_stop(rig), a_stop(rig, "48999")

    rig.quote(48_990, "48990.1")

    assert (rig.status(first), rig.status(second), rig.held) == (S.FILLED, S.EXPIRED, D(0))


def test_a_stop_whose_market_order_is_refused_expires() -> None:
    rig = Rig()
    rig.buy("0.1")
    stop = a_stop(rig)

    rig.quote(47_000, "47000.1")  # the mark stays at 50,000: past marketTakeBound

    assert (rig.status(stop), rig.held) == (S.EXPIRED, D("0.1"))


def test_a_fired_stop_that_opens_needs_margin_then() -> None:
    rig = Rig(money=100)
    order = rig.submit(type=OrderType.STOP_MARKET, stop_price=D(51_000))

    rig.market(51_000)

    assert rig.status(order) is S.EXPIRED
