"""Resting limit orders that are given another price and quantity."""

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderUpdate
from src.engine.amendment import Amendment
from tests.engine.rig import BTC, D, Rig


def amended(rig: Rig, order: OrderUpdate, price: str, quantity: str) -> OrderUpdate:
    """What the order is afterwards."""
    rig.engine.amend(BTC, Amendment(Price(D(price)), Quantity(D(quantity))), rig.tick(), order_id=order.order_id)
    return rig.order(order)


def refused(rig: Rig, order: OrderUpdate, price: str, quantity: str) -> int:
    """The code of the refusal; the order must be as it was."""
    before = (rig.engine.account(), rig.engine.open_orders(), rig.engine.all_orders(BTC))
    with pytest.raises(Rejected) as refusal:
        amended(rig, order, price, quantity)
    assert (rig.engine.account(), rig.engine.open_orders(), rig.engine.all_orders(BTC)) == before
    return refusal.value.code


def test_it_rests_at_the_new_price_under_its_number_and_name() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000), quantity=D("0.1"))
    after = amended(rig, order, "48000", "0.2")

    assert (after.price, after.quantity, after.status) == (D(48_000), D("0.2"), OrderStatus.NEW)
    assert (after.order_id, after.client_order_id) == (order.order_id, order.client_order_id)
    assert rig.engine.open_orders() == [after]
    assert rig.engine.order_margin() == D("0.2") * 48_000 / rig.position().leverage


def test_it_may_take_at_once_what_it_reaches() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000), quantity=D("0.1"))

    assert amended(rig, order, "50000.1", "0.1").status is OrderStatus.FILLED
    assert rig.held == D("0.1")


def test_one_that_may_not_take_expires_instead() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000), quantity=D("0.1"), time_in_force=TimeInForce.GTX)

    assert amended(rig, order, "50001", "0.1").status is OrderStatus.EXPIRED
    assert rig.held == 0


def test_what_is_filled_stays_filled() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000), quantity=D("0.3"))
    rig.trade(48_999, "0.1")
    after = amended(rig, order, "48500", "0.2")

    assert (after.status, after.filled_quantity, after.quantity) == (OrderStatus.PARTIALLY_FILLED, D("0.1"), D("0.2"))
    assert refused(rig, order, "48500", "0.1") == -4003


def test_the_margin_of_the_old_order_is_free_for_the_new_one() -> None:
    rig = Rig(money=250)
    leverage = rig.position().leverage
    quantity = D(240) * leverage / 49_000
    order = rig.submit(price=D(49_000), quantity=quantity.quantize(D("0.001")))

    assert amended(rig, order, "48900", str(order.quantity)).price == 48_900
    assert refused(rig, order, "48900", str(order.quantity * 2)) == -2019


@pytest.mark.parametrize(
    ("price", "quantity", "code"), [("49000.05", "0.1", -1111), ("70000", "0.1", -4016), ("49000", "0.00001", -1111)]
)
def test_a_wish_that_no_filter_lets_pass_changes_nothing(price: str, quantity: str, code: int) -> None:
    rig = Rig()

    assert refused(rig, rig.submit(price=D(49_000)), price, quantity) == code


def test_only_open_limit_orders_can_be_modified() -> None:
    rig = Rig()
    stop = rig.submit(type=OrderType.STOP_MARKET, side=Side.SELL, stop_price=D(49_000), price=None, time_in_force=None)
    ended = rig.submit(price=D(49_000))
    rig.engine.cancel(BTC, rig.tick(), order_id=ended.order_id)

    assert refused(rig, stop, "49000", "0.1") == -1116
    assert refused(rig, ended, "49000", "0.1") == -2013
