"""Positions that are not the bot's and that nothing stops."""

from src.domain.enums import OrderType, PositionSide, Side
from tests.builders import a_report, an_update
from tests.core.rig import Rig


def strangers_told(rig: Rig) -> int:
    return sum("is not the bot's and has no stop loss" in each["message"] for each in rig.journal("alert"))


def a_stranger(rig: Rig, **changes: object) -> None:
    rig.clock.advance(6_000)
    rig.prices()
    rig.snapshot(positions=(a_report("0.5", 50_000),), **changes)


def test_a_bare_position_of_somebody_else_is_told_once_and_left_alone(rig: Rig) -> None:
    a_stranger(rig)
    rig.wait(4_000)
    assert strangers_told(rig) == 0  # news of an entry of ours may be on its way
    rig.wait(20_000)
    assert strangers_told(rig) == 1
    assert (rig.submitted(), rig.cancelled()) == ([], [])


def test_one_that_has_a_stop_is_not_told_until_the_stop_is_gone(rig: Rig) -> None:
    stop = an_update(
        client_order_id="web-1",
        order_id=9,
        side=Side.SELL,
        position_side=PositionSide.LONG,
        original_type=OrderType.STOP_MARKET,
    )
    a_stranger(rig, open_orders=(stop,))
    rig.wait(10_000)
    assert strangers_told(rig) == 0
    a_stranger(rig)
    rig.wait(10_000)
    assert strangers_told(rig) == 1


def test_a_position_of_ours_is_no_stranger(rig: Rig) -> None:
    rig.open_position()
    rig.wait(10_000)
    assert strangers_told(rig) == 0
