from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import PositionSide
from src.domain.margin import bracket_of, deductions, liquidation_price, maintenance_margin, max_leverage, max_notional
from src.domain.positions import Position
from src.engine.margin import DEFAULT_BRACKETS, Fees, round_amount
from tests.engine.harness import BRACKETS, D


def test_bracket_is_chosen_by_notional_cap() -> None:
    assert bracket_of(BRACKETS, D(50_000)) is BRACKETS[0]
    assert bracket_of(BRACKETS, D(50_001)) is BRACKETS[1]
    assert bracket_of(BRACKETS, D(9_000_000)) is BRACKETS[1]


def test_maintenance_margin_is_continuous_between_brackets() -> None:
    assert deductions(BRACKETS) == [0, 250]
    assert maintenance_margin(BRACKETS, D(50_000)) == 250
    assert maintenance_margin(BRACKETS, D(50_001)) == D("250.01")
    assert maintenance_margin(BRACKETS, D(100_000)) == 750


def test_higher_leverage_allows_a_smaller_position() -> None:
    assert max_notional(BRACKETS, 100) == 50_000
    assert max_notional(BRACKETS, 20) == 1_000_000
    assert max_notional(BRACKETS, 101) == 0
    assert max_leverage(BRACKETS) == 100


def test_long_liquidation_price() -> None:
    long = Position("BTCUSDT", PositionSide.BOTH, D("0.1"), D(50_000))

    price = liquidation_price([long], D(500), BRACKETS, D(50_000))

    equity = 500 + long.unrealized_pnl(price)
    assert equity == pytest.approx(maintenance_margin(BRACKETS, price / 10), abs=D("0.000001"))
    assert 45_000 < price < 45_300


def test_position_covered_at_any_price_has_no_liquidation_price() -> None:
    long = Position("BTCUSDT", PositionSide.BOTH, D("0.1"), D(50_000))

    assert liquidation_price([long], D(5_001), BRACKETS, D(50_000)) == 0
    assert liquidation_price([], D(100), BRACKETS, D(50_000)) == 0


@given(
    quantity=st.decimals("-20", "20", places=3).filter(lambda each: abs(each) > D("0.01")),
    leverage=st.integers(2, 20),
)
def test_liquidation_price_leaves_exactly_maintenance_margin(quantity: Decimal, leverage: int) -> None:
    position = Position("BTCUSDT", PositionSide.BOTH, quantity, D(50_000))
    margin = abs(quantity) * 50_000 / leverage

    price = liquidation_price([position], margin, DEFAULT_BRACKETS, D(50_000))

    required = maintenance_margin(DEFAULT_BRACKETS, abs(quantity) * price)
    is_exact = price == 0 or abs(margin + position.unrealized_pnl(price) - required) < D("0.001")
    # At high leverage a large position may require more than its initial margin from the start.
    assert is_exact or required >= margin


def test_amounts_are_rounded_to_eight_digits_half_even() -> None:
    assert [round_amount(D(text)) for text in ("1.000000005", "1.000000015", "-1.000000015", "2")] == [
        D("1.00000000"),
        D("1.00000002"),
        D("-1.00000002"),
        D("2.00000000"),
    ]


def test_decimal_context_does_not_change_rounding() -> None:
    with localcontext(rounding=ROUND_HALF_UP):
        assert round_amount(D("1.000000005")) == D("1.00000000")


def test_documented_maker_and_taker_rates() -> None:
    fees = Fees()

    assert fees.commission(D(10_000), is_maker=True) == D(2)
    assert fees.commission(D(10_000), is_maker=False) == D(4)
