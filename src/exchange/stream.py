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
_DRAIN_MS = 1_000


@dataclass(frozen=True, slots=True)
class Listener:
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
        self, address: Callable[[], str], listener: Listener, clock: Clock, random: Random, timing: Timing | None = None
    ) -> None:
        self._address = address
        self._listener = listener
        self._clock = clock
        self._random = random
        self._timing = timing or Timing()
        self._stopping = threading.Event()
        self._renewal = threading.Event()
        self._is_up: bool | None = None
        self._failures = 0
        self._already_read: set[bytes] = set()
        self.misunderstood = 0
        """Messages that were not JSON, or not understood by the listener."""

    def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Read until ``stop``; ``beat`` is called at least every few seconds."""
        while not self._stopping.is_set():
            beat()
            try:
                self._read_one_connection(beat)
            except _FAILURES as error:
                self._failures += 1
                self._tell_down(_reason(error))
                self._stopping.wait(self._pause_ms() / 1000)

    def stop(self) -> None:
        """End ``run`` within a moment; from any thread."""
        self._stopping.set()

    def renew(self) -> None:
        """Change over to a new connection at a fresh address; from any thread."""
        self._renewal.set()

    def _read_one_connection(self, beat: Callable[[], None]) -> None:
        connection = self._connect()
        try:
            self._tell_up()
            while not self._stopping.is_set():
                beat()
                if self._renewal.is_set() or connection.is_old:
                    connection = self._change_over(connection)
                message = connection.receive()
                if message is not None:
                    self._failures = 0
                    self._deliver(message)
                connection.tend()
        finally:
            connection.close()

    def _connect(self) -> Connection:
        self._renewal.clear()
        return Connection(self._address(), self._clock, self._timing)

    def _change_over(self, old: Connection) -> Connection:
        """Open the new one before the old one goes, and read what both have brought only once.

        A connection that is only old is kept until the new one has brought something: then both have told the same.
        """
        patience_ms = self._timing.overlap_ms if old.is_old else 0
        new = self._connect()
        self._already_read.clear()
        until = self._clock.monotonic_ms() + patience_ms
        try:
            while not self._read_once(old.drain(_DRAIN_MS), new) and self._clock.monotonic_ms() < until:
                if self._stopping.is_set():
                    break
        except _FAILURES:
            new.close()
            raise
        old.close()
        log.info("stream changed over")
        self._tell_up()
        return new

    def _read_once(self, old: Iterable[bytes], new: Connection) -> bool:
        """What one of two connections brings, the other brings too: whoever is first is heard. Whether the new one
        has brought something is returned."""
        arrived = new.receive()
        for message in (*old, *([] if arrived is None else [arrived])):
            if self._deliver(message):
                self._already_read.add(message)
        return arrived is not None

    def _deliver(self, message: bytes) -> bool:
        if message in self._already_read:
            self._already_read.discard(message)
            return False
        try:
            self._listener.on_message(read_json(message))
        except ProtocolError as error:
            self.misunderstood += 1
            log.warning("message not understood reason=%s payload=%.300s", error, error.payload)
        return True

    def _tell_up(self) -> None:
        self._is_up = True
        self._listener.on_up()

    def _tell_down(self, reason: str) -> None:
        log.warning("stream down reason=%s attempt=%s", reason, self._failures)
        if self._is_up is not False:
            self._is_up = False
            self._listener.on_down(reason)

    def _pause_ms(self) -> float:
        """Twice as long each time, at most five seconds, less a random part: a crowd must not return at once."""
        longest = min(self._timing.pause_ms * 2 ** min(self._failures - 1, 16), self._timing.longest_pause_ms)
        return self._random.uniform(longest / 2, longest)


def _reason(error: Exception) -> str:
    """What failed, in words that hold no address: a listen key is a secret."""
    if isinstance(error, WebSocketBadStatusException):
        return f"the stream was refused with HTTP {error.status_code}"
    if isinstance(error, ExchangeError | ProtocolError):
        return str(error)
    return f"connection failed: {type(error).__name__}"
