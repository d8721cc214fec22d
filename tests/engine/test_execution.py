"""Fills against the book and public trades, reduce-only orders and cancels."""

import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.errors import Rejected
from src.engine.margin import Fees
from tests.engine.harness import BTC, D, EngineHarness, accounts_in, fills_in, orders_in, statuses

S = OrderStatus
FEES = Fees(D("0.0002"), D("0.0004"), D("0.001"))


def test_market_order_is_accepted_and_filled_at_the_ask() -> None:
    harness = EngineHarness(FEES)

    events = harness.submit_events(type=OrderType.MARKET)

    assert statuses(events) == [S.NEW, S.FILLED]
    (fill,) = fills_in(events)
    assert (fill.price, fill.quantity, fill.is_maker) == (D("50000.1"), D("0.1"), False)
    assert (fill.commission, fill.commission_asset) == (D("2.00000400"), "USDT")
    (account,) = accounts_in(events)
    assert (account.reason, account.positions[0].position.quantity) == ("ORDER", D("0.1"))
    assert account.balances[0].wallet_balance == D("9997.99999600")


def test_oversized_market_order_expires_at_its_price_limit() -> None:
    harness = EngineHarness(money=1_000_000)
    harness.quote(50_000, "50000.1", ask_quantity="0.01")

    order = harness.buy("15")

    assert order.status is S.EXPIRED
    assert 0 < order.filled_quantity < 15
    assert max(fill.price for fill in harness.engine.fills(BTC)) <= 52_500
    assert (
        order.average_price
        == sum((each.price * each.quantity for each in harness.engine.fills(BTC)), D(0)) / order.filled_quantity
    )


def test_crossing_limit_fills_and_leaves_the_remainder_open() -> None:
    harness = EngineHarness()
    harness.engine.on_depth(
        BTC, [(D(50_000), D(1))], [(D("50000.1"), D("0.03")), (D("50000.3"), D("0.04"))], harness.tick()
    )

    events = harness.submit_events(price=D("50000.2"))

    assert statuses(events) == [S.NEW, S.PARTIALLY_FILLED]
    assert fills_in(events)[0].price == D("50000.1")
    assert harness.engine.open_orders(BTC)[0].filled_quantity == D("0.03")


@pytest.mark.parametrize(
    ("time_in_force", "expected", "filled"),
    [
        (TimeInForce.IOC, [S.NEW, S.PARTIALLY_FILLED, S.EXPIRED], "0.03"),
        (TimeInForce.FOK, [S.NEW, S.EXPIRED], "0"),
        (TimeInForce.GTX, [S.NEW, S.EXPIRED], "0"),
        (TimeInForce.GTC, [S.NEW, S.PARTIALLY_FILLED], "0.03"),
    ],
)
def test_crossing_limit_by_time_in_force(time_in_force: TimeInForce, expected: list[OrderStatus], filled: str) -> None:
    harness = EngineHarness()
    harness.quote(50_000, "50000.1", ask_quantity="0.03")

    events = harness.submit_events(price=D("50000.1"), time_in_force=time_in_force)

    assert statuses(events) == expected
    assert harness.held == D(filled)


def test_fill_or_kill_fills_with_enough_liquidity() -> None:
    assert statuses(EngineHarness().submit_events(price=D("50000.1"), time_in_force=TimeInForce.FOK)) == [
        S.NEW,
        S.FILLED,
    ]


def test_post_only_order_that_does_not_cross_stays_open() -> None:
    harness = EngineHarness()

    assert harness.submit(price=D(50_000), time_in_force=TimeInForce.GTX).status is S.NEW
    harness.quote(0, 0, "0", "0")
    assert harness.submit(price=D(49_900), time_in_force=TimeInForce.GTX).status is S.NEW


def test_open_limit_is_not_filled_at_the_best_price() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(50_000))

    harness.quote(50_000, "50000.1")
    harness.quote("49999.9", "50000.1", bid_quantity="0.001")

    assert harness.status(order) is S.NEW


def test_open_limit_fills_at_its_own_price_as_maker() -> None:
    harness = EngineHarness(FEES)
    order = harness.submit(price=D(49_000))

    events = harness.quote(48_990, "48995")

    (fill,) = fills_in(events)
    assert (fill.price, fill.is_maker, fill.commission) == (D(49_000), True, D("0.98"))
    assert harness.status(order) is S.FILLED


def test_open_limit_fills_at_most_the_displayed_quantity() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000))

    harness.quote(48_990, "48995", ask_quantity="0.04")
    harness.quote(48_990, "48995", ask_quantity="0.04")  # the same quantity, already taken
    assert harness.order(order).filled_quantity == D("0.04")

    harness.quote(48_990, "48995", ask_quantity="0.03")
    assert harness.order(order).filled_quantity == D("0.07")


def test_displayed_quantity_goes_to_the_best_price_first() -> None:
    harness = EngineHarness()
    low, high = harness.submit(price=D(49_000)), harness.submit(price=D(49_001))

    harness.quote(48_990, "48995", ask_quantity="0.15")

    assert harness.status(high) is S.FILLED
    assert harness.order(low).filled_quantity == D("0.05")


def test_trade_through_the_price_fills_its_quantity() -> None:
    harness = EngineHarness()
    order = harness.submit(price=D(49_000))

    assert [fill.quantity for fill in fills_in(harness.trade("48999.9", "0.06"))] == [D("0.06")]
    harness.trade("49000.1", "5")
    assert harness.status(order) is S.PARTIALLY_FILLED
    harness.trade("48999.9", "5")
    assert harness.status(order) is S.FILLED


def test_trade_at_the_price_fills_the_queue_first() -> None:
    harness = EngineHarness()
    harness.quote(50_000, "50000.1", bid_quantity="3")
    order = harness.submit(price=D(50_000))

    harness.trade(50_000, "2")
    assert harness.status(order) is S.NEW
    harness.trade(50_000, "1.04")
    assert harness.order(order).filled_quantity == D("0.04")


def test_queue_shrinks_with_the_displayed_quantity() -> None:
    harness = EngineHarness()
    harness.quote(50_000, "50000.1", bid_quantity="3")
    order = harness.submit(price=D(50_000))

    harness.quote(50_000, "50000.1", bid_quantity="0.5")
    harness.trade(50_000, "0.53")
    assert harness.order(order).filled_quantity == D("0.03")

    harness.quote("49999.9", "50000.1")
    harness.trade(50_000, "0.07")
    assert harness.status(order) is S.FILLED


def test_one_trade_is_not_used_twice() -> None:
    harness = EngineHarness()
    first, second = harness.submit(price=D(49_000)), harness.submit(price=D(49_000))

    harness.trade(48_000, "0.15")

    assert (harness.status(first), harness.order(second).filled_quantity) == (S.FILLED, D("0.05"))


def test_open_sell_fills_by_the_same_rules() -> None:
    harness = EngineHarness()
    order = harness.submit(side=Side.SELL, price=D(51_000))

    harness.quote("50999.9", 51_000)
    assert harness.status(order) is S.NEW
    harness.quote(51_001, 51_002)
    assert harness.status(order) is S.FILLED
    assert harness.held == D("-0.1")


def test_reduce_only_order_never_flips_the_position() -> None:
    harness = EngineHarness()
    harness.buy("0.1")

    order = harness.sell("0.3", reduce_only=True)

    assert (order.status, order.filled_quantity) == (S.EXPIRED, D("0.1"))
    assert harness.held == 0


def test_resting_reduce_only_order_expires_with_the_position() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    target = harness.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    stop = harness.submit(type=OrderType.STOP_MARKET, side=Side.SELL, stop_price=D(49_000), reduce_only=True)

    events = harness.submit_events(type=OrderType.MARKET, side=Side.SELL)

    assert orders_in(events)[-1].order_id == target.order_id
    assert (harness.status(target), harness.status(stop)) == (S.EXPIRED, S.NEW)


def test_oversized_reduce_only_order_expires_once_flat() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    order = harness.submit(side=Side.SELL, price=D(51_000), quantity=D("0.5"), reduce_only=True)

    events = harness.quote(51_500, "51500.1")

    assert statuses(events) == [S.PARTIALLY_FILLED, S.EXPIRED]
    assert (harness.order(order).filled_quantity, harness.held) == (D("0.1"), D(0))


def test_two_open_closes_do_not_close_twice() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    first = harness.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    second = harness.submit(side=Side.SELL, price=D(51_001), reduce_only=True)

    harness.trade(52_000, "9")

    assert (harness.status(first), harness.status(second), harness.held) == (S.FILLED, S.EXPIRED, D(0))


def test_hedge_mode_keeps_long_and_short_separate() -> None:
    harness = EngineHarness(hedge_mode=True)

    harness.buy("0.1", position_side=PositionSide.LONG)
    harness.sell("0.2", position_side=PositionSide.SHORT)
    harness.sell("0.05", position_side=PositionSide.LONG)

    assert harness.position(BTC, PositionSide.LONG).quantity == D("0.05")
    assert harness.position(BTC, PositionSide.SHORT).quantity == D("-0.2")


def test_one_way_position_can_be_flipped() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    harness.quote(51_000, "51000.1")

    harness.sell("0.3")

    position = harness.position()
    assert (position.quantity, position.entry_price) == (D("-0.2"), D(51_000))
    assert harness.wallet == D("10099.99")


def test_cancelled_order_is_reported_and_closed() -> None:
    harness = EngineHarness()
    order = harness.submit()

    events = harness.engine.cancel(BTC, harness.tick(), order_id=order.order_id)

    assert statuses(events) == [S.CANCELED]
    assert harness.engine.open_orders() == []
    assert harness.engine.all_orders(BTC)[0].status is S.CANCELED


def test_closed_or_unknown_order_cannot_be_cancelled() -> None:
    harness = EngineHarness()
    order = harness.buy()

    for key in ({"order_id": order.order_id}, {"order_id": 1}, {"client_order_id": "unknown"}):
        with pytest.raises(Rejected) as caught:
            harness.engine.cancel(BTC, harness.tick(), **key)
        assert caught.value.code == -2011


def test_querying_an_unknown_order_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        EngineHarness().engine.order(BTC, client_order_id="unknown")

    assert caught.value.code == -2013


def test_ids_keep_increasing_in_a_later_engine() -> None:
    harness, later = EngineHarness(), EngineHarness()
    first, second = harness.submit(), harness.submit()
    later.now = harness.now

    third = later.submit()

    assert first.order_id < second.order_id < third.order_id
    assert harness.engine.created_at(BTC, second.order_id) == harness.now
