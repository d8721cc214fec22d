from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import Side
from src.domain.market import LiquidationWindow
from tests.builders import NOW, a_liquidation, a_quote

D = Decimal


def test_a_liquidation_is_worth_what_filled_where_it_filled() -> None:
    liquidation = a_liquidation(quantity=D(3), filled_quantity=D(2), price=D(90), average_price=D(100))
    assert liquidation.notional == D(200)


def test_a_liquidation_falls_back_to_what_was_ordered() -> None:
    liquidation = a_liquidation(1, quantity=D(3), filled_quantity=D(0), price=D(90))
    bare = a_liquidation(1, quantity=D(3), filled_quantity=D(0), price=D(90), average_price=D(50_000))
    assert bare.volume == D(3)
    assert liquidation.fill_price == D(50_000)


def test_the_middle_of_a_quote() -> None:
    assert a_quote(99, 101).middle == D(100)


def test_sides_are_added_up_apart_and_together() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100))
    window.add(a_liquidation(40, side=Side.BUY))
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW, Side.SELL) == D(100)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW, Side.BUY) == D(40)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW) == D(140)
    assert window.get_usdt_volume_in_window("ETHUSDT", NOW) == 0


def test_what_has_left_the_window_does_not_count() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100, traded_at=NOW))
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW + 59_999) == D(100)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW + 60_000) == 0


def test_volume_acted_upon_does_not_count_again() -> None:
    window = LiquidationWindow(60_000)
    window.add(a_liquidation(100))
    window.add(a_liquidation(70, side=Side.BUY))
    window.consume("BTCUSDT", Side.SELL)
    assert window.get_usdt_volume_in_window("BTCUSDT", NOW) == D(70)
    window.consume("BTCUSDT")
    assert window.get_volume_in_window("BTCUSDT", NOW) == 0


events = st.tuples(st.integers(0, 200_000), st.integers(1, 10_000), st.sampled_from(Side))


@given(st.lists(events, max_size=60))
def test_the_running_sums_equal_the_sums(rows: list[tuple[int, int, Side]]) -> None:
    """Whatever the disorder in which they arrive."""
    window, seen, newest = LiquidationWindow(60_000), [], 0
    for offset, notional, side in rows:
        liquidation = a_liquidation(notional, side=side, traded_at=NOW + offset)
        newest = max(newest, offset)
        window.add(liquidation)
        seen.append(liquidation)
        inside = [each for each in seen if each.traded_at > NOW + newest - 60_000]
        assert window.get_usdt_volume_in_window("BTCUSDT", NOW + newest) == sum(each.notional for each in inside)
        assert window.get_volume_in_window("BTCUSDT", NOW + newest) == sum(each.volume for each in inside)
