from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.order_cleanup import AUDIT_INTERVAL_SECONDS
from src.core.positions.protection_plan import (
    UNCONFIRMED_STOP_GRACE_MS,
    ProtectionPlan,
    ProtectionRules,
    close_request,
    collar_price,
    plan_protection,
    protection_prices,
    protective_request,
)
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.orders import Order
from src.domain.positions import Position, Protection
from tests.builders import NOW, a_position, an_instrument, an_order, some_settings

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def some_terms(
    now_ms: int = NOW, refusals: int = 0, sized: tuple[OrderRole, ...] = (), **symbol_changes: Any
) -> ProtectionRules:
    settings = some_settings(**symbol_changes).symbols["BTCUSDT"]
    return ProtectionRules(settings, an_instrument(), now_ms, refusals, frozenset(sized))


def plan(*orders: Order, position: Position | None = None, **terms: Any) -> ProtectionPlan:
    return plan_protection(position or a_position(), orders, some_terms(**terms))


def test_the_stop_comes_first_and_alone() -> None:
    found = plan()
    assert found.submits == ((STOP, D(49_000)),)
    assert found.state is Protection.PENDING


def test_a_stop_on_its_way_is_not_asked_for_twice() -> None:
    assert plan(an_order(STOP, status=OrderStatus.PENDING_NEW)).submits == ()


def test_the_take_profit_follows_once_the_stop_stands() -> None:
    found = plan(an_order(STOP))
    assert found.submits == ((TAKE, D(50_500)),)
    assert (found.state, found.stop_loss_price) == (Protection.OK, D(49_000))


def test_a_position_fully_protected_needs_nothing() -> None:
    found = plan(an_order(STOP), an_order(TAKE))
    assert (found.submits, found.cancels) == ((), ())
    assert found.take_profit_price == D(50_500)


def test_each_further_stop_that_is_lost_covers_twice_as_long() -> None:
    lost = [an_order(STOP, number=n, status=OrderStatus.PENDING_NEW, unresolved_since=NOW) for n in range(1, 8)]
    covers = [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
    for number, covers_ms in enumerate(covers, start=1):
        assert plan(*lost[:number], now_ms=NOW + covers_ms - 1).submits == ()
        assert plan(*lost[:number], now_ms=NOW + covers_ms).submits == ((STOP, D(49_000)),)


def test_unconfirmed_stop_is_placed_again_within_three_seconds() -> None:
    lost = an_order(STOP, status=OrderStatus.PENDING_NEW, unresolved_since=NOW)
    assert UNCONFIRMED_STOP_GRACE_MS + AUDIT_INTERVAL_SECONDS * 1000 <= 3_000
    assert plan(lost, now_ms=NOW + UNCONFIRMED_STOP_GRACE_MS - 1).submits == ()
    assert plan(lost, now_ms=NOW + UNCONFIRMED_STOP_GRACE_MS).submits == ((STOP, D(49_000)),)


def test_the_new_stop_stands_before_the_old_one_goes() -> None:
    old = an_order(STOP, number=1, request={"stop_price": Price(D(48_000))})
    first = plan(old)
    assert (first.submits, first.cancels) == (((STOP, D(49_000)),), ())
    assert first.state is Protection.OK

    asked = an_order(STOP, number=2, status=OrderStatus.PENDING_NEW)
    assert plan(old, asked).cancels == ()

    asked.status = OrderStatus.NEW
    assert plan(old, asked).cancels == (old,)


def test_of_two_stops_at_the_same_price_one_goes() -> None:
    one, two = an_order(STOP, number=1), an_order(STOP, number=2)
    assert plan(one, two, an_order(TAKE)).cancels == (two,)


def test_a_stop_switched_off_is_taken_away() -> None:
    stop = an_order(STOP)
    found = plan(stop, stop_loss_enabled=False)
    assert found.cancels == (stop,)
    assert found.submits == ((TAKE, D(50_500)),)
    assert plan(stop_loss_enabled=False).state is Protection.DISABLED


def test_a_take_profit_refused_again_and_again_is_given_up() -> None:
    assert plan(an_order(STOP), refusals=3).submits == ()


def test_a_short_is_protected_the_other_way_round() -> None:
    settings = some_settings().symbols["BTCUSDT"]
    prices = protection_prices(a_position(-1), settings, an_instrument())
    assert prices == {STOP: D(51_000), TAKE: D(49_500)}


def sized(number: int, quantity: str = "0.010", **changes: Any) -> Order:
    """A stop of so much, at the wanted price."""
    return an_order(STOP, number, request={"close_position": False, "quantity": Quantity(D(quantity))}, **changes)


def test_where_only_one_may_close_all_the_new_stop_is_one_of_the_positions_size() -> None:
    old = an_order(STOP, number=1, request={"stop_price": Price(D(48_000))})
    assert plan(old, sized=(STOP,)).submits == ((STOP, D(49_000)),)
    assert plan(old, sized(2, status=OrderStatus.PENDING_NEW), sized=(STOP,)).submits == ()
    stands = plan(old, sized(2), sized=(STOP,))
    assert (stands.cancels, stands.state) == ((old,), Protection.OK)
    assert stands.submits == ((TAKE, D(50_500)),)


def test_a_stop_of_a_size_holds_the_place_until_one_that_closes_all_stands() -> None:
    holds = sized(2)
    assert plan(holds, an_order(TAKE)).submits == ((STOP, D(49_000)),)
    assert plan(holds, an_order(STOP, 3, status=OrderStatus.PENDING_NEW), an_order(TAKE)).cancels == ()
    found = plan(holds, an_order(STOP, 3), an_order(TAKE))
    assert (found.submits, found.cancels) == ((), (holds,))


@pytest.mark.parametrize("quantity", ["0.009", "0.011"])
def test_a_stop_of_another_size_than_the_position_has_does_not_serve(quantity: str) -> None:
    found = plan(sized(2, quantity), an_order(TAKE), sized=(STOP,))
    assert (found.submits, found.cancels) == (((STOP, D(49_000)),), ())


@pytest.mark.parametrize(("side", "reduces"), [(PositionSide.BOTH, True), (PositionSide.LONG, False)])
def test_a_stop_of_a_size_can_only_reduce(side: PositionSide, reduces: bool) -> None:
    position = a_position("0.0105", side=side)
    request = protective_request("lh-abcdef-s1", STOP, Price(D(49_000)), position, some_terms(sized=(STOP,)))
    assert (request.quantity, request.close_position, request.reduce_only) == (D("0.010"), False, reduces)


def test_protection_closes_whatever_is_there() -> None:
    request = protective_request("lh-abcdef-s1", STOP, Price(D(49_000)), a_position(), some_terms())
    assert (request.type, request.side, request.close_position) == (OrderType.STOP_MARKET, Side.SELL, True)
    assert request.quantity is None
    assert not request.reduce_only


def test_a_close_can_only_reduce() -> None:
    hedged = close_request("lh-abcdef-c1", a_position("0.0105"), D("0.0105"), an_instrument(), None)
    assert hedged is not None
    assert (hedged.type, hedged.side, hedged.quantity) == (OrderType.MARKET, Side.SELL, D("0.010"))
    assert not hedged.reduce_only  # hedge mode: the slot itself can only shrink

    one_way = a_position(side=PositionSide.BOTH)
    limit = close_request("lh-abcdef-c2", one_way, D("0.01"), an_instrument(), D("47750.04"))
    assert limit is not None
    assert (limit.reduce_only, limit.time_in_force, limit.price) == (True, TimeInForce.IOC, D("47750.1"))


def test_dust_cannot_be_closed_by_an_order() -> None:
    assert close_request("lh-abcdef-c1", a_position("0.0004"), D("0.0004"), an_instrument(), None) is None


@pytest.mark.parametrize(("side", "price"), [(Side.SELL, "47750.00"), (Side.BUY, "52250.00")])
def test_the_collar_stays_inside_the_exchanges_bound(side: Side, price: str) -> None:
    assert collar_price(side, D(50_000), an_instrument()) == D(price)


@given(entry=st.decimals("1", "90000", places=3), sign=st.sampled_from([1, -1]))
def test_the_stop_never_loses_more_than_asked(entry: Decimal, sign: int) -> None:
    settings = some_settings().symbols["BTCUSDT"]
    stop = protection_prices(a_position(sign, entry), settings, an_instrument())[STOP]
    assert stop is not None
    assert sign * (entry - stop) <= entry * D("0.02")
