from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import an_instrument

D = Decimal


@pytest.mark.parametrize(
    ("value", "rounding", "expected"),
    [("100.04", ROUND_FLOOR, "100.0"), ("100.04", ROUND_CEILING, "100.1"), ("100.1", ROUND_DOWN, "100.1")],
)
def test_prices_come_on_the_tick(value: str, rounding: str, expected: str) -> None:
    assert str(an_instrument().price(D(value), rounding)) == expected


def test_the_grid_of_prices_starts_at_the_lowest_price() -> None:
    instrument = an_instrument(tick=D("0.5"), min_price=D("0.2"))
    assert instrument.price(D("1.1"), ROUND_FLOOR) == D("0.7")


def test_quantities_round_down() -> None:
    assert str(an_instrument().quantity(D("0.0019"))) == "0.001"
    assert an_instrument().quantity(D("0.0009")) == 0


def test_a_market_order_carries_no_more_than_it_may() -> None:
    assert an_instrument().market_quantity(D(500)) == D(120)


def test_the_smallest_order_passes_both_minimums() -> None:
    instrument = an_instrument()
    assert instrument.smallest_quantity(D(50_000)) == D("0.001")
    assert instrument.smallest_quantity(D(100)) == D("0.050")


def test_a_whole_step_is_written_without_an_exponent() -> None:
    instrument = an_instrument(step=D(10), min_quantity=D(10))
    assert str(instrument.quantity(D(12_345))) == "12340"


def test_a_symbol_trades_only_while_the_exchange_says_so() -> None:
    assert an_instrument().is_trading
    assert not an_instrument(status="SETTLING").is_trading


@given(st.decimals("0.001", "1000", places=6), st.decimals("1", "100000", places=1))
def test_the_smallest_quantity_is_enough_and_not_a_step_more(step_seed: Decimal, price: Decimal) -> None:
    instrument = an_instrument(step=D("0.001"))
    smallest = instrument.smallest_quantity(price)
    assert smallest * price >= instrument.min_notional
    assert smallest == instrument.min_quantity or (smallest - instrument.step) * price < instrument.min_notional
    assert instrument.quantity(step_seed) <= step_seed
