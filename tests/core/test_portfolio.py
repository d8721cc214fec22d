from decimal import Decimal

import pytest

from src.core.portfolio import CloseRequest, Portfolio, PositionTrades, TrackedPosition, reserved_notional
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from tests.builders import NOW, a_fill, a_position, a_request, an_order, an_update
from tests.core.harness import LONG

D = Decimal


def test_fill_already_in_report_does_not_change_quantity() -> None:
    tracked = TrackedPosition(a_position(), reported_at=NOW)
    tracked.apply_fill(a_fill(), NOW, only_reduces=False)
    assert tracked.position == a_position()
    assert tracked.trades.commission == D("0.1")


def test_exit_fill_reduces_at_most_to_flat() -> None:
    tracked = TrackedPosition(a_position("0.01"))
    sold = a_fill(side=Side.SELL, quantity=D("0.03"))
    tracked.apply_fill(sold, NOW, only_reduces=True)
    assert not tracked.position.is_open
    tracked.apply_fill(sold, NOW, only_reduces=True)
    assert not tracked.position.is_open


def test_exit_of_short_is_buy() -> None:
    tracked = TrackedPosition(a_position("-0.02", side=PositionSide.SHORT))
    tracked.apply_fill(a_fill(side=Side.BUY, quantity=D("0.01")), NOW, only_reduces=True)
    assert tracked.position.quantity == D("-0.01")
    tracked.apply_fill(a_fill(side=Side.SELL, quantity=D("0.01")), NOW, only_reduces=True)
    assert tracked.position.quantity == D("-0.01")


def test_older_account_event_is_believed_only_if_it_adds_up() -> None:
    tracked = TrackedPosition(
        a_position("0.01"), reported_at=NOW, filled_at=NOW + 5, trades=PositionTrades(own_quantity=D("0.01"))
    )
    assert [tracked.believes(D(each), NOW + 4) for each in ("0", "0.01")] == [False, True]
    assert tracked.believes(D(0), NOW + 5)
    assert not tracked.believes(D("0.01"), NOW - 101)


@pytest.mark.parametrize("skew", [-50, -1, 0, 1, 50])
@pytest.mark.parametrize("is_account_first", [True, False])
def test_trade_counts_once_whatever_its_stamps_and_order(skew: int, is_account_first: bool) -> None:
    """The account event and the order event of each of two trades, 20 ms apart."""
    tracked = TrackedPosition(a_position(0, 0))
    for number in (1, 2):
        at = NOW + 20 * number
        report = a_position(D("0.01") * number, 50_000)
        for is_account in (is_account_first, not is_account_first):
            if is_account and tracked.believes(report.quantity, at + skew):
                tracked.open(at + skew)
                tracked.apply_report(report, at + skew, at)
            elif not is_account:
                tracked.open(at)
                tracked.assign_entry("lh-1")
                tracked.apply_fill(a_fill(quantity=D("0.01"), traded_at=at, trade_id=number), at, only_reduces=False)
        assert (tracked.position.quantity, tracked.trades.own_quantity) == (D("0.01") * number, D("0.01") * number)
    assert not tracked.is_unexplained


def test_trade_during_undated_read_counts_once() -> None:
    tracked = TrackedPosition(a_position("0.01"), reported_at=NOW, reported_until=NOW + 600, entry_order_id="lh-1")
    tracked.apply_fill(a_fill(quantity=D("0.01"), traded_at=NOW + 400), NOW + 700, only_reduces=False)
    assert tracked.position.quantity == D("0.01")
    tracked.apply_fill(a_fill(quantity=D("0.01"), traded_at=NOW + 800), NOW + 800, only_reduces=False)
    assert tracked.position.quantity == D("0.02")


def test_flat_by_fills_is_unconfirmed_until_reported() -> None:
    tracked = TrackedPosition(a_position("0.01"), entry_order_id="lh-1", opened_at=NOW - 5, reported_at=NOW - 5)
    tracked.apply_fill(a_fill(side=Side.SELL, quantity=D("0.01")), NOW, only_reduces=True)
    assert tracked.is_flat_unconfirmed
    tracked.apply_report(a_position(0, 0), NOW, NOW)
    assert not tracked.is_flat_unconfirmed


def test_position_opens_with_first_fill() -> None:
    tracked = TrackedPosition(a_position(), trades=PositionTrades(realized_pnl=D(3)))
    tracked.open(NOW + 5)
    tracked.open(NOW)
    tracked.open(NOW + 9)
    assert (tracked.opened_at, tracked.trades.realized_pnl) == (NOW, D(0))


def test_entry_reserves_unrecorded_quantity() -> None:
    resting = an_order(filled_quantity=D("0.004"), recorded_quantity=D("0.001"))
    filled = an_order(status=OrderStatus.FILLED, filled_quantity=D("0.01"), recorded_quantity=D("0.004"))
    ended = an_order(status=OrderStatus.CANCELED)
    assert [reserved_notional(order) for order in (resting, filled, ended)] == [D(450), D(300), D(0)]


def test_open_orders_are_found_by_symbol_role_and_key() -> None:
    portfolio = Portfolio()
    entry, stop = an_order(), an_order(OrderRole.STOP_LOSS, 1, order_id=5)
    ended = an_order(number=2, status=OrderStatus.CANCELED)
    for order in (entry, stop, ended):
        portfolio.add_order(order)
    assert portfolio.open_orders() == [entry, stop]
    assert portfolio.open_orders("BTCUSDT", OrderRole.ENTRY) == [entry]
    assert portfolio.open_orders("ETHUSDT") == []
    assert portfolio.pending_entries() == [entry]
    assert portfolio.orders_for(LONG) == [entry, stop]


def test_stop_sides_include_external_stops() -> None:
    portfolio = Portfolio()
    portfolio.add_order(an_order(OrderRole.STOP_LOSS, 1, order_id=5))
    portfolio.add_order(an_order(OrderRole.STOP_LOSS, 2, status=OrderStatus.PENDING_NEW))
    theirs = an_update(client_order_id="web", order_id=6, side=Side.BUY, original_type=OrderType.STOP_MARKET)
    short = an_update(client_order_id="web", order_id=7, position_side=PositionSide.SHORT)
    others = (theirs, short, an_update(client_order_id="web", order_id=8))
    portfolio.external_orders = {each.number: each for each in others}
    assert portfolio.stop_sides(LONG) == [Side.SELL, Side.BUY]


def test_order_for_fill_matches_either_id_within_symbol() -> None:
    portfolio = Portfolio()
    order = an_order(order_id=1001)
    portfolio.add_order(order)
    assert portfolio.order_for_fill(a_fill()) is order
    assert portfolio.order_for_fill(a_fill(client_order_id="")) is order
    assert portfolio.order_for_fill(a_fill(client_order_id="", symbol="ETHUSDT")) is None


def test_old_complete_orders_are_dropped() -> None:
    portfolio = Portfolio()
    old = an_order(number=1, status=OrderStatus.CANCELED, event_at=NOW)
    lacking = an_order(number=2, status=OrderStatus.FILLED, filled_quantity=D("0.01"))
    resting = an_order(number=3)
    for order in (old, lacking, resting):
        portfolio.add_order(order)
    portfolio.drop_closed_orders(NOW)
    assert len(portfolio.orders) == 3
    portfolio.drop_closed_orders(NOW + 1)
    assert list(portfolio.orders.values()) == [lacking, resting]


def test_reset_clears_position_state() -> None:
    tracked = TrackedPosition(
        a_position(0, 0), entry_order_id=a_request().client_order_id, opened_at=NOW, closing=CloseRequest("asked")
    )
    tracked.exits.rejections[OrderRole.CLOSE] = 3
    tracked.reset()
    assert tracked == TrackedPosition(a_position(0, 0))
