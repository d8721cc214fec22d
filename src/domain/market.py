"""Market data: quotes, mark prices, liquidations and their volume in a time window."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.clock import MAX_CLOCK_OFFSET_MS
from src.domain.enums import OrderType, Side, TimeInForce
from src.domain.numbers import ZERO

CLOCK_TOLERANCE_MS = 1_000
"""How far the exchange's clock may be ahead of ours while entries are allowed."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask of a symbol, with their quantities."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    at: int
    """Exchange time, ms UTC."""
    received_at: int
    """Our time when it arrived, ms UTC."""

    @property
    def mid_price(self) -> Decimal:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """The mark price of a symbol, its index price and its next funding."""

    symbol: str
    price: Decimal
    index_price: Decimal
    funding_rate: Decimal
    next_funding_at: int
    at: int
    received_at: int


def price_age_ms(price: Quote | MarkPrice, now_ms: int) -> int:
    """The age of a price: since its arrival, or since the exchange sent it if it waited in the socket of a suspended
    process or a slow connection. In milliseconds, at most ``MAX_CLOCK_OFFSET_MS`` too little.
    """
    return max(now_ms - price.received_at, now_ms - price.at - MAX_CLOCK_OFFSET_MS)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation order of the market (Liquidation Order Streams): SELL means a long was liquidated."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    """The limit price of the liquidation order, often far from the market; see ``fill_price``."""
    average_price: Decimal
    filled_quantity: Decimal
    traded_at: int
    """Exchange time of the trade, ms UTC."""
    event_at: int
    """Exchange time of the event, ms UTC."""
    received_at: int
    """Our time when it arrived, ms UTC."""
    type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.IOC
    status: str = "FILLED"

    @property
    def is_future_dated(self) -> bool:
        """Whether it is dated later than any clock tolerance explains, such as microseconds read as milliseconds.

        Such a liquidation counts in no window: it would never leave it, and would push all others out.
        """
        return self.traded_at > self.received_at + CLOCK_TOLERANCE_MS

    @property
    def volume(self) -> Decimal:
        """Liquidated contracts: the filled quantity, else the ordered one."""
        return self.filled_quantity or self.quantity

    @property
    def fill_price(self) -> Decimal:
        """The average fill price, else the limit price."""
        return self.average_price or self.price

    @property
    def notional(self) -> Decimal:
        """The liquidated value in the quote asset."""
        return self.volume * self.fill_price


@dataclass(slots=True)
class _Series:
    """The liquidations of one symbol and side inside the window, oldest first, with running totals."""

    events: list[tuple[int, int, Decimal, Decimal]] = field(default_factory=list)
    volume: Decimal = ZERO
    notional: Decimal = ZERO

    def add(self, event: tuple[int, int, Decimal, Decimal]) -> None:
        insort(self.events, event)
        self.volume += event[2]
        self.notional += event[3]

    def expire(self, until_ms: int) -> None:
        expired = 0
        for traded_at, _, volume, notional in self.events:
            if traded_at > until_ms:
                break
            self.volume -= volume
            self.notional -= notional
            expired += 1
        if expired:
            del self.events[:expired]


class LiquidationWindow:
    """Liquidated volume per symbol and side over the last ``window_ms``, by exchange time.

    Returns the same as the functions of the same names in ``src/database/db.py``, without a query. ``now_ms`` must
    not go backwards for a symbol: liquidations that have left the window are dropped. Future-dated ones do not count.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._series: dict[tuple[str, Side], _Series] = {}
        self._count = 0

    def add(self, liquidation: Liquidation) -> None:
        if liquidation.is_future_dated:
            return
        self._count += 1
        key = (liquidation.symbol, liquidation.side)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.add((liquidation.traded_at, self._count, liquidation.volume, liquidation.notional))

    def get_volume_in_window(self, symbol: str, now_ms: int, side: Side | None = None) -> Decimal:
        """Return the contracts liquidated after ``now_ms - window_ms``; of both sides if ``side`` is None."""
        return sum((series.volume for series in self._current(symbol, now_ms, side)), ZERO)

    def get_usdt_volume_in_window(self, symbol: str, now_ms: int, side: Side | None = None) -> Decimal:
        """Return the same volume in the quote asset."""
        return sum((series.notional for series in self._current(symbol, now_ms, side)), ZERO)

    def consume(self, symbol: str, side: Side | None = None) -> None:
        """Drop the volume an entry has acted on, so that it does not count again."""
        for each in _sides(side):
            self._series.pop((symbol, each), None)

    def _current(self, symbol: str, now_ms: int, side: Side | None) -> Iterable[_Series]:
        for each in _sides(side):
            series = self._series.get((symbol, each))
            if series is not None:
                series.expire(now_ms - self._window_ms)
                yield series


def _sides(side: Side | None) -> tuple[Side, ...]:
    return (side,) if side else (Side.BUY, Side.SELL)
