"""Changes of price and quantity of open limit orders."""

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderUpdate
from src.engine.execution import Modification
from tests.engine.harness import BTC, D, EngineHarness


def modify(harness: EngineHarness, order: OrderUpdate, price: str, quantity: str) -> OrderUpdate:
    """Modify the order and return its resulting state."""
    harness.engine.modify(
        BTC, Modification(Price(D(price)), Quantity(D(quantity))), harness.tick(), order_id=order.order_id
    )
    return harness.order(order)


def rejection_code(harness: EngineHarness, order: OrderUpdate, price: str, quantity: str) -> int:
    """Return the rejection code; the order must be unchanged."""
    before = (harness.engine.account(), harness.engine.open_orders(), harness.engine.all_orders(BTC))
    with pytest.raises(Rejected) as caught:
        modify(harness, order, price, quantity)
    assert (harness.engine.account(), harness.engine.open_orders(), harness.engine.all_orders(BTC)) == before
    return caught.value.code


def test_modified_order_keeps_its_ids() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000), quantity=D("0.1"))
    after = modify(harness, order, "48000", "0.2")

    assert (after.price, after.quantity, after.status) == (D(48_000), D("0.2"), OrderStatus.NEW)
    assert (after.order_id, after.client_order_id) == (order.order_id, order.client_order_id)
    assert harness.engine.open_orders() == [after]
    assert harness.engine.order_margin() == D("0.2") * 48_000 / harness.position().leverage


def test_modified_order_may_fill_at_once() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000), quantity=D("0.1"))

    assert modify(harness, order, "50000.1", "0.1").status is OrderStatus.FILLED
    assert harness.held == D("0.1")


def test_modified_post_only_order_that_would_cross_expires() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000), quantity=D("0.1"), time_in_force=TimeInForce.GTX)

    assert modify(harness, order, "50001", "0.1").status is OrderStatus.EXPIRED
    assert harness.held == 0


def test_modified_order_keeps_its_fills() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000), quantity=D("0.3"))
    harness.trade(48_999, "0.1")
    after = modify(harness, order, "48500", "0.2")

    assert (after.status, after.filled_quantity, after.quantity) == (OrderStatus.PARTIALLY_FILLED, D("0.1"), D("0.2"))
    assert rejection_code(harness, order, "48500", "0.1") == -4003


def test_margin_of_the_old_order_is_reused() -> None:
    harness = EngineHarness(money=250)
    leverage = harness.position().leverage
    quantity = D(240) * leverage / 49_000
    order = harness.submit(price=D(49_000), quantity=quantity.quantize(D("0.001")))

    assert modify(harness, order, "48900", str(order.quantity)).price == 48_900
    assert rejection_code(harness, order, "48900", str(order.quantity * 2)) == -2019


@pytest.mark.parametrize(
    ("price", "quantity", "code"), [("49000.05", "0.1", -1111), ("70000", "0.1", -4016), ("49000", "0.00001", -1111)]
)
def test_rejected_modification_changes_nothing(price: str, quantity: str, code: int) -> None:
    harness = EngineHarness()

    assert rejection_code(harness, harness.submit(price=D(49_000)), price, quantity) == code


def test_only_open_limit_orders_can_be_modified() -> None:
    harness = EngineHarness()
    stop = harness.submit(
        type=OrderType.STOP_MARKET, side=Side.SELL, stop_price=D(49_000), price=None, time_in_force=None
    )
    closed = harness.submit(price=D(49_000))
    harness.engine.cancel(BTC, harness.tick(), order_id=closed.order_id)

    assert rejection_code(harness, stop, "49000", "0.1") == -1116
    assert rejection_code(harness, closed, "49000", "0.1") == -2013
