"""Orders of the account that would trade with each other (Change STP Mode)."""

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from src.domain.orders import OrderUpdate
from src.engine.state import SelfTradePrevention
from tests.engine.harness import D, EngineHarness

TAKER, MAKER, BOTH = SelfTradePrevention
NEW, EXPIRED, PART = OrderStatus.NEW, OrderStatus.EXPIRED, OrderStatus.PARTIALLY_FILLED


def with_own_sell_order(mode: SelfTradePrevention | None) -> tuple[EngineHarness, OrderUpdate]:
    """An own order at 50,010, behind a best ask of 0.05 at 50,000.1."""
    harness = EngineHarness()
    harness.engine.set_self_trade_prevention(mode)
    own = harness.submit(side=Side.SELL, price=D(50_010))
    harness.quote(50_000, "50000.1", ask_quantity="0.05")
    return harness, own


@pytest.mark.parametrize(
    ("mode", "taker", "maker"), [(TAKER, EXPIRED, NEW), (MAKER, PART, EXPIRED), (BOTH, EXPIRED, EXPIRED)]
)
def test_order_that_would_meet_an_own_order(mode: SelfTradePrevention, taker: OrderStatus, maker: OrderStatus) -> None:
    harness, own = with_own_sell_order(mode)
    order = harness.submit(price=D(50_020))

    assert (order.status, order.filled_quantity, harness.status(own)) == (taker, D("0.05"), maker)
    ended = {each.order_id for each in (harness.order(order), harness.order(own)) if each.status is EXPIRED}
    assert {each.order_id for each in (order, own) if harness.engine.is_self_trade(each.order_id)} == ended


def test_orders_do_not_meet_outside_the_book() -> None:
    harness, own = with_own_sell_order(None)

    assert harness.submit(price=D(50_020)).status is PART
    assert harness.status(own) is NEW


def test_displayed_quantity_comes_before_an_own_order() -> None:
    harness, own = with_own_sell_order(TAKER)

    assert harness.submit(quantity=D("0.05"), price=D(50_020)).status is OrderStatus.FILLED
    assert harness.status(own) is NEW


def test_market_order_expires_where_it_meets_an_own_order() -> None:
    harness = EngineHarness()
    harness.engine.set_self_trade_prevention(TAKER)
    harness.buy("0.2")
    harness.submit(price=D(49_980))
    harness.quote(50_000, "50000.1", bid_quantity="0.05")
    close = harness.sell("0.2", reduce_only=True)

    assert (close.status, close.filled_quantity, harness.held) == (EXPIRED, D("0.05"), D("0.15"))


def test_triggered_stop_expires_where_it_meets_an_own_order() -> None:
    harness = EngineHarness()
    harness.engine.set_self_trade_prevention(TAKER)
    harness.buy("0.2")
    stop = harness.submit(
        type=OrderType.STOP_MARKET, side=Side.SELL, quantity=None, stop_price=D(49_990), close_position=True
    )
    own = harness.submit(price=D(49_970))
    harness.quote(49_985, "49985.1", bid_quantity="0.05")
    harness.trade(49_985, "0.01")

    assert harness.status(stop) is EXPIRED
    assert harness.engine.is_self_trade(stop.order_id)
    assert (harness.held, harness.status(own)) == (D("0.15"), NEW)


def test_fill_or_kill_order_fills_nothing_if_it_would_meet_an_own_order() -> None:
    harness = EngineHarness()
    harness.engine.set_self_trade_prevention(TAKER)
    harness.submit(side=Side.SELL, price=D("50005"))
    at = harness.tick()
    harness.engine.on_depth("BTCUSDT", [(D(50_000), D(1))], [(D("50000.1"), D("0.05")), (D(50_010), D(1))], at)
    order = harness.submit(price=D(50_020), time_in_force=TimeInForce.FOK)

    assert (order.status, order.filled_quantity) == (EXPIRED, D(0))
