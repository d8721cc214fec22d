"""What is refused, and with which of the documented codes."""

from typing import Any

import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import Rejected
from tests.builders import an_instrument
from tests.engine.rig import BTC, ETH, D, Rig, a_request

STOP_MARKET = OrderType.STOP_MARKET


def refused(rig: Rig, **changes: Any) -> int:
    """The code of the refusal; nothing may have come of the order."""
    before = (rig.engine.account(), rig.engine.open_orders(), rig.engine.all_orders(BTC))
    with pytest.raises(Rejected) as refusal:
        rig.submit(**changes)
    assert (rig.engine.account(), rig.engine.open_orders(), rig.engine.all_orders(BTC)) == before
    return refusal.value.code


def a_stop(**changes: Any) -> dict[str, Any]:
    return {"type": STOP_MARKET, "side": Side.SELL, "stop_price": D(49_000), **changes}


FORMS: list[tuple[int, dict[str, Any]]] = [
    (-1121, {"symbol": "NONE"}),
    (-1116, {"type": OrderType.TRAILING_STOP_MARKET}),
    (-4015, {"client_order_id": "no spaces"}),
    (-4015, {"client_order_id": "x" * 37}),
    (-1102, {"quantity": None}),
    (-1102, {"price": None}),
    (-1102, {"time_in_force": None}),
    (-1102, {"type": OrderType.STOP, "price": D(49_000)}),
    (-1106, {"type": OrderType.MARKET, "price": D(49_000)}),
    (-1106, {"stop_price": D(49_000)}),
    (-1114, {"type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}),
    (-4136, {"close_position": True}),
    (-4137, a_stop(close_position=True)),
    (-1106, a_stop(close_position=True, quantity=None, reduce_only=True)),
    (-4061, {"position_side": PositionSide.LONG}),
]


@pytest.mark.parametrize(("code", "changes"), FORMS)
def test_an_order_of_the_wrong_form_is_refused(code: int, changes: dict[str, Any]) -> None:
    assert refused(Rig(), **changes) == code


FILTERS: list[tuple[int, dict[str, Any]]] = [
    (-4001, {"price": D(0)}),
    (-1111, {"price": D("49000.05")}),
    (-4013, {"price": D("0.1"), "instrument": {"min_price": D("0.2")}}),
    (-4002, {"price": D("52000"), "instrument": {"max_price": D(51_000)}}),
    (-4014, {"price": D("49000.3"), "instrument": {"tick": D("0.5")}}),
    (-4006, a_stop(stop_price=D(-1))),
    (-4007, a_stop(stop_price=D("52000"), instrument={"max_price": D(51_000)})),
    (-4003, {"quantity": D(0)}),
    (-1111, {"quantity": D("0.0001")}),
    (-4004, {"quantity": D("0.001"), "instrument": {"min_quantity": D("0.002")}}),
    (-4005, {"quantity": D(1001)}),
    (-4005, {"type": OrderType.MARKET, "quantity": D(121)}),
    (-4023, {"quantity": D("0.013"), "instrument": {"step": D("0.005")}}),
    (-4164, {"price": D(48_000), "quantity": D("0.001"), "instrument": {"min_notional": D(50)}}),
    (-4164, {"type": OrderType.MARKET, "quantity": D("0.001"), "instrument": {"min_notional": D(51)}}),
    (-4016, {"price": D("52500.1")}),
    (-4024, {"price": D("47499.9"), "side": Side.SELL}),
    (-4183, {"type": OrderType.STOP, "stop_price": D(51_000), "price": D("53550.1")}),
    (-4184, {"type": OrderType.STOP, "side": Side.SELL, "stop_price": D(49_000), "price": D("46549.9")}),
]


@pytest.mark.parametrize(("code", "changes"), FILTERS)
def test_an_order_outside_a_filter_is_refused(code: int, changes: dict[str, Any]) -> None:
    instrument = an_instrument(**changes.pop("instrument", {})) if "instrument" in changes else an_instrument()

    assert refused(Rig(instruments={BTC: instrument}), **changes) == code


def test_prices_on_the_edge_of_the_band_pass() -> None:
    rig = Rig()

    assert rig.submit(price=D(47_500), quantity=D("0.01")).status is OrderStatus.NEW
    assert rig.submit(price=D(52_500), side=Side.SELL, quantity=D("0.01")).status is OrderStatus.NEW


def test_a_price_bound_or_tick_of_zero_is_no_rule() -> None:
    free = an_instrument(min_price=D(0), max_price=D(0), tick=D(0))

    assert Rig(instruments={BTC: free}).submit(price=D("49000.3")).status is OrderStatus.NEW


def test_an_order_that_only_reduces_may_be_smaller_than_the_least_notional() -> None:
    rig = Rig(instruments={BTC: an_instrument(min_notional=D(100))})
    rig.buy("0.1")

    assert rig.sell("0.001", reduce_only=True).status is OrderStatus.FILLED


def test_hedge_mode_wants_a_slot_and_no_reduce_only() -> None:
    rig = Rig(hedge_mode=True)

    assert refused(rig) == -4061
    assert refused(rig, position_side=PositionSide.LONG, reduce_only=True) == -4062


def test_in_hedge_mode_close_position_must_be_on_the_closing_side() -> None:
    rig = Rig(hedge_mode=True)
    stop = {"type": STOP_MARKET, "close_position": True, "quantity": None, "stop_price": D(51_000)}

    assert refused(rig, position_side=PositionSide.LONG, side=Side.BUY, **stop) == -4136
    assert rig.submit(position_side=PositionSide.SHORT, side=Side.BUY, **stop).status is OrderStatus.NEW


def test_a_symbol_that_is_not_trading_lets_nothing_be_opened() -> None:
    rig = Rig()
    rig.buy("0.1")
    rig.engine.set_instrument(an_instrument(status="SETTLING"))

    assert refused(rig) == -4140
    assert rig.sell("0.1", reduce_only=True).status is OrderStatus.FILLED


def test_before_a_price_is_known_nothing_can_be_judged() -> None:
    assert refused(Rig(), symbol=ETH) == -1112


def test_a_market_order_needs_somebody_on_the_other_side() -> None:
    rig = Rig()
    rig.quote(50_000, 0, ask_quantity="0")

    assert refused(rig, type=OrderType.MARKET) == -1112


@pytest.mark.parametrize(
    "bounds", [{"market_take_bound": D("0.3")}, {"multiplier_up": D("1.3"), "multiplier_down": D("0.7")}]
)
def test_a_market_order_is_refused_where_the_best_price_is_past_its_nearer_bound(bounds: dict[str, Any]) -> None:
    rig = Rig(instruments={BTC: an_instrument(**bounds)})

    rig.quote(52_500, "52500.1")
    assert refused(rig, type=OrderType.MARKET) == -4131
    rig.quote("47499.9", 47_500)
    assert refused(rig, type=OrderType.MARKET, side=Side.SELL) == -4131
    assert rig.buy("0.01").status is OrderStatus.FILLED


def test_an_id_is_unique_among_open_orders_only() -> None:
    rig = Rig()
    order = rig.submit(client_order_id="mine")

    assert refused(rig, client_order_id="mine") == -4116

    rig.engine.cancel(BTC, rig.tick(), client_order_id="mine")
    again = rig.submit(client_order_id="mine")
    assert again.order_id > order.order_id
    assert rig.engine.order(BTC, client_order_id="mine").order_id == again.order_id


def test_orders_sent_without_an_id_are_given_one() -> None:
    rig = Rig()

    first, second = rig.submit(), rig.submit()

    assert first.client_order_id
    assert first.client_order_id != second.client_order_id


def test_a_symbol_holds_only_so_many_orders() -> None:
    rig = Rig(instruments={BTC: an_instrument(max_orders=2)})
    rig.submit(quantity=D("0.001"))
    rig.submit(quantity=D("0.001"))

    assert refused(rig, quantity=D("0.001")) == -2025


def test_a_symbol_holds_only_so_many_conditional_orders() -> None:
    rig = Rig(instruments={BTC: an_instrument(max_conditional_orders=1)})
    rig.submit(**a_stop())

    assert refused(rig, **a_stop()) == -4045
    assert rig.submit(quantity=D("0.001")).status is OrderStatus.NEW


def test_reduce_only_without_a_position_that_way_is_refused() -> None:
    rig = Rig()

    assert refused(rig, type=OrderType.MARKET, side=Side.SELL, reduce_only=True) == -2022
    rig.buy()
    assert refused(rig, type=OrderType.MARKET, side=Side.BUY, reduce_only=True) == -2022


def test_in_hedge_mode_a_close_larger_than_the_position_is_refused() -> None:
    rig = Rig(hedge_mode=True)
    long = {"position_side": PositionSide.LONG}
    rig.buy("0.1", **long)

    assert refused(rig, type=OrderType.MARKET, side=Side.SELL, quantity=D("0.2"), **long) == -2022
    assert rig.submit(**a_stop(quantity=D("0.2"), **long)).status is OrderStatus.NEW
    assert rig.sell("0.1", **long).status is OrderStatus.FILLED


def test_a_close_position_order_needs_no_position_yet() -> None:
    order = Rig().submit(**a_stop(close_position=True, quantity=None))

    assert (order.status, order.quantity) == (OrderStatus.NEW, D(0))


@pytest.mark.parametrize(
    ("order_type", "side", "stop_price"),
    [
        (STOP_MARKET, Side.SELL, 50_100),
        (STOP_MARKET, Side.BUY, 49_900),
        (OrderType.TAKE_PROFIT_MARKET, Side.SELL, 49_900),
        (OrderType.TAKE_PROFIT_MARKET, Side.BUY, 50_100),
    ],
)
def test_a_condition_that_is_already_met_is_refused(order_type: OrderType, side: Side, stop_price: int) -> None:
    assert refused(Rig(), type=order_type, side=side, stop_price=D(stop_price)) == -2021


def test_the_working_type_says_which_price_meets_the_condition() -> None:
    rig = Rig()
    rig.mark(48_900)

    assert refused(rig, **a_stop(working_type=WorkingType.MARK_PRICE)) == -2021
    assert rig.submit(**a_stop(working_type=WorkingType.CONTRACT_PRICE)).status is OrderStatus.NEW


def test_an_order_beyond_the_free_margin_is_refused() -> None:
    rig = Rig(money=245)

    assert refused(rig, quantity=D("0.101")) == -2019
    assert rig.submit(quantity=D("0.1")).status is OrderStatus.NEW
    assert rig.engine.account().available_balance == 0
    assert refused(rig, quantity=D("0.001")) == -2019


def test_a_price_worse_than_the_mark_costs_margin_at_once() -> None:
    rig = Rig(money=250)
    rig.mark(49_000)

    assert refused(rig, type=OrderType.MARKET, quantity=D("0.1")) == -2019


def test_orders_on_both_sides_bind_only_the_dearer_one() -> None:
    rig = Rig(money=250)
    rig.submit(side=Side.SELL, price=D(50_500), quantity=D("0.09"))

    assert rig.submit(price=D(49_000), quantity=D("0.09")).status is OrderStatus.NEW


def test_closing_needs_no_margin() -> None:
    rig = Rig(money=251)
    rig.buy("0.1")
    rig.mark(49_000)

    assert rig.engine.account().available_balance == 0
    assert rig.sell("0.1").status is OrderStatus.FILLED


def test_a_leverage_allows_only_so_large_a_position() -> None:
    rig = Rig()
    rig.engine.set_leverage(BTC, 100, rig.tick())

    assert refused(rig, quantity=D("1.021")) == -2027
    assert rig.submit(quantity=D("1.02")).status is OrderStatus.NEW


def test_a_request_says_exactly_what_it_is() -> None:
    assert a_request(type=OrderType.MARKET).price is None
    assert a_request().time_in_force is TimeInForce.GTC
