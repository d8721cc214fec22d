"""What is known of a symbol's market, and what of it an order can take.

Displayed quantity is taken once: a level keeps what is left of it until the market shows it anew with another
quantity. Past the last known level a market order pays a ladder of made-up levels, each ``Fees.slippage`` worse.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import Side, WorkingType
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote
from src.domain.orders import OrderRequest
from src.engine.orders import EngineOrder

ZERO = Decimal(0)
Levels = Sequence[tuple[Decimal, Decimal]]
"""Prices and quantities, best first."""

_MAX_SYNTHETIC_LEVELS = 1_000


@dataclass(slots=True)
class Level:
    """A price of the book: the quantity the market showed, and what we have not taken of it."""

    price: Decimal
    displayed: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class Match:
    """What an order can take at one price; ``level`` is None past the known book."""

    price: Decimal
    quantity: Decimal
    level: Level | None = None

    def take(self) -> None:
        if self.level is not None:
            self.level.available -= self.quantity


class BookSide:
    """The bids or the asks, best first: the touch by every quote, the levels behind it by depth.

    Those are known only while the touch they were told with stands: where it moved to, nobody told them yet.
    """

    __slots__ = ("_deeper_levels", "_side", "_touch")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._touch: Level | None = None
        self._deeper_levels: list[Level] = []

    @property
    def best(self) -> Decimal | None:
        return self._touch.price if self._touch else None

    def set_best(self, price: Decimal, quantity: Decimal) -> None:
        """A quote; a price or quantity of zero says that nobody stands there."""
        touch = self._touch
        if touch is not None and touch.price == price and touch.displayed == quantity:
            return
        if touch is None or touch.price != price:
            self._deeper_levels = []
        self._touch = Level(price, quantity, quantity) if price > 0 and quantity > 0 else None

    def set_levels(self, levels: Levels) -> None:
        """Depth, best first; replaces everything but what we have taken of unchanged levels."""
        known = {level.price: level for level in self.levels()}
        fresh = [_keep_taken(known.get(price), price, quantity) for price, quantity in levels if quantity > 0]
        self._touch = fresh[0] if fresh else None
        self._deeper_levels = fresh[1:]

    def levels(self) -> list[Level]:
        """Best first."""
        return [self._touch, *self._deeper_levels] if self._touch else []

    def is_worse(self, price: Decimal, other: Decimal) -> bool:
        """Farther from the market: lower for bids, higher for asks."""
        return (other - price) * self._side.sign > 0

    def queue_at(self, price: Decimal) -> Decimal:
        """What stands in front of an order that joins here now.

        Nothing where it improves the price; where the level is not known, as much as at the touch.
        """
        touch = self._touch
        if touch is None or self.is_worse(touch.price, price):
            return ZERO
        return next((level.displayed for level in self.levels() if level.price == price), touch.displayed)

    def within(self, limit: Decimal) -> Iterator[Level]:
        """The levels an order of the other side with this limit reaches."""
        for level in self.levels():
            if self.is_worse(level.price, limit):
                return
            yield level


def _keep_taken(level: Level | None, price: Decimal, quantity: Decimal) -> Level:
    return level if level is not None and level.displayed == quantity else Level(price, quantity, quantity)


class Book:
    """One symbol's market as it was last told."""

    __slots__ = ("asks", "bids", "contract_price", "instrument", "last_funding_at", "mark", "restored_mark")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.mark: MarkPrice | None = None
        self.restored_mark: MarkPrice | None = None
        """The mark of an account before this one: for what nobody has told yet."""
        self.last_funding_at = 0
        """The funding instant that was last settled."""
        self.contract_price: Decimal | None = None
        """The last trade, or the near side of a quote that has left it behind; at first the middle of a quote."""

    def update_quote(self, quote: Quote) -> None:
        self.bids.set_best(quote.bid, quote.bid_quantity)
        self.asks.set_best(quote.ask, quote.ask_quantity)
        self._update_contract_price()

    def update_depth(self, bids: Levels, asks: Levels) -> None:
        self.bids.set_levels(bids)
        self.asks.set_levels(asks)
        self._update_contract_price()

    def update_trade(self, price: Decimal) -> None:
        self.contract_price = price

    def _update_contract_price(self) -> None:
        bid, ask, price = self.bids.best, self.asks.best, self.contract_price
        if price is None:
            self.contract_price = (bid + ask) / 2 if bid is not None and ask is not None else None
        elif bid is not None and price < bid:
            self.contract_price = bid
        elif ask is not None and price > ask:
            self.contract_price = ask

    def own_side(self, side: Side) -> BookSide:
        """Where orders of this side rest."""
        return self.bids if side is Side.BUY else self.asks

    def opposite_side(self, side: Side) -> BookSide:
        """Where orders of this side find their counterparts."""
        return self.own_side(side.opposite)

    @property
    def mark_price(self) -> Decimal | None:
        """The mark; until one was told, the contract price."""
        if self.mark is not None:
            return self.mark.price
        return self.restored_mark.price if self.contract_price is None and self.restored_mark else self.contract_price

    @property
    def latest_mark(self) -> MarkPrice | None:
        return self.mark or self.restored_mark

    def working_price(self, working_type: WorkingType) -> Decimal | None:
        return self.mark_price if working_type is WorkingType.MARK_PRICE else self.contract_price


def match_levels(levels: Iterable[Level], quantity: Decimal) -> list[Match]:
    """What these levels give for a quantity."""
    matches: list[Match] = []
    for level in levels:
        if quantity <= 0:
            break
        taken = min(quantity, level.available)
        if taken > 0:
            matches.append(Match(level.price, taken, level))
            quantity -= taken
    return matches


def limit_quantity(matches: Iterable[Match], quantity: Decimal) -> list[Match]:
    """The first of these parts, as many as make a quantity."""
    kept: list[Match] = []
    for match in matches:
        taken = min(match.quantity, quantity)
        if taken > 0:
            kept.append(replace(match, quantity=taken))
            quantity -= taken
    return kept


def match_market(book: Book, side: Side, quantity: Decimal, bound: Decimal | None, slippage: Decimal) -> list[Match]:
    """What a market order gets: the known book, then the ladder, never past ``bound``."""
    opposite = book.opposite_side(side)
    levels = opposite.levels() if bound is None else opposite.within(bound)
    matches = match_levels(levels, quantity)
    remaining = quantity - sum((match.quantity for match in matches), ZERO)
    for price, depth in _synthetic_levels(book, side, slippage):
        if remaining <= 0 or (bound is not None and opposite.is_worse(price, bound)):
            break
        matches.append(Match(price, min(remaining, depth)))
        remaining -= depth
    return matches


def _synthetic_levels(book: Book, side: Side, slippage: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    """Levels past the known book; the n-th is n steps worse and holds n times all that is known."""
    known = book.opposite_side(side).levels()
    if not known:
        return
    last, total = known[-1].price, sum((level.displayed for level in known), ZERO)
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    for number in range(1, _MAX_SYNTHETIC_LEVELS):
        price = book.instrument.price(last * (1 + side.sign * slippage * number), rounding)
        if price < book.instrument.min_price:
            return
        yield price, total * number


def is_stop_price_reached(request: OrderRequest, price: Decimal) -> bool:
    """STOP BUY at ≥ stop, STOP SELL at ≤; take profits the other way."""
    stop = request.stop_price or Decimal(0)
    triggers_on_rise = (request.side is Side.BUY) is not request.type.is_take_profit
    return price >= stop if triggers_on_rise else price <= stop


def should_trigger(order: EngineOrder, book: Book) -> bool:
    """Reached, and not withheld by price protection."""
    price = book.working_price(order.working_type)
    if price is None or not is_stop_price_reached(order.request, price):
        return False
    return not (order.request.price_protect and _exceeds_price_protection(book))


def _exceeds_price_protection(book: Book) -> bool:
    """Mark and contract price differ by more than the symbol's ``triggerProtect``."""
    mark, contract = book.mark_price, book.contract_price
    if mark is None or contract is None:
        return True
    return abs(mark - contract) > mark * book.instrument.trigger_protect
