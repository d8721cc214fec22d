"""The user data stream: orders, fills, balances and positions of the account, and the listen key that opens it."""

import logging
import threading
from collections.abc import Callable

from src.domain.clock import Clock
from src.domain.errors import AuthError, ExchangeError, ProtocolError
from src.domain.events import AccountUpdate, ApiScope, AuthFailed, AuthRecovered, Stream
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import UnrecognizedOrder
from src.exchange.port import EventSink, ListenKeys
from src.exchange.stream import StreamHandler
from src.exchange.wire import AccountModeChanged, ListenKeyExpired, parse_event

log = logging.getLogger("hunter.user_stream")

KEEP_ALIVE_SECONDS = 30 * 60
"""A listen key is valid for 60 minutes (User Data Streams); half of that leaves time for failed attempts."""
_RETRY_SECONDS = 60


class UserStream:
    """Turns its frames into events and keeps the listen key alive; a ``StreamReader`` owns the socket."""

    def __init__(self, base_url: str, keys: ListenKeys, post: EventSink, clock: Clock) -> None:
        self._base_url = base_url
        self._listen_keys = keys
        self._post = post
        self._clock = clock
        self._stopping = threading.Event()
        self._reconnect: Callable[[], None] = lambda: None
        self._renew: Callable[[], None] = lambda: None
        self._is_rejected = False
        self._key = ""
        """The key of the connection that was opened last."""
        self._next_key = ""
        """A key that the renewal has received and no connection uses yet."""
        self.handler = StreamHandler(Stream.USER, self._process, post, clock)

    def on_reconnect_needed(self, reconnect: Callable[[], None], renew: Callable[[], None]) -> None:
        """Set what to call when the listen key has expired, as the exchange goes silent without disconnecting, and
        when it was replaced: the old connection may still work until a new one can be opened.
        """
        self._reconnect, self._renew = reconnect, renew

    def url(self) -> str:
        """The address of the stream, with a valid listen key; raises ``ExchangeError`` if there is none."""
        try:
            self._key, self._next_key = self._next_key or self._listen_keys.create(), ""
        except AuthError as error:
            self._is_rejected = True
            self._post(AuthFailed(error.code, error.reason, ApiScope.USER_STREAM, self._clock.now_ms()))
            raise
        if self._is_rejected:
            self._is_rejected = False
            self._post(AuthRecovered(ApiScope.USER_STREAM, self._clock.now_ms()))
        return f"{self._base_url}/ws/{self._key}"

    def keep_alive(self, heartbeat: Callable[[], None]) -> None:
        """Extend the listen key every half hour until ``stop`` is called; after a failure try again each minute."""
        waited, is_extended = 0, True
        while not self._stopping.wait(1):
            heartbeat()
            waited += 1
            if waited >= (KEEP_ALIVE_SECONDS if is_extended else min(_RETRY_SECONDS, KEEP_ALIVE_SECONDS)):
                waited, is_extended = 0, self._renew_listen_key()

    def stop(self) -> None:
        self._stopping.set()

    def _renew_listen_key(self) -> bool:
        """Extend the listen key; returns False to try again soon. A failure never closes a stream that may work.

        If it cannot be extended, a key is requested instead: the exchange returns and extends the same one while it is
        valid (User Data Streams). Only another one proves that ours is gone; its connection then opens before the old
        one is closed.
        """
        try:
            self._listen_keys.keep_alive()
            return True
        except ExchangeError as error:
            log.warning("listen key not extended reason=%s", error)
        try:
            key = self._listen_keys.create()
        except (ExchangeError, ProtocolError) as error:
            log.warning("no listen key received, the stream stays open reason=%s", error)
            return False
        if key != self._key:
            log.warning("listen key was gone, switching to a new one")
            self._next_key = key
            self._renew()
        return True

    def _process(self, payload: object) -> None:
        match parse_event(payload, self._clock.now_ms()):
            case None | Liquidation() | Quote() | MarkPrice():
                pass
            case ListenKeyExpired():
                log.warning("listen key expired")
                self._reconnect()
            case AccountModeChanged():
                log.warning("account mode changed, reconnecting to read it again")
                self._reconnect()
            case UnrecognizedOrder() as order:
                self.handler.parse_errors += 1  # the trader counts and reports it
                self._post(order)
            case AccountUpdate(unrecognized=(first, *_)) as update:
                self.handler.count_unreadable(first.problem, first.symbol)
                self._post(update)
            case event:
                self._post(event)
