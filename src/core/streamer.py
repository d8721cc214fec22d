"""The market stream: every liquidation, all mark prices, and the quotes of the configured symbols."""

from collections.abc import Callable, Collection
from urllib.parse import quote

from src.domain.clock import Clock
from src.domain.events import Stream
from src.domain.market import Liquidation, MarkPrice, Quote
from src.exchange.port import EventSink
from src.exchange.stream import StreamHandler
from src.exchange.wire import parse_event

_ALL_LIQUIDATIONS = "!forceOrder@arr"
_ALL_MARK_PRICES = "!markPrice@arr@1s"
_ALL_QUOTES = "!bookTicker"
"""Quotes of every symbol (All Book Tickers Stream), for settings with more symbols than one connection may name."""
_MAX_STREAMS = 200
"""The exchange's limit per connection (Websocket Market Streams)."""


class LiquidationStreamer:
    """Turns frames of one combined connection into events; a ``StreamReader`` owns the socket."""

    def __init__(self, base_url: str, symbols: Callable[[], Collection[str]], post: EventSink, clock: Clock) -> None:
        self._base_url = base_url
        self._symbols = symbols
        self._post = post
        self._clock = clock
        self._opened = ""
        self.handler = StreamHandler(Stream.MARKET, self._process, post, clock)

    def open_url(self) -> str:
        """The address to connect to; from now on ``is_outdated`` compares with it."""
        self._opened = self.url()
        return self._opened

    @property
    def is_outdated(self) -> bool:
        """Whether the last connection lacks a symbol or has one too many, and must be replaced."""
        return self._opened not in ("", self.url())

    def url(self) -> str:
        """The address of the combined stream for the current symbols."""
        tickers = [f"{symbol.lower()}@bookTicker" for symbol in sorted(self._symbols())]
        names = [_ALL_LIQUIDATIONS, _ALL_MARK_PRICES, *tickers]
        if len(names) > _MAX_STREAMS:
            names = [_ALL_LIQUIDATIONS, _ALL_MARK_PRICES, _ALL_QUOTES]
        return f"{self._base_url}/stream?streams={quote('/'.join(names), safe='/!@')}"

    def process_liquidation(self, payload: object) -> Liquidation | None:
        """Parse a ``forceOrder`` payload and post its event; returns None for any other payload."""
        event = parse_event(payload, self._clock.now_ms())
        if not isinstance(event, Liquidation):
            return None
        self._post(event)
        return event

    def _process(self, payload: object) -> None:
        if isinstance(payload, dict) and payload.get("e") == "forceOrder":
            self.process_liquidation(payload)
            return
        event = parse_event(payload, self._clock.now_ms())
        if isinstance(event, Quote | MarkPrice):
            self._post(event)
