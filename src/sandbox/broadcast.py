"""Periodic streams: what somebody listens to is shown anew whenever its time has come."""

from collections.abc import Iterator

from src.exchange.wire import Body, render_mark_price_event
from src.sandbox.book_changes import BookChanges
from src.sandbox.market import Market
from src.sandbox.market_wire import render_candle_event, render_day_event, render_depth_event
from src.sandbox.stream_names import Day, Depth, Kline, Mark, Periodic, parse_periodic
from src.sandbox.streams import StreamServer

BEAT_MS = 100


class Broadcast:
    """Shows books, candles and mark prices on the streams that want them."""

    def __init__(self, market: Market, streams: StreamServer) -> None:
        self._market = market
        self._streams = streams
        self._shown_at: dict[str, int] = {}
        self._last_trades: dict[str, int] = {}
        self._books: dict[str, BookChanges] = {}
        self._days: dict[str, dict[str, Body]] = {}

    def beat(self, now_ms: int) -> None:
        """Publish what is due; asked for every ``BEAT_MS``."""
        wanted = [stream for name in self._streams.wanted() if (stream := parse_periodic(name)) is not None]
        for stream in wanted:
            if now_ms - self._shown_at.get(stream.name, 0) >= stream.every_ms:
                self._shown_at[stream.name] = now_ms
                for body in self._bodies(stream, now_ms):
                    self._streams.publish([stream.name], body)

    def _bodies(self, stream: Periodic, now_ms: int) -> Iterator[object]:
        match stream:
            case Mark(symbol=None):
                yield [render_mark_price_event(each.mark) for each in self._market.symbols.values()]
            case Mark(symbol=str(symbol)) if symbol in self._market:
                yield render_mark_price_event(self._market[symbol].mark)
            case Depth(symbol=symbol, levels=None) if symbol in self._market:
                yield from self._book_changes(stream, now_ms)
            case Depth(symbol=symbol, levels=int(levels)) if symbol in self._market:
                yield render_depth_event(self._market[symbol], levels, now_ms)
            case Day(symbol=None):
                yield from self._changed_days(stream, now_ms)
            case Day(symbol=str(symbol)) if symbol in self._market:
                yield render_day_event(self._market[symbol], now_ms, is_mini=stream.is_mini)
            case Kline(symbol=symbol) if symbol in self._market:
                yield from self._candle(stream, now_ms)

    def _book_changes(self, stream: Depth, now_ms: int) -> Iterator[Body]:
        """Nothing at first: what a listener asks for by REST from then on, the next event continues."""
        changes = self._books.get(stream.name)
        if changes is None:
            self._books[stream.name] = BookChanges(self._market[stream.symbol])
        elif (event := changes.since_last(now_ms)) is not None:
            yield event

    def _candle(self, stream: Kline, now_ms: int) -> Iterator[Body]:
        """The current candle, if a trade has changed it (updates come "if existing")."""
        candle = self._market[stream.symbol].candles.current(stream.interval)
        if candle is not None and candle.last_trade_id != self._last_trades.get(stream.name):
            self._last_trades[stream.name] = candle.last_trade_id
            yield render_candle_event(stream.symbol, stream.interval, candle, now_ms)

    def _changed_days(self, stream: Day, now_ms: int) -> Iterator[list[Body]]:
        """Only what has changed since this stream was shown last, the passing of time apart."""
        shown = self._days.setdefault(stream.name, {})
        days = {
            symbol: render_day_event(each, now_ms, is_mini=stream.is_mini)
            for symbol, each in self._market.symbols.items()
        }
        changed = [symbol for symbol, day in days.items() if _timeless(day) != _timeless(shown.get(symbol, {}))]
        shown.update(days)
        if changed:
            yield [days[symbol] for symbol in changed]


def _timeless(day: Body) -> Body:
    return {name: value for name, value in day.items() if name not in ("E", "O", "C")}
