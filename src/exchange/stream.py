"""A WebSocket that is read for ever: it reconnects, notices silence, and changes over before it is cut."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from websocket import WebSocketBadStatusException, WebSocketException

from src.domain.clock import Clock
from src.domain.errors import ExchangeError, ProtocolError
from src.exchange.connection import Connection, Timing
from src.exchange.wire import read_json

log = logging.getLogger("hunter.stream")

_FAILURES = (WebSocketException, OSError, ExchangeError, ProtocolError)
_READ_PENDING_MS = 1_000


@dataclass(frozen=True, slots=True)
class StreamCallbacks:
    """Who is told. The calls come from the reader's thread, one at a time."""

    on_message: Callable[[object], None]
    """The JSON of a message; a ``ProtocolError`` from it is counted and survived."""
    on_up: Callable[[], None]
    """Connected, or changed over to a new connection: what came in between may be missing."""
    on_down: Callable[[str], None]
    """The connection is lost, or the first could not be made; said once until it is up again."""


class StreamReader:
    """Reads one address until it is stopped. ``address`` is asked before every connection: a listen key may change."""

    def __init__(
        self,
        address: Callable[[], str],
        callbacks: StreamCallbacks,
        clock: Clock,
        random: Random,
        timing: Timing | None = None,
    ) -> None:
        self._address = address
        self._callbacks = callbacks
        self._clock = clock
        self._random = random
        self._timing = timing or Timing()
        self._stopping = threading.Event()
        self._reconnect_requested = threading.Event()
        self._is_up: bool | None = None
        self._failures = 0
        self._seen: set[bytes] = set()
        self.parse_errors = 0
        """Messages that were not JSON, or not understood by the listener."""

    def run(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Read until ``stop``; ``heartbeat`` is called at least every few seconds."""
        while not self._stopping.is_set():
            heartbeat()
            try:
                self._read_one_connection(heartbeat)
            except _FAILURES as error:
                self._failures += 1
                self._notify_down(_reason(error))
                self._stopping.wait(self._backoff_ms() / 1000)

    def stop(self) -> None:
        """End ``run`` within a moment; from any thread."""
        self._stopping.set()

    def reconnect(self) -> None:
        """Change over to a new connection at a fresh address; from any thread."""
        self._reconnect_requested.set()

    def _read_one_connection(self, heartbeat: Callable[[], None]) -> None:
        connection = self._connect()
        try:
            self._notify_up()
            while not self._stopping.is_set():
                heartbeat()
                if self._reconnect_requested.is_set() or connection.needs_renewal:
                    connection = self._switch_connection(connection)
                message = connection.receive()
                if message is not None:
                    self._failures = 0
                    self._deliver(message)
                connection.keep_alive()
        finally:
            connection.close()

    def _connect(self) -> Connection:
        self._reconnect_requested.clear()
        return Connection(self._address(), self._clock, self._timing)

    def _switch_connection(self, old: Connection) -> Connection:
        """Open the new one before the old one goes, and read what both have brought only once.

        A connection that is only old is kept until the new one has brought something: then both have told the same.
        """
        overlap_ms = self._timing.overlap_ms if old.needs_renewal else 0
        new = self._connect()
        self._seen.clear()
        until = self._clock.monotonic_ms() + overlap_ms
        try:
            while not self._read_both(old.read_pending(_READ_PENDING_MS), new) and self._clock.monotonic_ms() < until:
                if self._stopping.is_set():
                    break
        except _FAILURES:
            new.close()
            raise
        old.close()
        log.info("stream changed over")
        self._notify_up()
        return new

    def _read_both(self, old: Iterable[bytes], new: Connection) -> bool:
        """What one of two connections brings, the other brings too: whoever is first is heard. Whether the new one
        has brought something is returned."""
        arrived = new.receive()
        for message in (*old, *([] if arrived is None else [arrived])):
            if self._deliver(message):
                self._seen.add(message)
        return arrived is not None

    def _deliver(self, message: bytes) -> bool:
        if message in self._seen:
            self._seen.discard(message)
            return False
        try:
            self._callbacks.on_message(read_json(message))
        except ProtocolError as error:
            self.parse_errors += 1
            log.warning("message not understood reason=%s payload=%.300s", error, error.payload)
        return True

    def _notify_up(self) -> None:
        self._is_up = True
        self._callbacks.on_up()

    def _notify_down(self, reason: str) -> None:
        log.warning("stream down reason=%s attempt=%s", reason, self._failures)
        if self._is_up is not False:
            self._is_up = False
            self._callbacks.on_down(reason)

    def _backoff_ms(self) -> float:
        """Twice as long each time, at most five seconds, less a random part: a crowd must not return at once."""
        max_ms = min(self._timing.backoff_ms * 2 ** min(self._failures - 1, 16), self._timing.max_backoff_ms)
        return self._random.uniform(max_ms / 2, max_ms)


def _reason(error: Exception) -> str:
    """What failed, in words that hold no address: a listen key is a secret."""
    if isinstance(error, WebSocketBadStatusException):
        return f"the stream was refused with HTTP {error.status_code}"
    if isinstance(error, ExchangeError | ProtocolError):
        return str(error)
    return f"connection failed: {type(error).__name__}"
