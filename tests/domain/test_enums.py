import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side
from src.domain.errors import ConfigError, RateLimited, Rejected


@pytest.mark.parametrize("side", Side)
def test_a_side_and_its_opposite_cancel_out(side: Side) -> None:
    assert side.sign + side.opposite.sign == 0
    assert side.opposite.opposite is side


@pytest.mark.parametrize(
    ("side", "hedge", "slot"),
    [
        (Side.BUY, True, PositionSide.LONG),
        (Side.SELL, True, PositionSide.SHORT),
        (Side.SELL, False, PositionSide.BOTH),
    ],
)
def test_an_entry_opens_the_slot_of_its_mode(side: Side, hedge: bool, slot: PositionSide) -> None:
    assert PositionSide.opened_by(side, hedge_mode=hedge) is slot


def test_conditional_orders_rest_outside_the_book() -> None:
    assert OrderType.STOP_MARKET.is_conditional
    assert OrderType.TAKE_PROFIT.is_take_profit
    assert not OrderType.LIMIT.is_conditional
    assert not OrderType.STOP.is_take_profit


def test_only_ends_are_terminal() -> None:
    assert {status for status in OrderStatus if status.is_terminal} == {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    }


def test_errors_carry_what_a_person_needs() -> None:
    assert ConfigError("one", "two").faults == ("one", "two")
    assert str(Rejected(-2019, "Margin is insufficient.")) == "Margin is insufficient. (-2019)"
    assert RateLimited("slow down", 5, banned=True).banned
