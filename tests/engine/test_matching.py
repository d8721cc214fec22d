from decimal import Decimal

from src.domain.enums import Side, WorkingType
from src.domain.market import Quote
from src.engine.matching import Book, BookSide, known_parts, market_parts
from tests.builders import an_instrument
from tests.engine.rig import D

STEP = D("0.001")


def a_book(bid: str = "100", ask: str = "101", bid_quantity: str = "2", ask_quantity: str = "3") -> Book:
    book = Book(an_instrument())
    book.show_quote(Quote("BTCUSDT", D(bid), D(bid_quantity), D(ask), D(ask_quantity), 1, 1))
    return book


def taken(book: Book, quantity: str, bound: str | None = None) -> list[tuple[Decimal, Decimal]]:
    limit = None if bound is None else D(bound)
    parts = market_parts(book, Side.BUY, D(quantity), limit, STEP)
    return [(part.price, part.quantity) for part in parts]


def test_an_order_takes_the_levels_in_turn_and_what_it_took_is_gone() -> None:
    book = a_book()
    book.asks.show_levels([(D(101), D(3)), (D(102), D(5))])

    first = known_parts(book.asks.within(D(102)), D(4))
    for part in first:
        part.take()

    assert [(part.price, part.quantity) for part in first] == [(D(101), D(3)), (D(102), D(1))]
    assert [level.left for level in book.asks.levels()] == [0, 4]
    assert known_parts(book.asks.within(D(101)), D(4)) == []


def test_an_order_stops_taking_once_it_has_enough() -> None:
    book = a_book()
    book.asks.show_levels([(D(101), D(3)), (D(102), D(5))])

    assert [part.price for part in known_parts(book.asks.within(D(200)), D(3))] == [101]


def test_the_same_quote_again_brings_nothing_back_and_another_quantity_does() -> None:
    side = BookSide(Side.SELL)
    side.show_touch(D(101), D(3))
    known_parts(side.levels(), D(3))[0].take()

    side.show_touch(D(101), D(3))
    assert known_parts(side.levels(), D(1)) == []

    side.show_touch(D(101), D(2))
    assert known_parts(side.levels(), D(9))[0].quantity == 2


def test_the_same_depth_again_brings_nothing_back_either() -> None:
    side = BookSide(Side.SELL)
    levels = [(D(101), D(3)), (D(102), D(5)), (D(103), D(0))]
    side.show_levels(levels)
    for part in known_parts(side.levels(), D(4)):
        part.take()

    side.show_levels(levels)

    assert [(level.price, level.left) for level in side.levels()] == [(D(101), D(0)), (D(102), D(4))]


def test_levels_behind_a_touch_are_known_until_it_moves() -> None:
    side = BookSide(Side.SELL)
    side.show_levels([(D(101), D(3)), (D(102), D(5))])

    side.show_touch(D(101), D(4))
    assert [(level.price, level.shown) for level in side.levels()] == [(D(101), D(4)), (D(102), D(5))]

    side.show_touch(D(90), D(4))
    assert [(level.price, level.shown) for level in side.levels()] == [(D(90), D(4))]


def test_a_side_where_nobody_stands_gives_nothing() -> None:
    book = a_book(ask="0", ask_quantity="0")
    book.show_depth([], [])

    assert book.asks.best is None
    assert taken(book, "1") == []
    assert book.contract_price is None
    assert book.bids.standing_at(D(100)) == 0


def test_past_the_known_book_a_market_order_pays_a_rising_ladder() -> None:
    assert taken(a_book(), "10") == [(D(101), D(3)), (D("101.2"), D(3)), (D("101.3"), D(4))]


def test_no_market_order_trades_past_its_bound() -> None:
    assert taken(a_book(), "10", bound="101.2") == [(D(101), D(3)), (D("101.2"), D(3))]
    assert taken(a_book(), "10", bound="100.5") == []


def test_the_ladder_of_a_seller_ends_at_the_lowest_price_there_is() -> None:
    book = Book(an_instrument(tick=D(1), min_price=D(1)))
    book.show_quote(Quote("BTCUSDT", D(2), D(1), D(3), D(1), 1, 1))

    parts = market_parts(book, Side.SELL, D(100), None, D("0.5"))

    assert [(part.price, part.quantity) for part in parts] == [(D(2), D(1)), (D(1), D(1))]


def test_the_ladder_is_not_endless() -> None:
    parts = market_parts(a_book(), Side.BUY, D(10_000_000), None, STEP)

    assert len(parts) == 1_000


def test_what_stands_before_an_order_that_joins() -> None:
    side = BookSide(Side.BUY)
    side.show_levels([(D(100), D(2)), (D(99), D(7))])

    assert side.standing_at(D(101)) == 0  # it improves the price
    assert side.standing_at(D(100)) == 2
    assert side.standing_at(D(99)) == 7
    assert side.standing_at(D(98)) == 2  # unknown: as much as at the touch


def test_the_contract_price_is_the_last_trade_unless_the_quote_has_left_it_behind() -> None:
    book = a_book()
    assert book.contract_price == D("100.5")

    for traded, told in (("100.2", "100.2"), ("90", "100"), ("110", "101")):
        book.show_trade(D(traded))
        assert book.contract_price == D(traded)
        book.show_depth([(D(100), D(1))], [(D(101), D(1))])
        assert book.working_price(WorkingType.CONTRACT_PRICE) == D(told)


def test_a_price_that_was_known_stays_known_without_a_quote() -> None:
    book = a_book()

    book.show_depth([], [])

    assert book.contract_price == D("100.5")


def test_without_a_mark_the_contract_price_stands_for_it() -> None:
    assert a_book().working_price(WorkingType.MARK_PRICE) == D("100.5")
