"""How orders become trades."""

import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.errors import Rejected
from src.engine.costs import Costs
from tests.engine.rig import BTC, D, Rig, accounts_in, fills_in, orders_in, statuses

S = OrderStatus
FEES = Costs(D("0.0002"), D("0.0004"), D("0.001"))


def test_a_market_order_is_accepted_then_filled_at_the_far_side() -> None:
    rig = Rig(FEES)

    events = rig.submit_events(type=OrderType.MARKET)

    assert statuses(events) == [S.NEW, S.FILLED]
    (fill,) = fills_in(events)
    assert (fill.price, fill.quantity, fill.is_maker) == (D("50000.1"), D("0.1"), False)
    assert (fill.commission, fill.commission_asset) == (D("2.00000400"), "USDT")
    (account,) = accounts_in(events)
    assert (account.reason, account.positions[0].position.quantity) == ("ORDER", D("0.1"))
    assert account.balances[0].wallet_balance == D("9997.99999600")


def test_a_market_order_larger_than_the_book_pays_for_it_and_expires_at_its_bound() -> None:
    rig = Rig(money=1_000_000)
    rig.quote(50_000, "50000.1", ask_quantity="0.01")

    order = rig.buy("15")

    assert order.status is S.EXPIRED
    assert 0 < order.filled_quantity < 15
    assert max(fill.price for fill in rig.engine.fills(BTC)) <= 52_500
    assert (
        order.average_price
        == sum((each.price * each.quantity for each in rig.engine.fills(BTC)), D(0)) / order.filled_quantity
    )


def test_a_limit_that_crosses_takes_the_book_at_better_prices_and_rests_with_the_remainder() -> None:
    rig = Rig()
    rig.engine.on_depth(BTC, [(D(50_000), D(1))], [(D("50000.1"), D("0.03")), (D("50000.3"), D("0.04"))], rig.tick())

    events = rig.submit_events(price=D("50000.2"))

    assert statuses(events) == [S.NEW, S.PARTIALLY_FILLED]
    assert fills_in(events)[0].price == D("50000.1")
    assert rig.engine.open_orders(BTC)[0].filled_quantity == D("0.03")


@pytest.mark.parametrize(
    ("time_in_force", "told", "filled"),
    [
        (TimeInForce.IOC, [S.NEW, S.PARTIALLY_FILLED, S.EXPIRED], "0.03"),
        (TimeInForce.FOK, [S.NEW, S.EXPIRED], "0"),
        (TimeInForce.GTX, [S.NEW, S.EXPIRED], "0"),
        (TimeInForce.GTC, [S.NEW, S.PARTIALLY_FILLED], "0.03"),
    ],
)
def test_what_becomes_of_a_crossing_limit(time_in_force: TimeInForce, told: list[OrderStatus], filled: str) -> None:
    rig = Rig()
    rig.quote(50_000, "50000.1", ask_quantity="0.03")

    events = rig.submit_events(price=D("50000.1"), time_in_force=time_in_force)

    assert statuses(events) == told
    assert rig.held == D(filled)


def test_fill_or_kill_fills_where_there_is_enough() -> None:
    assert statuses(Rig().submit_events(price=D("50000.1"), time_in_force=TimeInForce.FOK)) == [S.NEW, S.FILLED]


def test_a_post_only_order_rests_where_it_would_not_take() -> None:
    rig = Rig()

    assert rig.submit(price=D(50_000), time_in_force=TimeInForce.GTX).status is S.NEW
    rig.quote(0, 0, "0", "0")
    assert rig.submit(price=D(49_900), time_in_force=TimeInForce.GTX).status is S.NEW


def test_a_resting_limit_is_not_filled_at_the_touch() -> None:
    rig = Rig()
    order = rig.submit(price=D(50_000))

    rig.quote(50_000, "50000.1")
    rig.quote("49999.9", "50000.1", bid_quantity="0.001")

    assert rig.status(order) is S.NEW


def test_a_resting_limit_fills_at_its_own_price_as_maker_when_the_far_side_reaches_it() -> None:
    rig = Rig(FEES)
    order = rig.submit(price=D(49_000))

    events = rig.quote(48_990, "48995")

    (fill,) = fills_in(events)
    assert (fill.price, fill.is_maker, fill.commission) == (D(49_000), True, D("0.98"))
    assert rig.status(order) is S.FILLED


def test_a_resting_limit_gets_no_more_than_is_shown() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000))

    rig.quote(48_990, "48995", ask_quantity="0.04")
    rig.quote(48_990, "48995", ask_quantity="0.04")  # the same offer, already taken
    assert rig.order(order).filled_quantity == D("0.04")

    rig.quote(48_990, "48995", ask_quantity="0.03")
    assert rig.order(order).filled_quantity == D("0.07")


def test_two_resting_orders_share_what_is_shown_best_price_first() -> None:
    rig = Rig()
    low, high = rig.submit(price=D(49_000)), rig.submit(price=D(49_001))

    rig.quote(48_990, "48995", ask_quantity="0.15")

    assert rig.status(high) is S.FILLED
    assert rig.order(low).filled_quantity == D("0.05")


def test_a_trade_through_the_price_fills_up_to_what_was_traded() -> None:
    rig = Rig()
    order = rig.submit(price=D(49_000))

    assert [fill.quantity for fill in fills_in(rig.trade("48999.9", "0.06"))] == [D("0.06")]
    rig.trade("49000.1", "5")
    assert rig.status(order) is S.PARTIALLY_FILLED
    rig.trade("48999.9", "5")
    assert rig.status(order) is S.FILLED


def test_a_trade_at_the_price_serves_the_queue_first() -> None:
    rig = Rig()
    rig.quote(50_000, "50000.1", bid_quantity="3")
    order = rig.submit(price=D(50_000))

    rig.trade(50_000, "2")
    assert rig.status(order) is S.NEW
    rig.trade(50_000, "1.04")
    assert rig.order(order).filled_quantity == D("0.04")


def test_the_queue_shrinks_with_what_is_shown_and_is_gone_behind_the_touch() -> None:
    rig = Rig()
    rig.quote(50_000, "50000.1", bid_quantity="3")
    order = rig.submit(price=D(50_000))

    rig.quote(50_000, "50000.1", bid_quantity="0.5")
    rig.trade(50_000, "0.53")
    assert rig.order(order).filled_quantity == D("0.03")

    rig.quote("49999.9", "50000.1")
    rig.trade(50_000, "0.07")
    assert rig.status(order) is S.FILLED


def test_one_trade_is_not_handed_to_two_orders() -> None:
    rig = Rig()
    first, second = rig.submit(price=D(49_000)), rig.submit(price=D(49_000))

    rig.trade(48_000, "0.15")

    assert (rig.status(first), rig.order(second).filled_quantity) == (S.FILLED, D("0.05"))


def test_a_sell_rests_and_fills_by_the_same_rules() -> None:
    rig = Rig()
    order = rig.submit(side=Side.SELL, price=D(51_000))

    rig.quote("50999.9", 51_000)
    assert rig.status(order) is S.NEW
    rig.quote(51_001, 51_002)
    assert rig.status(order) is S.FILLED
    assert rig.held == D("-0.1")


def test_reduce_only_fills_no_more_than_there_is_and_never_flips() -> None:
    rig = Rig()
    rig.buy("0.1")

    order = rig.sell("0.3", reduce_only=True)

    assert (order.status, order.filled_quantity) == (S.EXPIRED, D("0.1"))
    assert rig.held == 0


def test_a_resting_reduce_only_order_ends_with_the_position_and_a_stop_does_not() -> None:
    rig = Rig()
    rig.buy("0.1")
    target = rig.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    stop = rig.submit(type=OrderType.STOP_MARKET, side=Side.SELL, stop_price=D(49_000), reduce_only=True)

    events = rig.submit_events(type=OrderType.MARKET, side=Side.SELL)

    assert orders_in(events)[-1].order_id == target.order_id
    assert (rig.status(target), rig.status(stop)) == (S.EXPIRED, S.NEW)


def test_a_resting_reduce_only_order_larger_than_the_position_expires_once_flat() -> None:
    rig = Rig()
    rig.buy("0.1")
    order = rig.submit(side=Side.SELL, price=D(51_000), quantity=D("0.5"), reduce_only=True)

    events = rig.quote(51_500, "51500.1")

    assert statuses(events) == [S.PARTIALLY_FILLED, S.EXPIRED]
    assert (rig.order(order).filled_quantity, rig.held) == (D("0.1"), D(0))


def test_two_resting_closes_do_not_close_twice() -> None:
    rig = Rig()
    rig.buy("0.1")
    first = rig.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    second = rig.submit(side=Side.SELL, price=D(51_001), reduce_only=True)

    rig.trade(52_000, "9")

    assert (rig.status(first), rig.status(second), rig.held) == (S.FILLED, S.EXPIRED, D(0))


def test_in_hedge_mode_long_and_short_stand_side_by_side() -> None:
    rig = Rig(hedge_mode=True)

    rig.buy("0.1", position_side=PositionSide.LONG)
    rig.sell("0.2", position_side=PositionSide.SHORT)
    rig.sell("0.05", position_side=PositionSide.LONG)

    assert rig.position(BTC, PositionSide.LONG).quantity == D("0.05")
    assert rig.position(BTC, PositionSide.SHORT).quantity == D("-0.2")


def test_a_one_way_position_may_be_turned_over() -> None:
    rig = Rig()
    rig.buy("0.1")
    rig.quote(51_000, "51000.1")

    rig.sell("0.3")

    position = rig.position()
    assert (position.quantity, position.entry_price) == (D("-0.2"), D(51_000))
    assert rig.wallet == D("10099.99")


def test_a_cancelled_order_is_told_and_not_open_any_more() -> None:
    rig = Rig()
    order = rig.submit()

    events = rig.engine.cancel(BTC, rig.tick(), order_id=order.order_id)

    assert statuses(events) == [S.CANCELED]
    assert rig.engine.open_orders() == []
    assert rig.engine.all_orders(BTC)[0].status is S.CANCELED


def test_what_is_not_open_cannot_be_cancelled() -> None:
    rig = Rig()
    order = rig.buy()

    for key in ({"order_id": order.order_id}, {"order_id": 1}, {"client_order_id": "unknown"}):
        with pytest.raises(Rejected) as refusal:
            rig.engine.cancel(BTC, rig.tick(), **key)
        assert refusal.value.code == -2011


def test_an_unknown_order_cannot_be_asked_for() -> None:
    with pytest.raises(Rejected) as refusal:
        Rig().engine.order(BTC, client_order_id="unknown")

    assert refusal.value.code == -2013


def test_numbers_rise_and_go_on_rising_in_an_engine_started_later() -> None:
    rig, later = Rig(), Rig()
    first, second = rig.submit(), rig.submit()
    later.now = rig.now

    third = later.submit()

    assert first.order_id < second.order_id < third.order_id
    assert rig.engine.created_at(BTC, second.order_id) == rig.now
