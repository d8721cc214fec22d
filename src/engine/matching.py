"""What is known of a symbol's market, and what of it an order can take.

Displayed quantity is taken once: a level keeps what is left of it until the market shows it anew with another
quantity. Past the last known level a market order pays a ladder of made-up levels, each ``Costs.slippage`` worse.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import Side, WorkingType
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote

ZERO = Decimal(0)
Levels = Sequence[tuple[Decimal, Decimal]]
"""Prices and quantities, best first."""

_LADDER_STEPS = 1_000


@dataclass(slots=True)
class Level:
    """A price of the book: the quantity the market showed, and what we have not taken of it."""

    price: Decimal
    shown: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class Part:
    """What an order can take at one price; ``level`` is None past the known book."""

    price: Decimal
    quantity: Decimal
    level: Level | None = None

    def take(self) -> None:
        if self.level is not None:
            self.level.left -= self.quantity


class BookSide:
    """The bids or the asks, best first: the touch by every quote, the levels behind it by depth.

    Those are known only while the touch they were told with stands: where it moved to, nobody told them yet.
    """

    __slots__ = ("_behind", "_side", "_touch")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._touch: Level | None = None
        self._behind: list[Level] = []

    @property
    def best(self) -> Decimal | None:
        return self._touch.price if self._touch else None

    def show_touch(self, price: Decimal, quantity: Decimal) -> None:
        """A quote; a price or quantity of zero says that nobody stands there."""
        touch = self._touch
        if touch is not None and touch.price == price and touch.shown == quantity:
            return
        if touch is None or touch.price != price:
            self._behind = []
        self._touch = Level(price, quantity, quantity) if price > 0 and quantity > 0 else None

    def show_levels(self, levels: Levels) -> None:
        """Depth, best first; replaces everything but what we have taken of unchanged levels."""
        known = {level.price: level for level in self.levels()}
        fresh = [_renewed(known.get(price), price, quantity) for price, quantity in levels if quantity > 0]
        self._touch = fresh[0] if fresh else None
        self._behind = fresh[1:]

    def levels(self) -> list[Level]:
        """Best first."""
        return [self._touch, *self._behind] if self._touch else []

    def is_worse(self, price: Decimal, other: Decimal) -> bool:
        """Farther from the market: lower for bids, higher for asks."""
        return (other - price) * self._side.sign > 0

    def standing_at(self, price: Decimal) -> Decimal:
        """What stands in front of an order that joins here now.

        Nothing where it improves the price; where the level is not known, as much as at the touch.
        """
        touch = self._touch
        if touch is None or self.is_worse(touch.price, price):
            return ZERO
        return next((level.shown for level in self.levels() if level.price == price), touch.shown)

    def within(self, limit: Decimal) -> Iterator[Level]:
        """The levels an order of the other side with this limit reaches."""
        for level in self.levels():
            if self.is_worse(level.price, limit):
                return
            yield level


def _renewed(level: Level | None, price: Decimal, quantity: Decimal) -> Level:
    return level if level is not None and level.shown == quantity else Level(price, quantity, quantity)


class Book:
    """One symbol's market as it was last told."""

    __slots__ = ("asks", "bids", "contract_price", "funded_at", "instrument", "mark", "remembered")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.mark: MarkPrice | None = None
        self.remembered: MarkPrice | None = None
        """The mark of an account before this one: for what nobody has told yet."""
        self.funded_at = 0
        """The funding instant that was last settled."""
        self.contract_price: Decimal | None = None
        """The last trade, or the near side of a quote that has left it behind; at first the middle of a quote."""

    def show_quote(self, quote: Quote) -> None:
        self.bids.show_touch(quote.bid, quote.bid_quantity)
        self.asks.show_touch(quote.ask, quote.ask_quantity)
        self._follow()

    def show_depth(self, bids: Levels, asks: Levels) -> None:
        self.bids.show_levels(bids)
        self.asks.show_levels(asks)
        self._follow()

    def show_trade(self, price: Decimal) -> None:
        self.contract_price = price

    def _follow(self) -> None:
        bid, ask, price = self.bids.best, self.asks.best, self.contract_price
        if price is None:
            self.contract_price = (bid + ask) / 2 if bid is not None and ask is not None else None
        elif bid is not None and price < bid:
            self.contract_price = bid
        elif ask is not None and price > ask:
            self.contract_price = ask

    def resting(self, side: Side) -> BookSide:
        """Where orders of this side rest."""
        return self.bids if side is Side.BUY else self.asks

    def facing(self, side: Side) -> BookSide:
        """Where orders of this side find their counterparts."""
        return self.resting(side.opposite)

    @property
    def mark_price(self) -> Decimal | None:
        """The mark; until one was told, the contract price."""
        if self.mark is not None:
            return self.mark.price
        return self.remembered.price if self.contract_price is None and self.remembered else self.contract_price

    @property
    def newest_mark(self) -> MarkPrice | None:
        return self.mark or self.remembered

    def working_price(self, working_type: WorkingType) -> Decimal | None:
        return self.mark_price if working_type is WorkingType.MARK_PRICE else self.contract_price


def known_parts(levels: Iterable[Level], quantity: Decimal) -> list[Part]:
    """What these levels give for a quantity."""
    parts: list[Part] = []
    for level in levels:
        if quantity <= 0:
            break
        taken = min(quantity, level.left)
        if taken > 0:
            parts.append(Part(level.price, taken, level))
            quantity -= taken
    return parts


def up_to(parts: Iterable[Part], quantity: Decimal) -> list[Part]:
    """The first of these parts, as many as make a quantity."""
    kept: list[Part] = []
    for part in parts:
        taken = min(part.quantity, quantity)
        if taken > 0:
            kept.append(replace(part, quantity=taken))
            quantity -= taken
    return kept


def market_parts(book: Book, side: Side, quantity: Decimal, bound: Decimal | None, slippage: Decimal) -> list[Part]:
    """What a market order gets: the known book, then the ladder, never past ``bound``."""
    facing = book.facing(side)
    levels = facing.levels() if bound is None else facing.within(bound)
    parts = known_parts(levels, quantity)
    rest = quantity - sum((part.quantity for part in parts), ZERO)
    for price, standing in _ladder(book, side, slippage):
        if rest <= 0 or (bound is not None and facing.is_worse(price, bound)):
            break
        parts.append(Part(price, min(rest, standing)))
        rest -= standing
    return parts


def _ladder(book: Book, side: Side, slippage: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    """Levels past the known book; the n-th is n steps worse and holds n times all that is known."""
    known = book.facing(side).levels()
    if not known:
        return
    last, total = known[-1].price, sum((level.shown for level in known), ZERO)
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    for number in range(1, _LADDER_STEPS):
        price = book.instrument.price(last * (1 + side.sign * slippage * number), rounding)
        if price < book.instrument.min_price:
            return
        yield price, total * number
