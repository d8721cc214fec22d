"""Liquidation prices against the figures that exchanges publish, and the rule for a stop loss."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import MarginType, PositionSide
from src.domain.margin import (
    Backing,
    Bracket,
    crossed_collateral,
    find_liquidation,
    implied_collateral,
    liquidation_price,
    stop_beyond_liquidation,
)
from src.domain.numbers import ZERO
from src.domain.positions import Position

D = Decimal
BRACKETS = (
    Bracket(D(50_000), 125, D("0.004")),
    Bracket(D(250_000), 100, D("0.005")),
    Bracket(D(1_000_000), 50, D("0.01")),
)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def a_position(quantity: object = 1, entry: object = 50_000) -> Position:
    amount = D(str(quantity))
    return Position("BTCUSDT", LONG if amount > 0 else SHORT, amount, D(str(entry)))


def a_backing(collateral: object = 5_000, **changes: Any) -> Backing:
    fields = {"leverage": 10, "margin_type": MarginType.ISOLATED, "brackets": BRACKETS}
    return Backing(**{**fields, "collateral": D(str(collateral)), **changes})


@pytest.mark.parametrize(
    ("quantity", "entry", "isolated_margin", "unrealized_pnl", "liquidation"),
    [
        (20, "6563.66500", "15517.54150468", "2316.83423560", "5930.78"),
        (-10, "6563.86", "5413.95799991", "-1156.46711780", "7189.95"),
    ],
)
def test_isolated_sample_of_the_exchange_document(
    quantity: int, entry: str, isolated_margin: str, unrealized_pnl: str, liquidation: str
) -> None:
    """Position Information, hedge mode. The margin there includes the PnL; the entry price of the SHORT, which the
    sample gives as 0, follows from its PnL at the mark price 6679.50671178.
    """
    position, margin = a_position(quantity, entry), D(isolated_margin) - D(unrealized_pnl)
    price = liquidation_price([position], margin, BRACKETS, D("6679.50671178"))
    assert round(price, 2) == D(liquidation)


def test_crossed_example_with_a_second_position() -> None:
    """The example of Binance's article on liquidation prices: two crossed positions and one wallet."""
    wallet = D("1535443.01")
    bitcoin = (Bracket(D(10_000_000), 20, D("0.025")),)
    ether = (Bracket(D(10_000_000), 10, D("0.1")),)
    prices = [
        (a_position("109.488", "32481.980"), bitcoin, D(16_300), D("-448192.89"), D("356512.508"), "26316.89"),
        (a_position("3683.979", "1456.84"), ether, D(135_365), D("-56354.57"), D("71200.81144"), "1153.26"),
    ]
    for position, brackets, cum, pnl, maintenance, expected in prices:
        collateral = crossed_collateral(wallet, [(pnl, maintenance)]) + cum  # one bracket alone has no deduction
        assert round(liquidation_price([position], collateral, brackets, position.entry_price), 2) == D(expected)


@given(
    quantity=st.decimals("-19", "19", places=3).filter(lambda each: abs(each) > D("0.01")),
    collateral=st.integers(100, 400_000),
)
def test_implied_collateral_reverses_the_price(quantity: Decimal, collateral: int) -> None:
    position = a_position(quantity)
    price = liquidation_price([position], D(collateral), BRACKETS, D(50_000))
    if price > 0:
        assert implied_collateral([position], price, BRACKETS) == pytest.approx(D(collateral), abs=D("0.001"))


@pytest.mark.parametrize("quantity", [1, -1])
def test_stop_passes_up_to_the_distance_that_the_refusal_names(quantity: int) -> None:
    position = a_position(quantity)
    too_late = stop_beyond_liquidation(position, D(50_000) * (1 - quantity * D("0.3")), a_backing())
    assert too_late is not None
    assert D(9) < too_late.widest_pct < D("9.7")
    assert f"set stop_loss_pct to {too_late.widest_pct} or less" in too_late.remedy

    def stop(pct: Decimal) -> Decimal:
        return D(50_000) * (1 - quantity * pct / 100)

    assert stop_beyond_liquidation(position, stop(too_late.widest_pct), a_backing()) is None
    assert stop_beyond_liquidation(position, stop(too_late.widest_pct + D("0.02")), a_backing()) is not None


def test_refusal_names_both_prices() -> None:
    too_late = stop_beyond_liquidation(a_position(), D(40_000), a_backing())
    assert too_late is not None
    assert too_late.problem == (
        "the position would be liquidated at about 45180.7 (10x ISOLATED), before its stop loss at 40000 triggers"
    )
    assert too_late.remedy == "set stop_loss_pct to 9.45 or less, or set a lower leverage"


def test_crossed_position_is_judged_by_the_whole_collateral() -> None:
    crossed = {"margin_type": MarginType.CROSSED}
    assert stop_beyond_liquidation(a_position("0.002"), D(25_000), a_backing(10_000, **crossed)) is None
    small_wallet = stop_beyond_liquidation(a_position("0.002"), D(25_000), a_backing(20, **crossed))
    assert small_wallet is not None
    assert "add to the wallet, or reduce other positions" in small_wallet.remedy


def test_unknown_brackets_use_the_safe_bound_and_say_so() -> None:
    unknown = a_backing(10_000, margin_type=MarginType.CROSSED, brackets=())
    assert stop_beyond_liquidation(a_position(), D("47500.1"), unknown) is None
    assert stop_beyond_liquidation(a_position(-1), D("52499.9"), unknown) is None
    refused = stop_beyond_liquidation(a_position(), D(47_500), unknown)
    assert refused is not None
    assert "brackets are not known yet, so a liquidation price of 47500 is assumed" in refused.problem


@given(leverage=st.integers(1, 125), notional=st.integers(100, 1_000_000), is_long=st.booleans())
def test_bound_without_brackets_is_never_looser_than_the_formula(leverage: int, notional: int, is_long: bool) -> None:
    allowed = [each for each in BRACKETS if each.max_leverage >= leverage and each.notional_cap >= notional]
    if not allowed:
        return
    sign = 1 if is_long else -1
    position = a_position(sign * D(notional) / 50_000)
    backing = a_backing(D(notional) / leverage, leverage=leverage)
    real = find_liquidation(position, backing)
    bound = find_liquidation(position, a_backing(0, leverage=leverage, brackets=()))
    assert real == 0 or sign * (bound - real) >= -D("0.001") * real


def test_larger_other_leg_makes_a_stop_on_the_far_side_irrelevant() -> None:
    crossed = {"margin_type": MarginType.CROSSED, "other_leg": a_position(3)}
    assert find_liquidation(a_position(-1), a_backing(5_000, **crossed)) < 50_000
    assert stop_beyond_liquidation(a_position(-1), D(70_000), a_backing(5_000, **crossed)) is None


def test_account_that_is_liquidated_at_once_has_no_widest_stop() -> None:
    refused = stop_beyond_liquidation(a_position(), D(49_900), a_backing(100))
    assert refused is not None
    assert (refused.widest_pct, refused.remedy) == (ZERO, "set a lower leverage")
    assert "liquidated at once" in refused.problem
