"""Attribution of a position's trades to the bot or to external orders."""

from decimal import Decimal

import pytest

from src.core.positions.trade_attribution import AttributedTrade, Owner, attribute_trades
from src.domain.enums import PositionSide, Side
from tests.builders import a_fill

D = Decimal
ENTRY, EXIT, OTHER, UNMATCHED, UNRESOLVED = Owner.ENTRY, Owner.EXIT, Owner.OTHER, Owner.UNMATCHED, Owner.UNRESOLVED


def trades(*steps: tuple[Owner, int], position_side: PositionSide = PositionSide.LONG) -> list[AttributedTrade]:
    """Trades from their owners and signed sizes in thousandths."""
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


def manual_trade_ids(steps: list[tuple[Owner, int]], held: int) -> list[int]:
    return [fill.trade_id for fill in attribute_trades(trades(*steps), D(held) / 1000).manual]


def test_position_of_own_orders_is_ours() -> None:
    attribution = attribute_trades(trades((ENTRY, 10), (ENTRY, 5), (EXIT, -3)), D("0.012"))
    assert (attribution.is_ours, attribution.is_consistent, attribution.opening_trade, attribution.manual) == (
        True,
        True,
        None,
        (),
    )


def test_newest_entry_trade_is_the_entry() -> None:
    steps = trades((ENTRY, 10), (EXIT, -10), (ENTRY, 5), (OTHER, -3))
    assert attribute_trades(steps, D("0.002")).entry == steps[2]
    assert attribute_trades(trades((OTHER, 10)), D("0.010")).entry is None


def test_external_trades_in_own_position_are_manual() -> None:
    assert manual_trade_ids([(ENTRY, 10), (OTHER, -4), (UNMATCHED, 1)], 7) == [1, 2]


def test_external_trade_in_earlier_position_is_manual() -> None:
    assert manual_trade_ids([(OTHER, -4)], 6) == [0]


def test_external_position_after_ours_closed_is_not_ours() -> None:
    attribution = attribute_trades(trades((ENTRY, 10), (OTHER, -10), (OTHER, 10), (OTHER, 2)), D("0.012"))
    assert not attribution.is_ours
    assert attribution.is_consistent
    assert attribution.opening_trade is not None
    assert attribution.opening_trade.fill.trade_id == 2
    assert [fill.trade_id for fill in attribution.manual] == [1]


def test_own_entry_makes_external_position_ours() -> None:
    assert attribute_trades(trades((ENTRY, 10), (EXIT, -10), (OTHER, 10), (ENTRY, 5)), D("0.015")).is_ours


def test_entry_after_close_opens_own_position() -> None:
    attribution = attribute_trades(trades((ENTRY, 10), (OTHER, -10), (ENTRY, 5)), D("0.005"))
    assert attribution.is_ours
    assert attribution.opening_trade is not None
    assert attribution.opening_trade.fill.trade_id == 2


def test_external_flip_closes_ours_and_opens_external() -> None:
    attribution = attribute_trades(trades((ENTRY, 10), (OTHER, -15), position_side=PositionSide.BOTH), D("-0.005"))
    assert not attribution.is_ours
    assert [fill.trade_id for fill in attribution.manual] == [1]


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        ([(ENTRY, 10), (UNRESOLVED, -4)], 6),  # it may be one of ours
        ([(ENTRY, 10)], 4),  # a trade is missing
        ([(ENTRY, 10), (OTHER, -4)], 0),  # the quantity is older than the trade list
        ([(EXIT, -4)], -4),
    ],
)
def test_trades_that_do_not_match_quantity_are_inconsistent(steps: list[tuple[Owner, int]], held: int) -> None:
    assert not attribute_trades(trades(*steps), D(held) / 1000).is_consistent


def test_entry_that_reduces_in_one_way_mode_is_inconsistent() -> None:
    assert not attribute_trades(trades((ENTRY, 10), position_side=PositionSide.BOTH), D("0.002")).is_consistent
    assert not attribute_trades(trades((EXIT, -10), position_side=PositionSide.BOTH), D("-0.002")).is_consistent


def test_short_side_holds_no_long() -> None:
    assert not attribute_trades(trades((OTHER, 10), position_side=PositionSide.SHORT), D("0.005")).is_consistent
    assert attribute_trades(
        trades((ENTRY, -10), (OTHER, 4), position_side=PositionSide.SHORT), D("-0.006")
    ).is_consistent
