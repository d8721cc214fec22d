"""The private stream: fills, orders, balances and positions of the account, and the key that opens it."""

import logging
import threading
from collections.abc import Callable

from src.core.stream_ear import StreamEar
from src.domain.access import AccessGranted, AccessRefused, Door
from src.domain.clock import Clock
from src.domain.errors import AuthError, ExchangeError
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.messages import AccountUpdate, Stream
from src.domain.strange import StrangeOrder
from src.exchange.port import ListenKeys, Post
from src.exchange.wire import AccountModeChanged, ListenKeyExpired, parse_event

log = logging.getLogger("hunter.user_stream")

KEEP_ALIVE_SECONDS = 30 * 60
"""A key lives 60 minutes (User Data Streams); half of that leaves room for a failed try."""


class UserStream:
    """Turns private frames into events, and keeps the listen key alive. The socket around it is a ``StreamReader``."""

    def __init__(self, base_url: str, keys: ListenKeys, post: Post, clock: Clock) -> None:
        self._base_url = base_url
        self._keys = keys
        self._post = post
        self._clock = clock
        self._stopping = threading.Event()
        self._reconnect: Callable[[], None] = lambda: None
        self._is_refused = False
        self.ear = StreamEar(Stream.USER, self._process, post, clock)

    def on_expiry(self, reconnect: Callable[[], None]) -> None:
        """What to call when the key has ended: the connection is silent from then on, without being cut."""
        self._reconnect = reconnect

    def url(self) -> str:
        """The stream of a key that lives; raises ExchangeError where none can be had now."""
        try:
            key = self._keys.create()
        except AuthError as error:
            self._is_refused = True
            self._post(AccessRefused(error.code, error.reason, Door.PRIVATE_STREAM, self._clock.now_ms()))
            raise
        if self._is_refused:
            self._is_refused = False
            self._post(AccessGranted(Door.PRIVATE_STREAM, self._clock.now_ms()))
        return f"{self._base_url}/ws/{key}"

    def keep_alive(self, beat: Callable[[], None]) -> None:
        """Extend the key every half hour until a stop is asked for; a key that cannot be extended is replaced."""
        waited = 0
        while not self._stopping.wait(1):
            beat()
            waited += 1
            if waited >= KEEP_ALIVE_SECONDS:
                waited = 0
                self._extend()

    def stop(self) -> None:
        self._stopping.set()

    def _extend(self) -> None:
        try:
            self._keys.keep_alive()
        except ExchangeError as error:
            log.warning("listen key not extended: %s", error)
            self._reconnect()

    def _process(self, payload: object) -> None:
        match parse_event(payload, self._clock.now_ms()):
            case None | Liquidation() | Quote() | MarkPrice():
                pass
            case ListenKeyExpired():
                log.warning("the listen key has expired")
                self._reconnect()
            case AccountModeChanged():
                log.warning("the account's mode was changed: it is read anew")
                self._reconnect()
            case StrangeOrder() as order:
                self._note(order.fault, order.symbol)
                self._post(order)
            case AccountUpdate(strange=(first, *_)) as update:
                self._note(first.fault, first.symbol)
                self._post(update)
            case event:
                self._post(event)

    def _note(self, fault: str, symbol: str) -> None:
        """What is understood of it is handed on; the trader asks for the rest."""
        self.ear.not_understood += 1
        log.warning("not understood symbol=%s reason=%s", symbol, fault)
