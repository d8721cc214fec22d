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
    protective_request,
)
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.orders import Order
from src.domain.positions import Position, Protection
from src.settings.exits import protection_prices
from tests.builders import NOW, a_position, an_instrument, an_order, some_settings

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def some_rules(
    now_ms: int = NOW, rejections: int = 0, sized: tuple[OrderRole, ...] = (), **symbol_changes: Any
) -> ProtectionRules:
    settings = some_settings(**symbol_changes).symbols["BTCUSDT"]
    return ProtectionRules(settings, an_instrument(), now_ms, rejections, frozenset(sized))


def plan(*orders: Order, position: Position | None = None, **rules: Any) -> ProtectionPlan:
    return plan_protection(position or a_position(), orders, some_rules(**rules))


def test_stop_is_placed_first() -> None:
    found = plan()
    assert found.submits == ((STOP, D(49_000)),)
    assert found.state is Protection.PENDING


def test_pending_stop_is_not_sent_twice() -> None:
    assert plan(an_order(STOP, status=OrderStatus.PENDING_NEW)).submits == ()


def test_take_profit_follows_working_stop() -> None:
    found = plan(an_order(STOP))
    assert found.submits == ((TAKE, D(50_500)),)
    assert (found.state, found.stop_loss_price) == (Protection.OK, D(49_000))


def test_protected_position_needs_nothing() -> None:
    found = plan(an_order(STOP), an_order(TAKE))
    assert (found.submits, found.cancels) == ((), ())
    assert found.take_profit_price == D(50_500)


def test_each_unanswered_stop_doubles_the_grace() -> None:
    unanswered = [an_order(STOP, number=n, status=OrderStatus.PENDING_NEW, unresolved_since=NOW) for n in range(1, 8)]
    graces_ms = [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
    for number, grace_ms in enumerate(graces_ms, start=1):
        assert plan(*unanswered[:number], now_ms=NOW + grace_ms - 1).submits == ()
        assert plan(*unanswered[:number], now_ms=NOW + grace_ms).submits == ((STOP, D(49_000)),)


def test_unconfirmed_stop_is_placed_again_within_three_seconds() -> None:
    unanswered = an_order(STOP, status=OrderStatus.PENDING_NEW, unresolved_since=NOW)
    assert UNCONFIRMED_STOP_GRACE_MS + AUDIT_INTERVAL_SECONDS * 1000 <= 3_000
    assert plan(unanswered, now_ms=NOW + UNCONFIRMED_STOP_GRACE_MS - 1).submits == ()
    assert plan(unanswered, now_ms=NOW + UNCONFIRMED_STOP_GRACE_MS).submits == ((STOP, D(49_000)),)


def test_old_stop_is_cancelled_after_new_one_works() -> None:
    old = an_order(STOP, number=1, request={"stop_price": Price(D(48_000))})
    first = plan(old)
    assert (first.submits, first.cancels) == (((STOP, D(49_000)),), ())
    assert first.state is Protection.OK

    pending = an_order(STOP, number=2, status=OrderStatus.PENDING_NEW)
    assert plan(old, pending).cancels == ()

    pending.status = OrderStatus.NEW
    assert plan(old, pending).cancels == (old,)


def test_duplicate_stop_is_cancelled() -> None:
    one, two = an_order(STOP, number=1), an_order(STOP, number=2)
    assert plan(one, two, an_order(TAKE)).cancels == (two,)


def test_disabled_stop_is_cancelled() -> None:
    stop = an_order(STOP)
    found = plan(stop, stop_loss_enabled=False)
    assert found.cancels == (stop,)
    assert found.submits == ((TAKE, D(50_500)),)
    assert plan(stop_loss_enabled=False).state is Protection.DISABLED


def test_repeatedly_rejected_take_profit_is_not_retried() -> None:
    assert plan(an_order(STOP), rejections=3).submits == ()


def test_short_prices_are_mirrored() -> None:
    settings = some_settings().symbols["BTCUSDT"]
    prices = protection_prices(a_position(-1), settings, an_instrument())
    assert prices == {STOP: D(51_000), TAKE: D(49_500)}


def sized(number: int, quantity: str = "0.010", **changes: Any) -> Order:
    """A stop order with a quantity, at the target price."""
    return an_order(STOP, number, request={"close_position": False, "quantity": Quantity(D(quantity))}, **changes)


def test_i10_quantity_stop_replaces_close_position_stop() -> None:
    old = an_order(STOP, number=1, request={"stop_price": Price(D(48_000))})
    assert plan(old, sized=(STOP,)).submits == ((STOP, D(49_000)),)
    assert plan(old, sized(2, status=OrderStatus.PENDING_NEW), sized=(STOP,)).submits == ()
    replaced = plan(old, sized(2), sized=(STOP,))
    assert (replaced.cancels, replaced.state) == ((old,), Protection.OK)
    assert replaced.submits == ((TAKE, D(50_500)),)


def test_i10_quantity_stop_stays_until_close_position_works() -> None:
    bridge = sized(2)
    assert plan(bridge, an_order(TAKE)).submits == ((STOP, D(49_000)),)
    assert plan(bridge, an_order(STOP, 3, status=OrderStatus.PENDING_NEW), an_order(TAKE)).cancels == ()
    found = plan(bridge, an_order(STOP, 3), an_order(TAKE))
    assert (found.submits, found.cancels) == ((), (bridge,))


@pytest.mark.parametrize("quantity", ["0.009", "0.011"])
def test_quantity_stop_of_wrong_size_is_replaced(quantity: str) -> None:
    found = plan(sized(2, quantity), an_order(TAKE), sized=(STOP,))
    assert (found.submits, found.cancels) == (((STOP, D(49_000)),), ())


@pytest.mark.parametrize(("side", "reduces"), [(PositionSide.BOTH, True), (PositionSide.LONG, False)])
def test_quantity_stop_is_reduce_only(side: PositionSide, reduces: bool) -> None:
    position = a_position("0.0105", side=side)
    request = protective_request("lh-abcdef-s1", STOP, Price(D(49_000)), position, some_rules(sized=(STOP,)))
    assert (request.quantity, request.close_position, request.reduce_only) == (D("0.010"), False, reduces)


def test_protection_closes_whole_position() -> None:
    request = protective_request("lh-abcdef-s1", STOP, Price(D(49_000)), a_position(), some_rules())
    assert (request.type, request.side, request.close_position) == (OrderType.STOP_MARKET, Side.SELL, True)
    assert request.quantity is None
    assert not request.reduce_only


def test_close_is_reduce_only() -> None:
    hedged = close_request("lh-abcdef-c1", a_position("0.0105"), D("0.0105"), an_instrument(), None)
    assert hedged is not None
    assert (hedged.type, hedged.side, hedged.quantity) == (OrderType.MARKET, Side.SELL, D("0.010"))
    assert not hedged.reduce_only  # hedge mode: an order of the opposite side only reduces

    one_way = a_position(side=PositionSide.BOTH)
    limit = close_request("lh-abcdef-c2", one_way, D("0.01"), an_instrument(), D("47750.04"))
    assert limit is not None
    assert (limit.reduce_only, limit.time_in_force, limit.price) == (True, TimeInForce.IOC, D("47750.1"))


def test_dust_cannot_be_closed() -> None:
    assert close_request("lh-abcdef-c1", a_position("0.0004"), D("0.0004"), an_instrument(), None) is None


@pytest.mark.parametrize(("side", "price"), [(Side.SELL, "47750.00"), (Side.BUY, "52250.00")])
def test_collar_stays_inside_price_limit(side: Side, price: str) -> None:
    assert collar_price(side, D(50_000), an_instrument()) == D(price)


@given(entry=st.decimals("1", "90000", places=3), sign=st.sampled_from([1, -1]))
def test_stop_loss_never_exceeds_configured_percentage(entry: Decimal, sign: int) -> None:
    settings = some_settings().symbols["BTCUSDT"]
    stop = protection_prices(a_position(sign, entry), settings, an_instrument())[STOP]
    assert stop is not None
    assert sign * (entry - stop) <= entry * D("0.02")
