from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import Side
from src.domain.market import LiquidationWindow
from tests.builders import NOW, a_liquidation, a_quote, an_instrument

D = Decimal


def test_liquidation_notional_uses_filled_quantity_and_average_price() -> None:
    liquidation = a_liquidation(quantity=D(3), filled_quantity=D(2), price=D(90), average_price=D(100))
    assert liquidation.notional == D(200)


def test_liquidation_falls_back_to_ordered_quantity_and_price() -> None:
    liquidation = a_liquidation(1, quantity=D(3), filled_quantity=D(0), price=D(90))
    unfilled = a_liquidation(1, quantity=D(3), filled_quantity=D(0), price=D(90), average_price=D(50_000))
    assert unfilled.volume == D(3)
    assert liquidation.fill_price == D(50_000)


def test_quote_mid_price() -> None:
    assert a_quote(99, 101).mid_price == D(100)


def test_window_volume_by_side_and_in_total() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100))
    window.add(a_liquidation(40, side=Side.BUY))
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW, Side.SELL) == D(100)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW, Side.BUY) == D(40)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW) == D(140)
    assert window.get_usdt_volume_in_window("ETHUSDT", NOW) == 0


def test_expired_liquidations_do_not_count() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100, traded_at=NOW))
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW + 59_999) == D(100)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW + 60_000) == 0


def test_consumed_volume_does_not_count_again() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100))
    window.add(a_liquidation(70, side=Side.BUY))
    window.consume("BTCUSDT", Side.SELL)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW) == D(70)
    window.consume("BTCUSDT")
    assert window.get_volume_in_window("BTCUSDT", NOW) == 0


def test_future_dated_liquidation_counts_in_no_window() -> None:
    microseconds = a_liquidation(100, traded_at=NOW * 1000, received_at=NOW)
    assert microseconds.is_future_dated
    assert not a_liquidation(traded_at=NOW + 1_000, received_at=NOW).is_future_dated
    window = LiquidationWindow(60_000)
    window.add(microseconds)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW) == 0


events = st.tuples(st.integers(0, 200_000), st.integers(1, 10_000), st.sampled_from(Side))


@given(st.lists(events, max_size=60))
def test_running_totals_equal_totals_of_the_window(rows: list[tuple[int, int, Side]]) -> None:
    """For any order of arrival."""
    window, seen, newest = LiquidationWindow(60_000), [], 0
    for offset, notional, side in rows:
        liquidation = a_liquidation(notional, side=side, traded_at=NOW + offset)
        newest = max(newest, offset)
        window.add(liquidation)
        seen.append(liquidation)
        inside = [each for each in seen if each.traded_at > NOW + newest - 60_000]
        assert window.get_usdt_volume_in_window("BTCUSDT", NOW + newest) == sum(each.notional for each in inside)
        assert window.get_volume_in_window("BTCUSDT", NOW + newest) == sum(each.volume for each in inside)


@pytest.mark.parametrize(
    ("value", "rounding", "expected"),
    [("100.04", ROUND_FLOOR, "100.0"), ("100.04", ROUND_CEILING, "100.1"), ("100.1", ROUND_DOWN, "100.1")],
)
def test_price_is_rounded_to_the_tick(value: str, rounding: str, expected: str) -> None:
    assert str(an_instrument().price(D(value), rounding)) == expected


def test_ticks_are_counted_from_min_price() -> None:
    instrument = an_instrument(tick=D("0.5"), min_price=D("0.2"))
    assert instrument.price(D("1.1"), ROUND_FLOOR) == D("0.7")


def test_quantity_is_rounded_down() -> None:
    assert str(an_instrument().quantity(D("0.0019"))) == "0.001"
    assert an_instrument().quantity(D("0.0009")) == 0


def test_market_quantity_is_limited() -> None:
    assert an_instrument().market_quantity(D(500)) == D(120)


def test_smallest_quantity_passes_both_minimums() -> None:
    instrument = an_instrument()
    assert instrument.smallest_quantity(D(50_000)) == D("0.001")
    assert instrument.smallest_quantity(D(100)) == D("0.050")


def test_quantity_is_written_without_exponent() -> None:
    instrument = an_instrument(step=D(10), min_quantity=D(10))
    assert str(instrument.quantity(D(12_345))) == "12340"


def test_instrument_is_trading_by_its_status() -> None:
    assert an_instrument().is_trading
    assert not an_instrument(status="SETTLING").is_trading


@given(st.decimals("0.001", "1000", places=6), st.decimals("1", "100000", places=1))
def test_smallest_quantity_is_minimal(step_seed: Decimal, price: Decimal) -> None:
    instrument = an_instrument(step=D("0.001"))
    smallest = instrument.smallest_quantity(price)
    assert smallest * price >= instrument.min_notional
    assert smallest == instrument.min_quantity or (smallest - instrument.step) * price < instrument.min_notional
    assert instrument.quantity(step_seed) <= step_seed
