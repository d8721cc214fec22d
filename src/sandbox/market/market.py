"""The state of the market: per symbol a quote with depth, a tape of trades, a mark price and candles."""

from collections import deque
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import Side
from src.domain.market import MarkPrice, Quote
from src.sandbox.market.candles import Candles, MarketTrade
from src.sandbox.market.listings import Listing

Levels = list[tuple[Decimal, Decimal]]
"""Price and quantity, best first."""

FUNDING_INTERVAL_MS = 8 * 60 * 60 * 1000
INTEREST_RATE = Decimal("0.0001")
FUNDING_CAP = Decimal("0.0075")
_MARK_SMOOTHING = Decimal("0.85")
_KEPT_TRADES = 1_000
_LEVEL_GAP = Decimal("0.00008")
"""Distance of two neighbouring levels of the made-up book, relative to the price."""


class SymbolMarket:
    """One symbol's market. Nobody but the exchange changes it."""

    def __init__(self, listing: Listing, at: int) -> None:
        self.listing = listing
        self.instrument = listing.instrument
        self.candles = Candles()
        self.mark_candles = Candles()
        self.index_candles = Candles()
        self.trades: deque[MarketTrade] = deque(maxlen=_KEPT_TRADES)
        self.update_id = 0
        self.depth_factor = Decimal(1)
        """What part of the usual quantity stands in the book; tests lower it to make fills partial."""
        self.middle = listing.start_price
        """Where the source of motion put the price."""
        self._trade_count = 0
        self.quote = self.move(listing.start_price, at)
        self.last_price = self.quote.mid_price
        self.mark = self.set_mark(self.quote.mid_price, at)

    def move(self, middle: Decimal, at: int) -> Quote:
        """Put the book around a price."""
        self.middle = middle
        tick = self.instrument.tick
        half = tick * self.listing.spread_ticks / 2
        bid = max(self.instrument.price(middle - half, ROUND_FLOOR), self.instrument.min_price)
        ask = max(self.instrument.price(middle + half, ROUND_CEILING), bid + tick)
        return self.set_quote(bid, ask, at)

    def set_quote(self, bid: Decimal, ask: Decimal, at: int) -> Quote:
        """Put the best prices exactly there; both must be on the tick grid."""
        self.update_id += 1
        quantity = self._level_quantity(ask)
        self.quote = Quote(self.instrument.symbol, bid, quantity, ask, quantity, at, at)
        return self.quote

    def record_trade(self, taker_side: Side, price: Decimal, quantity: Decimal, at: int) -> MarketTrade:
        """Write a trade on the tape."""
        self._trade_count += 1
        trade = MarketTrade(self._trade_count, price, quantity, taker_side, at)
        self.trades.append(trade)
        self.candles.add(trade)
        self.last_price = price
        return trade

    def update_mark(self, at: int) -> MarkPrice:
        """Let the mark follow the middle of the book, smoothed; asked for once a second."""
        smoothed = self.mark.price * _MARK_SMOOTHING + self.quote.mid_price * (1 - _MARK_SMOOTHING)
        return self.set_mark(smoothed, at)

    def set_mark(self, price: Decimal, at: int) -> MarkPrice:
        """Put the mark exactly there."""
        self.mark = self._make_mark(price, at)
        self.mark_candles.sample(self.mark.price, at)
        self.index_candles.sample(self.mark.index_price, at)
        return self.mark

    def depth(self, levels: int) -> tuple[Levels, Levels]:
        """Bids and asks, best first."""
        return self._side(self.quote.bid, Side.BUY, levels), self._side(self.quote.ask, Side.SELL, levels)

    def _side(self, best: Decimal, side: Side, levels: int) -> Levels:
        tick = self.instrument.tick
        gap = max(best * _LEVEL_GAP // tick, Decimal(1)) * tick
        rows = ((best - side.sign * gap * number, self._level_quantity(best, number)) for number in range(levels))
        return [(price, quantity) for price, quantity in rows if price >= self.instrument.min_price]

    def _level_quantity(self, price: Decimal, level: int = 0) -> Decimal:
        """The quantity at a level: more behind the touch, and never twice the same in a row."""
        wobble = Decimal(70 + (self.update_id * 37 + level * 53) % 61) / 100
        value = self.listing.depth_notional * self.depth_factor * wobble * (1 + Decimal(min(level, 20)) / 4)
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


class Market:
    """All symbols."""

    def __init__(self, listings: Mapping[str, Listing], at: int) -> None:
        self._symbols = {symbol: SymbolMarket(listing, at) for symbol, listing in listings.items()}

    def __getitem__(self, symbol: str) -> SymbolMarket:
        return self._symbols[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._symbols

    @property
    def symbols(self) -> Mapping[str, SymbolMarket]:
        return self._symbols
