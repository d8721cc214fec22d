"""Whose each position of a slot was, told by its trades."""

from decimal import Decimal

import pytest

from src.core.positions.trade_attribution import AttributedTrade, Owner, attribute_trades
from src.domain.enums import PositionSide, Side
from tests.builders import a_fill

D = Decimal
ENTRY, EXIT, OTHER, UNNAMED, UNKNOWN = Owner.ENTRY, Owner.EXIT, Owner.OTHER, Owner.UNMATCHED, Owner.UNRESOLVED


def trades(*steps: tuple[Owner, int], position_side: PositionSide = PositionSide.LONG) -> list[AttributedTrade]:
    """Each so many thousandths bought, or sold where negative."""
    return [
        AttributedTrade(
            a_fill(
                trade_id=number,
                side=Side.BUY if change > 0 else Side.SELL,
                quantity=D(abs(change)) / 1000,
                position_side=position_side,
            ),
            owner,
        )
        for number, (owner, change) in enumerate(steps)
    ]


def by_hand(steps: list[tuple[Owner, int]], held: int) -> list[int]:
    return [fill.trade_id for fill in attribute_trades(trades(*steps), D(held) / 1000).manual]


def test_what_only_our_orders_traded_is_ours() -> None:
    trail = attribute_trades(trades((ENTRY, 10), (ENTRY, 5), (EXIT, -3)), D("0.012"))
    assert (trail.is_ours, trail.is_consistent, trail.opening_trade, trail.manual) == (True, True, None, ())


def test_the_newest_trade_of_an_entry_names_what_is_ours() -> None:
    steps = trades((ENTRY, 10), (EXIT, -10), (ENTRY, 5), (OTHER, -3))
    assert attribute_trades(steps, D("0.002")).entry == steps[2]
    assert attribute_trades(trades((OTHER, 10)), D("0.010")).entry is None


def test_what_somebody_else_traded_in_it_belongs_to_it() -> None:
    assert by_hand([(ENTRY, 10), (OTHER, -4), (UNNAMED, 1)], 7) == [1, 2]


def test_trades_within_a_position_that_began_before_them_belong_to_it() -> None:
    assert by_hand([(OTHER, -4)], 6) == [0]


def test_a_position_opened_by_somebody_else_after_ours_was_closed_is_not_ours() -> None:
    trail = attribute_trades(trades((ENTRY, 10), (OTHER, -10), (OTHER, 10), (OTHER, 2)), D("0.012"))
    assert not trail.is_ours
    assert trail.is_consistent
    assert trail.opening_trade is not None
    assert trail.opening_trade.fill.trade_id == 2
    assert [fill.trade_id for fill in trail.manual] == [1]


def test_an_entry_of_ours_makes_a_strangers_position_ours_to_protect() -> None:
    assert attribute_trades(trades((ENTRY, 10), (EXIT, -10), (OTHER, 10), (ENTRY, 5)), D("0.015")).is_ours


def test_an_entry_after_ours_was_closed_begins_a_position_of_ours() -> None:
    trail = attribute_trades(trades((ENTRY, 10), (OTHER, -10), (ENTRY, 5)), D("0.005"))
    assert trail.is_ours
    assert trail.opening_trade is not None
    assert trail.opening_trade.fill.trade_id == 2


def test_a_trade_that_turns_it_round_closes_ours_and_opens_a_strangers() -> None:
    trail = attribute_trades(trades((ENTRY, 10), (OTHER, -15), position_side=PositionSide.BOTH), D("-0.005"))
    assert not trail.is_ours
    assert [fill.trade_id for fill in trail.manual] == [1]


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        ([(ENTRY, 10), (UNKNOWN, -4)], 6),  # it may be our own
        ([(ENTRY, 10)], 4),  # a trade is missing
        ([(ENTRY, 10), (OTHER, -4)], 0),  # the quantity is older than the list
        ([(EXIT, -4)], -4),
    ],
)
def test_trades_that_do_not_match_quantity_are_inconsistent(steps: list[tuple[Owner, int]], held: int) -> None:
    assert not attribute_trades(trades(*steps), D(held) / 1000).is_consistent


def test_in_one_way_mode_an_entry_that_would_reduce_shows_that_a_trade_is_missing() -> None:
    assert not attribute_trades(trades((ENTRY, 10), position_side=PositionSide.BOTH), D("0.002")).is_consistent
    assert not attribute_trades(trades((EXIT, -10), position_side=PositionSide.BOTH), D("-0.002")).is_consistent


def test_short_side_holds_no_long() -> None:
    assert not attribute_trades(trades((OTHER, 10), position_side=PositionSide.SHORT), D("0.005")).is_consistent
    assert attribute_trades(
        trades((ENTRY, -10), (OTHER, 4), position_side=PositionSide.SHORT), D("-0.006")
    ).is_consistent
