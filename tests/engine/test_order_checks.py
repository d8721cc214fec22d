"""Rejections of new orders, with the documented error codes."""

from typing import Any

import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import Rejected
from tests.builders import an_instrument
from tests.engine.harness import BTC, ETH, D, EngineHarness, a_request

STOP_MARKET = OrderType.STOP_MARKET


def rejection_code(harness: EngineHarness, **changes: Any) -> int:
    """Return the rejection code; the account must be unchanged."""
    before = (harness.engine.account(), harness.engine.open_orders(), harness.engine.all_orders(BTC))
    with pytest.raises(Rejected) as caught:
        harness.submit(**changes)
    assert (harness.engine.account(), harness.engine.open_orders(), harness.engine.all_orders(BTC)) == before
    return caught.value.code


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
def test_invalid_parameters_are_rejected(code: int, changes: dict[str, Any]) -> None:
    assert rejection_code(EngineHarness(), **changes) == code


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
def test_order_outside_a_filter_is_rejected(code: int, changes: dict[str, Any]) -> None:
    instrument = an_instrument(**changes.pop("instrument", {})) if "instrument" in changes else an_instrument()

    assert rejection_code(EngineHarness(instruments={BTC: instrument}), **changes) == code


def test_prices_at_the_percent_price_limits_are_accepted() -> None:
    harness = EngineHarness()

    assert harness.submit(price=D(47_500), quantity=D("0.01")).status is OrderStatus.NEW
    assert harness.submit(price=D(52_500), side=Side.SELL, quantity=D("0.01")).status is OrderStatus.NEW


def test_price_limit_or_tick_of_zero_is_ignored() -> None:
    unlimited = an_instrument(min_price=D(0), max_price=D(0), tick=D(0))

    assert EngineHarness(instruments={BTC: unlimited}).submit(price=D("49000.3")).status is OrderStatus.NEW


def test_reducing_order_is_exempt_from_min_notional() -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(min_notional=D(100))})
    harness.buy("0.1")

    assert harness.sell("0.001", reduce_only=True).status is OrderStatus.FILLED


def test_hedge_mode_requires_position_side_without_reduce_only() -> None:
    harness = EngineHarness(hedge_mode=True)

    assert rejection_code(harness) == -4061
    assert rejection_code(harness, position_side=PositionSide.LONG, reduce_only=True) == -4062


def test_hedge_close_position_must_be_on_the_closing_side() -> None:
    harness = EngineHarness(hedge_mode=True)
    stop = {"type": STOP_MARKET, "close_position": True, "quantity": None, "stop_price": D(51_000)}

    assert rejection_code(harness, position_side=PositionSide.LONG, side=Side.BUY, **stop) == -4136
    assert harness.submit(position_side=PositionSide.SHORT, side=Side.BUY, **stop).status is OrderStatus.NEW


def test_symbol_not_trading_accepts_no_entries() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    harness.engine.set_instrument(an_instrument(status="SETTLING"))

    assert rejection_code(harness) == -4140
    assert harness.sell("0.1", reduce_only=True).status is OrderStatus.FILLED


def test_orders_are_rejected_before_a_price_is_known() -> None:
    assert rejection_code(EngineHarness(), symbol=ETH) == -1112


def test_market_order_needs_liquidity() -> None:
    harness = EngineHarness()
    harness.quote(50_000, 0, ask_quantity="0")

    assert rejection_code(harness, type=OrderType.MARKET) == -1112


@pytest.mark.parametrize(
    "bounds", [{"market_take_bound": D("0.3")}, {"multiplier_up": D("1.3"), "multiplier_down": D("0.7")}]
)
def test_market_order_beyond_its_price_limit_is_rejected(bounds: dict[str, Any]) -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(**bounds)})

    harness.quote(52_500, "52500.1")
    assert rejection_code(harness, type=OrderType.MARKET) == -4131
    harness.quote("47499.9", 47_500)
    assert rejection_code(harness, type=OrderType.MARKET, side=Side.SELL) == -4131
    assert harness.buy("0.01").status is OrderStatus.FILLED


def test_client_order_id_is_unique_among_open_orders() -> None:
    harness = EngineHarness()
    order = harness.submit(client_order_id="mine")

    assert rejection_code(harness, client_order_id="mine") == -4116

    harness.engine.cancel(BTC, harness.tick(), client_order_id="mine")
    second = harness.submit(client_order_id="mine")
    assert second.order_id > order.order_id
    assert harness.engine.order(BTC, client_order_id="mine").order_id == second.order_id


def test_missing_client_order_id_is_assigned() -> None:
    harness = EngineHarness()

    first, second = harness.submit(), harness.submit()

    assert first.client_order_id
    assert first.client_order_id != second.client_order_id


def test_open_orders_per_symbol_are_limited() -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(max_orders=2)})
    harness.submit(quantity=D("0.001"))
    harness.submit(quantity=D("0.001"))

    assert rejection_code(harness, quantity=D("0.001")) == -2025


def test_conditional_orders_per_symbol_are_limited() -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(max_conditional_orders=1)})
    harness.submit(**a_stop())

    assert rejection_code(harness, **a_stop()) == -4045
    assert harness.submit(quantity=D("0.001")).status is OrderStatus.NEW


def test_reduce_only_without_a_position_is_rejected() -> None:
    harness = EngineHarness()

    assert rejection_code(harness, type=OrderType.MARKET, side=Side.SELL, reduce_only=True) == -2022
    harness.buy()
    assert rejection_code(harness, type=OrderType.MARKET, side=Side.BUY, reduce_only=True) == -2022


def test_hedge_close_larger_than_the_position_is_rejected() -> None:
    harness = EngineHarness(hedge_mode=True)
    long = {"position_side": PositionSide.LONG}
    harness.buy("0.1", **long)

    assert rejection_code(harness, type=OrderType.MARKET, side=Side.SELL, quantity=D("0.2"), **long) == -2022
    assert harness.submit(**a_stop(quantity=D("0.2"), **long)).status is OrderStatus.NEW
    assert harness.sell("0.1", **long).status is OrderStatus.FILLED


def test_close_position_order_needs_no_position() -> None:
    order = EngineHarness().submit(**a_stop(close_position=True, quantity=None))

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
def test_order_that_would_trigger_at_once_is_rejected(order_type: OrderType, side: Side, stop_price: int) -> None:
    assert rejection_code(EngineHarness(), type=order_type, side=side, stop_price=D(stop_price)) == -2021


def test_working_type_selects_the_trigger_price() -> None:
    harness = EngineHarness()
    harness.mark(48_900)

    assert rejection_code(harness, **a_stop(working_type=WorkingType.MARK_PRICE)) == -2021
    assert harness.submit(**a_stop(working_type=WorkingType.CONTRACT_PRICE)).status is OrderStatus.NEW


def test_order_beyond_available_margin_is_rejected() -> None:
    harness = EngineHarness(money=245)

    assert rejection_code(harness, quantity=D("0.101")) == -2019
    assert harness.submit(quantity=D("0.1")).status is OrderStatus.NEW
    assert harness.engine.account().available_balance == 0
    assert rejection_code(harness, quantity=D("0.001")) == -2019


def test_limit_worse_than_the_mark_needs_more_margin() -> None:
    harness = EngineHarness(money=250)
    harness.mark(49_000)

    assert rejection_code(harness, type=OrderType.MARKET, quantity=D("0.1")) == -2019


def test_orders_on_both_sides_use_the_larger_margin() -> None:
    harness = EngineHarness(money=250)
    harness.submit(side=Side.SELL, price=D(50_500), quantity=D("0.09"))

    assert harness.submit(price=D(49_000), quantity=D("0.09")).status is OrderStatus.NEW


def test_closing_needs_no_margin() -> None:
    harness = EngineHarness(money=251)
    harness.buy("0.1")
    harness.mark(49_000)

    assert harness.engine.account().available_balance == 0
    assert harness.sell("0.1").status is OrderStatus.FILLED


def test_position_size_is_limited_by_leverage() -> None:
    harness = EngineHarness()
    harness.engine.set_leverage(BTC, 100, harness.tick())

    assert rejection_code(harness, quantity=D("1.021")) == -2027
    assert harness.submit(quantity=D("1.02")).status is OrderStatus.NEW


def test_default_request_has_a_price_only_as_limit() -> None:
    assert a_request(type=OrderType.MARKET).price is None
    assert a_request().time_in_force is TimeInForce.GTC
