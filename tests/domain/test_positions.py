from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import PositionSide, Side
from src.domain.positions import Income, Position
from tests.builders import NOW, a_position, a_report

D = Decimal
ZERO = D(0)
EMPTY = Position("BTCUSDT", PositionSide.BOTH)


def test_entry_opens_position_at_its_price() -> None:
    position, realized = EMPTY.apply_trade(Side.SELL, D(2), D(100))
    assert (position.quantity, position.entry_price, realized) == (D(-2), D(100), ZERO)
    assert position.side is Side.SELL
    assert position.is_open


def test_second_entry_averages_entry_price() -> None:
    position, _ = EMPTY.apply_trade(Side.BUY, D(1), D(100))
    position, realized = position.apply_trade(Side.BUY, D(3), D(200))
    assert (position.quantity, position.entry_price, realized) == (D(4), D(175), ZERO)


def test_partial_close_realizes_pnl_and_keeps_entry_price() -> None:
    position, realized = a_position(2, 100).apply_trade(Side.SELL, D(1), D(130))
    assert (position.quantity, position.entry_price, realized) == (D(1), D(100), D(30))


def test_short_gains_when_price_falls() -> None:
    position, realized = a_position(-2, 100).apply_trade(Side.BUY, D(2), D(90))
    assert (position.quantity, position.entry_price, realized) == (ZERO, ZERO, D(20))


def test_flip_opens_remainder_at_trade_price() -> None:
    position, realized = a_position(1, 100).apply_trade(Side.SELL, D(3), D(110))
    assert (position.quantity, position.entry_price, realized) == (D(-2), D(110), D(10))


def test_unrealized_pnl_follows_mark_price() -> None:
    assert a_position(-2, 100).unrealized_pnl(D(95)) == D(10)


def test_report_has_position() -> None:
    assert a_report("0.5", 100).position == a_position("0.5", 100)


def test_is_funding_by_income_type() -> None:
    assert Income(1, "BTCUSDT", "FUNDING_FEE", "USDT", D(1), NOW).is_funding
    assert not Income(1, "BTCUSDT", "COMMISSION", "USDT", D(1), NOW).is_funding


trades = st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(1, 1000))


@given(st.lists(trades, min_size=1, max_size=30))
def test_realized_and_unrealized_pnl_add_up(rows: list[tuple[Side, int, int]]) -> None:
    position, realized, cash = EMPTY, D(0), D(0)
    for side, quantity, price in rows:
        position, gain = position.apply_trade(side, D(quantity), D(price))
        realized += gain
        cash -= side.sign * quantity * price
    worth = cash + position.quantity * 500
    assert abs(realized + position.unrealized_pnl(D(500)) - worth) < D("1e-15")
