from decimal import Decimal

from src.core.books import Books, Holding, reserved_notional
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from tests.builders import NOW, a_fill, a_position, a_request, an_order, an_update
from tests.core.rig import LONG

D = Decimal


def test_a_trade_a_report_holds_already_moves_nothing() -> None:
    holding = Holding(a_position(), reported_at=NOW)
    holding.apply_fill(a_fill(), NOW, only_reduces=False)
    assert holding.position == a_position()
    assert holding.commission == D("0.1")


def test_an_exit_reduces_at_most_to_flat() -> None:
    holding = Holding(a_position("0.01"))
    sold = a_fill(side=Side.SELL, quantity=D("0.03"))
    holding.apply_fill(sold, NOW, only_reduces=True)
    assert not holding.position.is_open
    holding.apply_fill(sold, NOW, only_reduces=True)
    assert not holding.position.is_open


def test_an_exit_of_a_short_buys() -> None:
    holding = Holding(a_position("-0.02", side=PositionSide.SHORT))
    holding.apply_fill(a_fill(side=Side.BUY, quantity=D("0.01")), NOW, only_reduces=True)
    assert holding.position.quantity == D("-0.01")
    holding.apply_fill(a_fill(side=Side.SELL, quantity=D("0.01")), NOW, only_reduces=True)
    assert holding.position.quantity == D("-0.01")


def test_a_report_older_than_the_last_or_than_a_trade_changes_nothing() -> None:
    holding = Holding(a_position(), reported_at=NOW, filled_at=NOW + 5)
    holding.apply_report(a_position(0, 0), NOW + 4, NOW)
    assert holding.position.is_open
    holding.apply_report(a_position(0, 0), NOW + 5, NOW)
    assert not holding.position.is_open


def test_a_position_gone_by_its_trades_alone_is_in_doubt_until_the_account_says_so() -> None:
    holding = Holding(a_position("0.01"), entry="lh-1", opened_at=NOW - 5, reported_at=NOW - 5)
    holding.apply_fill(a_fill(side=Side.SELL, quantity=D("0.01")), NOW, only_reduces=True)
    assert holding.is_flat_in_doubt
    holding.apply_report(a_position(0, 0), NOW, NOW)
    assert not holding.is_flat_in_doubt


def test_a_position_told_the_other_way_round_has_been_flat_in_between() -> None:
    holding = Holding(a_position("0.01"), entry="lh-1", opened_at=NOW - 5, reported_at=NOW - 5)
    assert [holding.is_turned_by(D(each)) for each in ("0.02", "0", "-0.01")] == [False, False, True]
    holding.entry = None
    assert not holding.is_turned_by(D("-0.01"))


def test_a_position_begins_with_its_first_trade() -> None:
    holding = Holding(a_position(), realized_pnl=D(3))
    holding.begin(NOW + 5)
    holding.begin(NOW)
    holding.begin(NOW + 9)
    assert (holding.opened_at, holding.realized_pnl) == (NOW, D(0))


def test_an_entry_reserves_what_is_not_booked_yet() -> None:
    resting = an_order(filled_quantity=D("0.004"), booked_quantity=D("0.001"))
    filled = an_order(status=OrderStatus.FILLED, filled_quantity=D("0.01"), booked_quantity=D("0.004"))
    ended = an_order(status=OrderStatus.CANCELED)
    assert [reserved_notional(order) for order in (resting, filled, ended)] == [D(450), D(300), D(0)]


def test_orders_that_matter_are_found_by_symbol_role_and_slot() -> None:
    books = Books()
    entry, stop = an_order(), an_order(OrderRole.STOP_LOSS, 1, order_id=5)
    ended = an_order(number=2, status=OrderStatus.CANCELED)
    for order in (entry, stop, ended):
        books.add_order(order)
    assert books.open_orders() == [entry, stop]
    assert books.open_orders("BTCUSDT", OrderRole.ENTRY) == [entry]
    assert books.open_orders("ETHUSDT") == []
    assert books.entries_at_work() == [entry]
    assert books.orders_in(LONG) == [entry, stop]


def test_stops_of_a_slot_are_counted_whoever_placed_them() -> None:
    books = Books()
    books.add_order(an_order(OrderRole.STOP_LOSS, 1, order_id=5))
    books.add_order(an_order(OrderRole.STOP_LOSS, 2, status=OrderStatus.PENDING_NEW))
    theirs = an_update(client_order_id="web", order_id=6, original_type=OrderType.STOP_MARKET)
    short = an_update(client_order_id="web", order_id=7, position_side=PositionSide.SHORT)
    books.foreign_orders = {6: theirs, 7: short, 8: an_update(client_order_id="web", order_id=8)}
    assert books.stop_orders(LONG) == 2


def test_a_trade_finds_its_order_by_either_name_within_its_symbol() -> None:
    books = Books()
    order = an_order(order_id=1001)
    books.add_order(order)
    assert books.order_of(a_fill()) is order
    assert books.order_of(a_fill(client_order_id="")) is order
    assert books.order_of(a_fill(client_order_id="", symbol="ETHUSDT")) is None


def test_what_ended_long_ago_and_lacks_nothing_is_let_go() -> None:
    books = Books()
    old = an_order(number=1, status=OrderStatus.CANCELED, event_at=NOW)
    lacking = an_order(number=2, status=OrderStatus.FILLED, filled_quantity=D("0.01"))
    resting = an_order(number=3)
    for order in (old, lacking, resting):
        books.add_order(order)
    books.forget_ended(NOW)
    assert len(books.orders) == 3
    books.forget_ended(NOW + 1)
    assert list(books.orders.values()) == [lacking, resting]


def test_a_flat_slot_forgets_what_belonged_to_its_position() -> None:
    holding = Holding(a_position(0, 0), entry=a_request().client_order_id, opened_at=NOW, close_reason="asked")
    holding.refusals[OrderRole.CLOSE] = 3
    holding.reset()
    assert (holding.entry, holding.opened_at, holding.close_reason, holding.refusals) == (None, 0, None, {})
