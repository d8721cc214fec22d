from decimal import Decimal

from src.domain.enums import Side, WorkingType
from src.domain.market import Quote
from src.engine.matching import Book, BookSide, match_levels, match_market
from tests.builders import an_instrument
from tests.engine.harness import D

STEP = D("0.001")


def a_book(bid: str = "100", ask: str = "101", bid_quantity: str = "2", ask_quantity: str = "3") -> Book:
    book = Book(an_instrument())
    book.update_quote(Quote("BTCUSDT", D(bid), D(bid_quantity), D(ask), D(ask_quantity), 1, 1))
    return book


def matched(book: Book, quantity: str, bound: str | None = None) -> list[tuple[Decimal, Decimal]]:
    limit = None if bound is None else D(bound)
    parts = match_market(book, Side.BUY, D(quantity), limit, STEP)
    return [(part.price, part.quantity) for part in parts]


def test_an_order_takes_the_levels_in_turn_and_what_it_took_is_gone() -> None:
    book = a_book()
    book.asks.set_levels([(D(101), D(3)), (D(102), D(5))])

    first = match_levels(book.asks.within(D(102)), D(4))
    for part in first:
        part.take()

    assert [(part.price, part.quantity) for part in first] == [(D(101), D(3)), (D(102), D(1))]
    assert [level.available for level in book.asks.levels()] == [0, 4]
    assert match_levels(book.asks.within(D(101)), D(4)) == []


def test_an_order_stops_taking_once_it_has_enough() -> None:
    book = a_book()
    book.asks.set_levels([(D(101), D(3)), (D(102), D(5))])

    assert [part.price for part in match_levels(book.asks.within(D(200)), D(3))] == [101]


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
    for part in match_levels(side.levels(), D(4)):
        part.take()

    side.set_levels(levels)

    assert [(level.price, level.available) for level in side.levels()] == [(D(101), D(0)), (D(102), D(4))]


def test_levels_behind_a_touch_are_known_until_it_moves() -> None:
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


def test_no_market_order_trades_past_its_bound() -> None:
    assert matched(a_book(), "10", bound="101.2") == [(D(101), D(3)), (D("101.2"), D(3))]
    assert matched(a_book(), "10", bound="100.5") == []


def test_synthetic_bids_end_at_the_minimum_price() -> None:
    book = Book(an_instrument(tick=D(1), min_price=D(1)))
    book.update_quote(Quote("BTCUSDT", D(2), D(1), D(3), D(1), 1, 1))

    parts = match_market(book, Side.SELL, D(100), None, D("0.5"))

    assert [(part.price, part.quantity) for part in parts] == [(D(2), D(1)), (D(1), D(1))]


def test_synthetic_levels_are_limited() -> None:
    parts = match_market(a_book(), Side.BUY, D(10_000_000), None, STEP)

    assert len(parts) == 1_000


def test_queue_ahead_of_a_joining_order() -> None:
    side = BookSide(Side.BUY)
    side.set_levels([(D(100), D(2)), (D(99), D(7))])

    assert side.queue_at(D(101)) == 0  # it improves the price
    assert side.queue_at(D(100)) == 2
    assert side.queue_at(D(99)) == 7
    assert side.queue_at(D(98)) == 2  # unknown: as much as at the touch


def test_contract_price_follows_the_quote_past_the_last_trade() -> None:
    book = a_book()
    assert book.contract_price == D("100.5")

    for traded, expected in (("100.2", "100.2"), ("90", "100"), ("110", "101")):
        book.update_trade(D(traded))
        assert book.contract_price == D(traded)
        book.update_depth([(D(100), D(1))], [(D(101), D(1))])
        assert book.working_price(WorkingType.CONTRACT_PRICE) == D(expected)


def test_a_price_that_was_known_stays_known_without_a_quote() -> None:
    book = a_book()

    book.update_depth([], [])

    assert book.contract_price == D("100.5")


def test_mark_price_falls_back_to_contract_price() -> None:
    assert a_book().working_price(WorkingType.MARK_PRICE) == D("100.5")
