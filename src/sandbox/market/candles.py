"""Market trades and candles. One-minute candles are stored, longer intervals are aggregated on request."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby

from src.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS
from src.domain.enums import Side
from src.domain.numbers import ZERO

_MAX_MINUTES = 3_000

INTERVALS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 30 * DAY_MS,
}
"""The documented intervals (ENUM definitions); a month is thirty days here."""


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One public trade."""

    id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    at: int

    @property
    def is_buyer_maker(self) -> bool:
        return self.taker_side is Side.SELL

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class Candle:
    open_at: int
    close_at: int
    """Last millisecond of the candle."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    notional: Decimal = ZERO
    taker_volume: Decimal = ZERO
    taker_notional: Decimal = ZERO
    trades: int = 0
    first_trade_id: int = 0
    last_trade_id: int = 0

    def with_trade(self, trade: MarketTrade) -> "Candle":
        """Return this candle with one more trade."""
        is_buy = trade.taker_side is Side.BUY
        return replace(
            self,
            high=max(self.high, trade.price),
            low=min(self.low, trade.price),
            close=trade.price,
            volume=self.volume + trade.quantity,
            notional=self.notional + trade.notional,
            taker_volume=self.taker_volume + (trade.quantity if is_buy else 0),
            taker_notional=self.taker_notional + (trade.notional if is_buy else 0),
            trades=self.trades + 1,
            first_trade_id=self.first_trade_id or trade.id,
            last_trade_id=trade.id,
        )


class Candles:
    """Candles of one symbol."""

    def __init__(self) -> None:
        self._minutes: deque[Candle] = deque(maxlen=_MAX_MINUTES)

    def add(self, trade: MarketTrade) -> None:
        open_at = trade.at - trade.at % MINUTE_MS
        if not self._minutes or self._minutes[-1].open_at < open_at:
            self._minutes.append(_flat_candle(open_at, trade.price))
        self._minutes[-1] = self._minutes[-1].with_trade(trade)

    def sample(self, price: Decimal, at: int) -> None:
        """Add a price without a trade, like a mark price: it adds no volume."""
        self.add(MarketTrade(0, price, ZERO, Side.BUY, at))

    def prepend(self, history: Iterable[Candle]) -> None:
        """Insert older one-minute candles, oldest first, before the existing ones."""
        older = [candle for candle in history if not self._minutes or candle.open_at < self._minutes[0].open_at]
        self._minutes.extendleft(reversed(older))

    def for_interval(self, interval: str) -> list[Candle]:
        """Return all candles of a documented interval, oldest first."""
        width = INTERVALS_MS[interval]
        if width == MINUTE_MS:
            return list(self._minutes)
        groups = groupby(self._minutes, key=lambda candle: candle.open_at // width)
        return [_aggregate(number * width, width, list(minutes)) for number, minutes in groups]

    def current(self, interval: str) -> Candle | None:
        """Return the candle of the last trade; None without trades."""
        if not self._minutes:
            return None
        width = INTERVALS_MS[interval]
        number = self._minutes[-1].open_at // width
        minutes: list[Candle] = []
        for candle in reversed(self._minutes):
            if candle.open_at // width != number:
                break
            minutes.append(candle)
        return _aggregate(number * width, width, minutes[::-1])

    def last_day(self) -> Candle | None:
        """Return the last 24 hours as one candle (24hr Ticker)."""
        if not self._minutes:
            return None
        since = self._minutes[-1].open_at - DAY_MS
        return _aggregate(since, DAY_MS, [candle for candle in self._minutes if candle.open_at > since])


def _flat_candle(open_at: int, price: Decimal) -> Candle:
    return Candle(open_at, open_at + MINUTE_MS - 1, price, price, price, price)


def _aggregate(open_at: int, width: int, minutes: list[Candle]) -> Candle:
    return Candle(
        open_at=open_at,
        close_at=open_at + width - 1,
        open=minutes[0].open,
        high=max(candle.high for candle in minutes),
        low=min(candle.low for candle in minutes),
        close=minutes[-1].close,
        volume=sum((candle.volume for candle in minutes), ZERO),
        notional=sum((candle.notional for candle in minutes), ZERO),
        taker_volume=sum((candle.taker_volume for candle in minutes), ZERO),
        taker_notional=sum((candle.taker_notional for candle in minutes), ZERO),
        trades=sum(candle.trades for candle in minutes),
        first_trade_id=next((candle.first_trade_id for candle in minutes if candle.trades), 0),
        last_trade_id=max(candle.last_trade_id for candle in minutes),
    )
