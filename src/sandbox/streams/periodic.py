"""Publishes the subscribed periodic streams: depth, candles, tickers and mark prices."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from src.domain.numbers import ZERO
from src.exchange.wire import Body, render_levels, render_mark_price_event
from src.sandbox.market.market import Levels, Market, SymbolMarket
from src.sandbox.market.wire import render_candle_event, render_day_ticker_event, render_depth_event
from src.sandbox.streams.names import DayTicker, DepthStream, KlineStream, MarkStream, PeriodicStream, parse_periodic
from src.sandbox.streams.server import StreamServer

PUBLISH_INTERVAL_MS = 100
_LEVELS = 1_000
"""Levels in a depth diff: the maximum a client can query by REST."""
_REMOVED = ZERO


class PeriodicStreams:
    """Publishes each subscribed stream at its interval."""

    def __init__(self, market: Market, streams: StreamServer) -> None:
        self._market = market
        self._streams = streams
        self._published_at: dict[str, int] = {}
        self._last_trades: dict[str, int] = {}
        self._books: dict[str, DepthDiff] = {}
        self._days: dict[str, dict[str, Body]] = {}

    def publish_due(self, now_ms: int) -> None:
        """Publish the streams that are due; called every ``PUBLISH_INTERVAL_MS``."""
        periodic = [stream for name in self._streams.subscribed_names() if (stream := parse_periodic(name)) is not None]
        for stream in periodic:
            if now_ms - self._published_at.get(stream.name, 0) >= stream.interval_ms:
                self._published_at[stream.name] = now_ms
                for body in self._bodies(stream, now_ms):
                    self._streams.publish([stream.name], body)

    def _bodies(self, stream: PeriodicStream, now_ms: int) -> Iterator[object]:
        match stream:
            case MarkStream(symbol=None):
                yield [render_mark_price_event(each.mark) for each in self._market.symbols.values()]
            case MarkStream(symbol=str(symbol)) if symbol in self._market:
                yield render_mark_price_event(self._market[symbol].mark)
            case DepthStream(symbol=symbol, levels=None) if symbol in self._market:
                yield from self._depth_diff(stream, now_ms)
            case DepthStream(symbol=symbol, levels=int(levels)) if symbol in self._market:
                yield render_depth_event(self._market[symbol], levels, now_ms)
            case DayTicker(symbol=None):
                yield from self._changed_day_tickers(stream, now_ms)
            case DayTicker(symbol=str(symbol)) if symbol in self._market:
                yield render_day_ticker_event(self._market[symbol], now_ms, is_mini=stream.is_mini)
            case KlineStream(symbol=symbol) if symbol in self._market:
                yield from self._candle(stream, now_ms)

    def _depth_diff(self, stream: DepthStream, now_ms: int) -> Iterator[Body]:
        """Yield the changes since the last call; nothing at first, when the client queries its snapshot by REST."""
        changes = self._books.get(stream.name)
        if changes is None:
            self._books[stream.name] = DepthDiff(self._market[stream.symbol])
        elif (event := changes.since_last(now_ms)) is not None:
            yield event

    def _candle(self, stream: KlineStream, now_ms: int) -> Iterator[Body]:
        """Yield the current candle if a trade has changed it."""
        candle = self._market[stream.symbol].candles.current(stream.interval)
        if candle is not None and candle.last_trade_id != self._last_trades.get(stream.name):
            self._last_trades[stream.name] = candle.last_trade_id
            yield render_candle_event(stream.symbol, stream.interval, candle, now_ms)

    def _changed_day_tickers(self, stream: DayTicker, now_ms: int) -> Iterator[list[Body]]:
        """Yield the tickers that have changed since the last call, apart from their times."""
        published = self._days.setdefault(stream.name, {})
        days = {
            symbol: render_day_ticker_event(each, now_ms, is_mini=stream.is_mini)
            for symbol, each in self._market.symbols.items()
        }
        changed = [
            symbol for symbol, day in days.items() if _without_times(day) != _without_times(published.get(symbol, {}))
        ]
        published.update(days)
        if changed:
            yield [days[symbol] for symbol in changed]


def _without_times(day: Body) -> Body:
    return {name: value for name, value in day.items() if name not in ("E", "O", "C")}


class DepthDiff:
    """Diff of one depth stream against the book that its clients hold."""

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._published_id = market.update_id
        self._bids, self._asks = _book(market)

    def since_last(self, at: int) -> Body | None:
        """Return the next event; None without changes."""
        if self._market.update_id == self._published_id:
            return None
        before, (bids, asks) = self._published_id, _book(self._market)
        event: Body = {
            "e": "depthUpdate",
            "E": at,
            "T": self._market.quote.at,
            "s": self._market.instrument.symbol,
            "U": before + 1,
            "u": self._market.update_id,
            "pu": before,
            "b": render_levels(_changes(self._bids, bids)),
            "a": render_levels(_changes(self._asks, asks)),
        }
        self._published_id, self._bids, self._asks = self._market.update_id, bids, asks
        return event


def _book(market: SymbolMarket) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    bids, asks = market.public_depth(_LEVELS)
    return dict(bids), dict(asks)


def _changes(before: Mapping[Decimal, Decimal], now: Mapping[Decimal, Decimal]) -> Levels:
    """Return changed levels with their new quantity, and removed ones with zero."""
    changed = [(price, quantity) for price, quantity in now.items() if before.get(price) != quantity]
    return changed + [(price, _REMOVED) for price in before if price not in now]
