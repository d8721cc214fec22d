"""Order book of a symbol, matching against it, and trigger conditions of conditional orders.

Displayed quantity can be taken only once: a level keeps its remaining quantity until the market displays another one
for it. Behind the last known level, market orders match against synthetic levels, each worse by ``Fees.slippage``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import Side, WorkingType
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote
from src.domain.numbers import ZERO
from src.domain.orders import OrderRequest
from src.engine.orders import EngineOrder

Levels = Sequence[tuple[Decimal, Decimal]]
"""Prices and quantities, best first."""

_MAX_SYNTHETIC_LEVELS = 1_000


@dataclass(slots=True)
class Level:
    """One price level: the displayed quantity, and the part of it that has not been taken."""

    price: Decimal
    displayed: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class Match:
    """Quantity an order can take at one price; ``level`` is None behind the known book."""

    price: Decimal
    quantity: Decimal
    level: Level | None = None

    def take(self) -> None:
        if self.level is not None:
            self.level.available -= self.quantity


class BookSide:
    """The bids or the asks: the best level from quotes, the deeper levels from depth updates.

    The deeper levels are dropped when the best price moves, because they are then out of date.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._best: Level | None = None
        self._deeper_levels: list[Level] = []

    @property
    def best(self) -> Decimal | None:
        """The best price; None if the side is empty."""
        return self._best.price if self._best else None

    def set_best(self, price: Decimal, quantity: Decimal) -> None:
        """Set the best level from a quote; a price or quantity of zero means that the side is empty."""
        best = self._best
        if best is not None and best.price == price and best.displayed == quantity:
            return
        if best is None or best.price != price:
            self._deeper_levels = []
        self._best = Level(price, quantity, quantity) if price > 0 and quantity > 0 else None

    def set_levels(self, levels: Levels) -> None:
        """Replace all levels from a depth update, best first; unchanged levels keep the quantity already taken."""
        known = {level.price: level for level in self.levels()}
        updated = [_keep_taken(known.get(price), price, quantity) for price, quantity in levels if quantity > 0]
        self._best = updated[0] if updated else None
        self._deeper_levels = updated[1:]

    def levels(self) -> list[Level]:
        """Return the known levels, best first."""
        return [self._best, *self._deeper_levels] if self._best else []

    def is_worse(self, price: Decimal, other: Decimal) -> bool:
        """Whether ``price`` is farther from the market than ``other``: lower for bids, higher for asks."""
        return (other - price) * self._side.sign > 0

    def queue_at(self, price: Decimal) -> Decimal:
        """Return the quantity ahead of an order that joins at this price.

        Zero if it improves the best price; the quantity of the best level if the level is unknown.
        """
        best = self._best
        if best is None or self.is_worse(best.price, price):
            return ZERO
        return next((level.displayed for level in self.levels() if level.price == price), best.displayed)

    def within(self, limit: Decimal) -> Iterator[Level]:
        """Yield the levels that an order of the other side with this limit price reaches."""
        for level in self.levels():
            if self.is_worse(level.price, limit):
                return
            yield level


def _keep_taken(level: Level | None, price: Decimal, quantity: Decimal) -> Level:
    return level if level is not None and level.displayed == quantity else Level(price, quantity, quantity)


class Book:
    """The current market of one symbol."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.mark: MarkPrice | None = None
        self.restored_mark: MarkPrice | None = None
        """The mark price of a restored account, used until a new one arrives."""
        self.last_funding_at = 0
        """Time of the last settled funding, ms UTC."""
        self.contract_price: Decimal | None = None
        """The last trade price, limited to the current spread; the middle of the first quote until a trade."""

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
        """Return the book side that orders of this side join."""
        return self.bids if side is Side.BUY else self.asks

    def opposite_side(self, side: Side) -> BookSide:
        """Return the book side that orders of this side match against."""
        return self.own_side(side.opposite)

    @property
    def mark_price(self) -> Decimal | None:
        """The mark price; before the first one arrives, the contract price or the restored mark price."""
        if self.mark is not None:
            return self.mark.price
        return self.restored_mark.price if self.contract_price is None and self.restored_mark else self.contract_price

    @property
    def latest_mark(self) -> MarkPrice | None:
        return self.mark or self.restored_mark

    def working_price(self, working_type: WorkingType) -> Decimal | None:
        return self.mark_price if working_type is WorkingType.MARK_PRICE else self.contract_price


def match_levels(levels: Iterable[Level], quantity: Decimal) -> list[Match]:
    """Match a quantity against these levels."""
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
    """Cut the matches to a total quantity."""
    kept: list[Match] = []
    for match in matches:
        taken = min(match.quantity, quantity)
        if taken > 0:
            kept.append(replace(match, quantity=taken))
            quantity -= taken
    return kept


def match_market(book: Book, side: Side, quantity: Decimal, bound: Decimal | None, slippage: Decimal) -> list[Match]:
    """Match a market order against the known book, then the synthetic levels, never beyond the price ``bound``."""
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
    """Yield levels behind the known book: the n-th is n × slippage worse and has n times the known quantity."""
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
    """Stops: BUY at or above the stop price, SELL at or below; take profits the other way round."""
    stop = request.stop_price or ZERO
    triggers_on_rise = (request.side is Side.BUY) is not request.type.is_take_profit
    return price >= stop if triggers_on_rise else price <= stop


def should_trigger(order: EngineOrder, book: Book) -> bool:
    """Whether the stop price is reached and price protection does not block the trigger."""
    price = book.working_price(order.working_type)
    if price is None or not is_stop_price_reached(order.request, price):
        return False
    return not (order.request.price_protect and _exceeds_price_protection(book))


def _exceeds_price_protection(book: Book) -> bool:
    """Whether mark and contract price differ by more than the symbol's ``triggerProtect``."""
    mark, contract = book.mark_price, book.contract_price
    if mark is None or contract is None:
        return True
    return abs(mark - contract) > mark * book.instrument.trigger_protect
