"""State of the market: for each symbol quote, depth, trades, mark price and candles."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import Side
from src.domain.margin import Brackets
from src.domain.market import MarkPrice, Quote
from src.domain.numbers import ZERO
from src.sandbox.market.candles import Candles, MarketTrade
from src.sandbox.market.listings import Listing

Levels = list[tuple[Decimal, Decimal]]
"""Price and quantity, best first."""
OwnQuantities = Mapping[Decimal, Decimal]

FUNDING_INTERVAL_MS = 8 * 60 * 60 * 1000
INTEREST_RATE = Decimal("0.0001")
FUNDING_CAP = Decimal("0.0075")
_MARK_SMOOTHING = Decimal("0.85")
_KEPT_TRADES = 1_000
_LEVEL_GAP = Decimal("0.00008")
"""Distance between two levels of the synthetic book, relative to the price."""


class SymbolMarket:
    """Market of one symbol. Only the exchange changes it."""

    def __init__(self, listing: Listing, at: int) -> None:
        self.listing = listing
        self.instrument = listing.instrument
        self.candles = Candles()
        self.mark_candles = Candles()
        self.index_candles = Candles()
        self.trades: deque[MarketTrade] = deque(maxlen=_KEPT_TRADES)
        self.update_id = 0
        self.depth_factor = Decimal(1)
        """Fraction of the usual quantity in the book; tests reduce it to get partial fills."""
        self.brackets: Brackets = listing.brackets
        """The leverage brackets in force."""
        self.own_bids: OwnQuantities = {}
        self.own_asks: OwnQuantities = {}
        """The account's orders in the book: quantity by price; empty unless a fault shows them."""
        self.middle = listing.start_price
        """Mid price set by the market source."""
        self._trade_count = 0
        self.quote = self.move(listing.start_price, at)
        self.last_price = self.quote.mid_price
        self.mark = self.set_mark(self.quote.mid_price, at)

    def limit_leverage(self, leverage: int) -> None:
        """Limit the leverage of all brackets."""
        self.brackets = [replace(each, max_leverage=min(each.max_leverage, leverage)) for each in self.listing.brackets]

    def move(self, middle: Decimal, at: int) -> Quote:
        """Move the order book to a price."""
        self.middle = middle
        tick = self.instrument.tick
        half = tick * self.listing.spread_ticks / 2
        bid = max(self.instrument.price(middle - half, ROUND_FLOOR), self.instrument.min_price)
        ask = max(self.instrument.price(middle + half, ROUND_CEILING), bid + tick)
        return self.set_quote(bid, ask, at)

    def set_quote(self, bid: Decimal, ask: Decimal, at: int) -> Quote:
        """Set the best bid and ask; both must be multiples of the tick size."""
        self.update_id += 1
        quantity = self._level_quantity(ask)
        self.quote = Quote(self.instrument.symbol, bid, quantity, ask, quantity, at, at)
        return self.quote

    def record_trade(self, taker_side: Side, price: Decimal, quantity: Decimal, at: int) -> MarketTrade:
        """Record a public trade."""
        self._trade_count += 1
        trade = MarketTrade(self._trade_count, price, quantity, taker_side, at)
        self.trades.append(trade)
        self.candles.add(trade)
        self.last_price = price
        return trade

    def update_mark(self, at: int) -> MarkPrice:
        """Move the mark price towards the mid price; called once per second."""
        smoothed = self.mark.price * _MARK_SMOOTHING + self.quote.mid_price * (1 - _MARK_SMOOTHING)
        return self.set_mark(smoothed, at)

    def set_mark(self, price: Decimal, at: int) -> MarkPrice:
        """Set the mark price."""
        self.mark = self._make_mark(price, at)
        self.mark_candles.sample(self.mark.price, at)
        self.index_candles.sample(self.mark.index_price, at)
        return self.mark

    def depth(self, levels: int) -> tuple[Levels, Levels]:
        """Return bids and asks, best first."""
        return self._side(self.quote.bid, Side.BUY, levels), self._side(self.quote.ask, Side.SELL, levels)

    def public_depth(self, levels: int) -> tuple[Levels, Levels]:
        """Return the book as the public sees it: with the account's orders, if a fault shows them."""
        bids, asks = self.depth(levels)
        return _merged(bids, self.own_bids, Side.BUY, levels), _merged(asks, self.own_asks, Side.SELL, levels)

    @property
    def public_quote(self) -> Quote:
        """The best bid and ask of ``public_depth``."""
        if not self.own_bids and not self.own_asks:
            return self.quote
        ((bid, bid_quantity), *_), ((ask, ask_quantity), *_) = self._public_best()
        return replace(self.quote, bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)

    def _public_best(self) -> tuple[Levels, Levels]:
        quote = self.quote
        return (
            _merged([(quote.bid, quote.bid_quantity)], self.own_bids, Side.BUY, 1),
            _merged([(quote.ask, quote.ask_quantity)], self.own_asks, Side.SELL, 1),
        )

    def set_own_orders(self, bids: OwnQuantities, asks: OwnQuantities) -> bool:
        """Set the account's orders in the book; return whether it changed."""
        if (bids, asks) == (self.own_bids, self.own_asks):
            return False
        self.own_bids, self.own_asks = bids, asks
        self.update_id += 1
        return True

    def _side(self, best: Decimal, side: Side, levels: int) -> Levels:
        tick = self.instrument.tick
        gap = max(best * _LEVEL_GAP // tick, Decimal(1)) * tick
        rows = ((best - side.sign * gap * number, self._level_quantity(best, number)) for number in range(levels))
        return [(price, quantity) for price, quantity in rows if price >= self.instrument.min_price]

    def _level_quantity(self, price: Decimal, level: int = 0) -> Decimal:
        """Return the quantity of a level: larger further from the best price, and different after each update."""
        variation = Decimal(70 + (self.update_id * 37 + level * 53) % 61) / 100
        value = self.listing.depth_notional * self.depth_factor * variation * (1 + Decimal(min(level, 20)) / 4)
        return max(self.instrument.quantity(value / price), self.instrument.step)

    def _make_mark(self, price: Decimal, at: int) -> MarkPrice:
        fine = self.instrument.tick / 1000
        premium = (self.quote.mid_price - price) / price
        rate = min(max(INTEREST_RATE + premium, -FUNDING_CAP), FUNDING_CAP)
        return MarkPrice(
            symbol=self.instrument.symbol,
            price=price.quantize(fine),
            index_price=((price + self.quote.mid_price) / 2).quantize(fine),
            funding_rate=rate.quantize(Decimal("0.00000001")),
            next_funding_at=at - at % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS,
            at=at,
            received_at=at,
        )


def _merged(levels: Levels, own: OwnQuantities, side: Side, limit: int) -> Levels:
    """Return the levels together with the account's orders, best first."""
    if not own:
        return levels
    quantities = dict(levels)
    for price, quantity in own.items():
        quantities[price] = quantities.get(price, ZERO) + quantity
    return sorted(quantities.items(), reverse=side is Side.BUY)[:limit]


class Market:
    """Markets of all symbols."""

    def __init__(self, listings: Mapping[str, Listing], at: int) -> None:
        self._symbols = {symbol: SymbolMarket(listing, at) for symbol, listing in listings.items()}

    def __getitem__(self, symbol: str) -> SymbolMarket:
        return self._symbols[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._symbols

    @property
    def symbols(self) -> Mapping[str, SymbolMarket]:
        return self._symbols
