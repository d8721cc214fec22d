"""Order book, matching against it, and triggers of conditional orders."""

from decimal import Decimal
from typing import Any

import pytest

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce, WorkingType
from src.domain.market import Quote
from src.engine.matching import Book, BookSide, match_levels, match_market
from tests.builders import an_instrument
from tests.engine.harness import BTC, ETH, D, EngineHarness, orders_in, statuses

S = OrderStatus
SLIPPAGE = D("0.001")
CLOSE_LONG = {"close_position": True, "quantity": None, "side": Side.SELL}


def a_book(bid: str = "100", ask: str = "101", bid_quantity: str = "2", ask_quantity: str = "3") -> Book:
    book = Book(an_instrument())
    book.update_quote(Quote("BTCUSDT", D(bid), D(bid_quantity), D(ask), D(ask_quantity), 1, 1))
    return book


def matched(book: Book, quantity: str, bound: str | None = None) -> list[tuple[Decimal, Decimal]]:
    limit = None if bound is None else D(bound)
    matches = match_market(book, Side.BUY, D(quantity), limit, SLIPPAGE)
    return [(match.price, match.quantity) for match in matches]


def test_order_takes_levels_in_turn_only_once() -> None:
    book = a_book()
    book.asks.set_levels([(D(101), D(3)), (D(102), D(5))])

    first = match_levels(book.asks.within(D(102)), D(4))
    for match in first:
        match.take()

    assert [(match.price, match.quantity) for match in first] == [(D(101), D(3)), (D(102), D(1))]
    assert [level.available for level in book.asks.levels()] == [0, 4]
    assert match_levels(book.asks.within(D(101)), D(4)) == []


def test_matching_ends_at_the_requested_quantity() -> None:
    book = a_book()
    book.asks.set_levels([(D(101), D(3)), (D(102), D(5))])

    assert [match.price for match in match_levels(book.asks.within(D(200)), D(3))] == [101]


def test_taken_quantity_returns_only_with_a_changed_quote() -> None:
    side = BookSide(Side.SELL)
    side.set_best(D(101), D(3))
    match_levels(side.levels(), D(3))[0].take()

    side.set_best(D(101), D(3))
    assert match_levels(side.levels(), D(1)) == []

    side.set_best(D(101), D(2))
    assert match_levels(side.levels(), D(9))[0].quantity == 2


def test_taken_quantity_does_not_return_with_the_same_depth() -> None:
    side = BookSide(Side.SELL)
    levels = [(D(101), D(3)), (D(102), D(5)), (D(103), D(0))]
    side.set_levels(levels)
    for match in match_levels(side.levels(), D(4)):
        match.take()

    side.set_levels(levels)

    assert [(level.price, level.available) for level in side.levels()] == [(D(101), D(0)), (D(102), D(4))]


def test_deeper_levels_are_dropped_when_the_best_price_moves() -> None:
    side = BookSide(Side.SELL)
    side.set_levels([(D(101), D(3)), (D(102), D(5))])

    side.set_best(D(101), D(4))
    assert [(level.price, level.displayed) for level in side.levels()] == [(D(101), D(4)), (D(102), D(5))]

    side.set_best(D(90), D(4))
    assert [(level.price, level.displayed) for level in side.levels()] == [(D(90), D(4))]


def test_empty_side_matches_nothing() -> None:
    book = a_book(ask="0", ask_quantity="0")
    book.update_depth([], [])

    assert book.asks.best is None
    assert matched(book, "1") == []
    assert book.contract_price is None
    assert book.bids.queue_at(D(100)) == 0


def test_market_order_past_the_book_pays_slippage() -> None:
    assert matched(a_book(), "10") == [(D(101), D(3)), (D("101.2"), D(3)), (D("101.3"), D(4))]


def test_market_order_never_trades_beyond_its_price_limit() -> None:
    assert matched(a_book(), "10", bound="101.2") == [(D(101), D(3)), (D("101.2"), D(3))]
    assert matched(a_book(), "10", bound="100.5") == []


def test_synthetic_bids_end_at_the_minimum_price() -> None:
    book = Book(an_instrument(tick=D(1), min_price=D(1)))
    book.update_quote(Quote("BTCUSDT", D(2), D(1), D(3), D(1), 1, 1))

    matches = match_market(book, Side.SELL, D(100), None, D("0.5"))

    assert [(match.price, match.quantity) for match in matches] == [(D(2), D(1)), (D(1), D(1))]


def test_synthetic_levels_are_limited() -> None:
    matches = match_market(a_book(), Side.BUY, D(10_000_000), None, SLIPPAGE)

    assert len(matches) == 1_000


def test_queue_ahead_of_a_joining_order() -> None:
    side = BookSide(Side.BUY)
    side.set_levels([(D(100), D(2)), (D(99), D(7))])

    assert side.queue_at(D(101)) == 0  # it improves the price
    assert side.queue_at(D(100)) == 2
    assert side.queue_at(D(99)) == 7
    assert side.queue_at(D(98)) == 2  # unknown level: the quantity of the best level


def test_contract_price_follows_the_quote_past_the_last_trade() -> None:
    book = a_book()
    assert book.contract_price == D("100.5")

    for traded, expected in (("100.2", "100.2"), ("90", "100"), ("110", "101")):
        book.update_trade(D(traded))
        assert book.contract_price == D(traded)
        book.update_depth([(D(100), D(1))], [(D(101), D(1))])
        assert book.working_price(WorkingType.CONTRACT_PRICE) == D(expected)


def test_contract_price_remains_without_a_quote() -> None:
    book = a_book()

    book.update_depth([], [])

    assert book.contract_price == D("100.5")


def test_mark_price_falls_back_to_contract_price() -> None:
    assert a_book().working_price(WorkingType.MARK_PRICE) == D("100.5")


def a_stop(harness: EngineHarness, stop_price: str = "49000", **changes: Any) -> Any:
    return harness.submit(**{"type": OrderType.STOP_MARKET, "stop_price": D(stop_price), **CLOSE_LONG, **changes})


def test_triggered_stop_becomes_a_market_order_and_closes_everything() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)
    harness.buy("0.2")

    events = orders_in(harness.quote("48999.8", "48999.9"))

    assert [event.status for event in events] == [S.NEW, S.FILLED]
    assert {(event.order_id, event.type, event.original_type) for event in events} == {
        (stop.order_id, OrderType.MARKET, OrderType.STOP_MARKET)
    }
    assert (events[-1].quantity, harness.held) == (D("0.3"), D(0))


@pytest.mark.parametrize(
    ("order_type", "side", "stop_price", "before", "at"),
    [
        (OrderType.STOP_MARKET, Side.BUY, 51_000, 50_999, 51_000),
        (OrderType.STOP_MARKET, Side.SELL, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.BUY, 49_000, 49_001, 49_000),
        (OrderType.TAKE_PROFIT_MARKET, Side.SELL, 51_000, 50_999, 51_000),
    ],
)
def test_order_triggers_at_its_stop_price(
    order_type: OrderType, side: Side, stop_price: int, before: int, at: int
) -> None:
    harness = EngineHarness()
    order = harness.submit(type=order_type, side=side, stop_price=D(stop_price), working_type=WorkingType.MARK_PRICE)

    harness.mark(before)
    assert harness.status(order) is S.NEW
    harness.mark(at)
    assert harness.status(order) is S.FILLED


def test_mark_price_stop_ignores_trades() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness, working_type=WorkingType.MARK_PRICE)

    harness.trade(48_000)
    harness.quote(48_000, "48000.1")
    assert harness.status(stop) is S.NEW
    harness.mark(48_900)
    assert harness.status(stop) is S.FILLED


def test_contract_price_stop_ignores_the_mark() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)

    harness.mark(48_000)
    assert harness.status(stop) is S.NEW
    harness.quote(48_990, 50_000)
    harness.trade(48_999)
    assert harness.status(stop) is S.FILLED


def test_price_protection_delays_a_stop_while_prices_diverge() -> None:
    harness = EngineHarness(instruments={BTC: an_instrument(trigger_protect=D("0.01"))})
    harness.buy("0.1")
    stop = a_stop(harness, price_protect=True)

    harness.quote(48_990, "48990.1")
    assert harness.status(stop) is S.NEW
    harness.mark(49_000)
    assert harness.status(stop) is S.FILLED


@pytest.mark.parametrize("working_type", list(WorkingType))
def test_no_trigger_without_a_contract_price(working_type: WorkingType) -> None:
    harness = EngineHarness()
    harness.mark(50_000, ETH)
    order = a_stop(harness, symbol=ETH, working_type=working_type, price_protect=True)

    harness.mark(48_000, ETH)

    assert harness.status(order) is S.NEW


def test_triggered_stop_limit_stays_open_at_its_price() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    order = harness.submit(
        type=OrderType.STOP, side=Side.SELL, stop_price=D(49_000), price=D(48_950), time_in_force=TimeInForce.GTC
    )

    harness.quote(48_900, "48900.1")
    current = harness.order(order)
    assert (current.status, current.type, current.original_type) == (S.NEW, OrderType.LIMIT, OrderType.STOP)

    harness.quote(48_960, "48960.1")
    assert harness.status(order) is S.FILLED


def test_close_position_stop_without_a_position_expires() -> None:
    harness = EngineHarness()
    order = a_stop(harness)

    assert statuses(harness.quote(48_990, "48990.1")) == [S.EXPIRED]
    assert (harness.order(order).quantity, harness.held) == (D(0), D(0))


def test_leftover_stop_closes_the_next_position() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    a_stop(harness)
    harness.sell("0.1")
    harness.buy("0.4")

    harness.quote(48_990, "48990.1")

    assert harness.held == 0


def test_second_of_two_stops_expires() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    first, second = a_stop(harness), a_stop(harness, "48999")

    harness.quote(48_990, "48990.1")

    assert (harness.status(first), harness.status(second), harness.held) == (S.FILLED, S.EXPIRED, D(0))


def test_stop_with_rejected_market_order_expires() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    stop = a_stop(harness)

    harness.quote(47_000, "47000.1")  # the mark price stays at 50,000, so the market is beyond marketTakeBound

    assert (harness.status(stop), harness.held) == (S.EXPIRED, D("0.1"))


def test_triggered_opening_stop_needs_margin() -> None:
    harness = EngineHarness(money=100)
    order = harness.submit(type=OrderType.STOP_MARKET, stop_price=D(51_000))

    harness.move_market(51_000)

    assert harness.status(order) is S.EXPIRED
