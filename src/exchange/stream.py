"""Reads a WebSocket stream continuously: reconnects on failure or silence, and before the exchange closes it."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from ssl import SSLCertVerificationError

from websocket import WebSocketBadStatusException, WebSocketException

from src.domain import crash_points
from src.domain.clock import Clock
from src.domain.crash_points import Point
from src.domain.errors import ExchangeError, ProtocolError
from src.domain.events import Stream, StreamDown, StreamUp, UnreadableMessages
from src.exchange.connection import Connection, Timing
from src.exchange.port import EventSink
from src.exchange.wire import read_json, unwrap

log = logging.getLogger("hunter.stream")

_FAILURES = (WebSocketException, OSError, ExchangeError, ProtocolError)
_READ_PENDING_MS = 1_000
_REPORT_INTERVAL_MS = 1_000


@dataclass(frozen=True, slots=True)
class StreamCallbacks:
    """Callbacks of a stream, called one at a time from the reader's thread."""

    on_message: Callable[[object], None]
    """Takes the parsed JSON of a message; a ``ProtocolError`` it raises is counted."""
    on_up: Callable[[], None]
    """Connected or switched to a new connection: messages from in between may be missing."""
    on_down: Callable[[str], None]
    """Connection lost or the first attempt failed, with the reason; called once until the stream is up again."""
    on_unreadable: Callable[[ProtocolError], None] = lambda _: None
    """Called for a message that is not JSON or that ``on_message`` could not parse."""


class StreamReader:
    """Reads one stream until stopped. ``address`` is called before every connection: the listen key may change."""

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
        self._renewal_requested = threading.Event()
        self._is_up: bool | None = None
        self._failures = 0
        self._renew_at = clock.monotonic_ms()
        """Not before then is a connection replaced for its age: the last attempt has failed."""
        self._seen: set[bytes] = set()
        self.parse_errors = 0
        """Messages that were not JSON or that ``on_message`` could not parse."""

    def run(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Read until ``stop`` is called; calls ``heartbeat`` at least every few seconds."""
        while not self._stopping.is_set():
            heartbeat()
            try:
                self._read_one_connection(heartbeat)
            except _FAILURES as error:
                self._failures += 1
                self._notify_down(_reason(error))
                self._stopping.wait(self._backoff_ms() / 1000)

    def stop(self) -> None:
        """Make ``run`` return soon; thread-safe."""
        self._stopping.set()

    def reconnect(self) -> None:
        """Switch to a new connection at a newly requested address, as the present one is of no use; thread-safe."""
        self._reconnect_requested.set()

    def renew(self) -> None:
        """Switch to a new connection; the present one is kept until another can be opened. Thread-safe."""
        self._renewal_requested.set()

    def _read_one_connection(self, heartbeat: Callable[[], None]) -> None:
        connection = self._connect()
        try:
            self._notify_up()
            while not self._stopping.is_set():
                heartbeat()
                if self._reconnect_requested.is_set():
                    connection = self._switch_connection(connection, self._connect())
                elif self._is_renewal_due(connection):
                    connection = self._renew_connection(connection)
                message = connection.receive()
                if message is not None:
                    self._deliver(message)
                connection.keep_alive()
                if connection.is_healthy:
                    self._failures = 0
        finally:
            connection.close()

    def _is_renewal_due(self, connection: Connection) -> bool:
        is_wanted = connection.needs_renewal or self._renewal_requested.is_set()
        return is_wanted and self._clock.monotonic_ms() >= self._renew_at

    def _connect(self) -> Connection:
        self._reconnect_requested.clear()
        self._renewal_requested.clear()
        return Connection(self._address(), self._clock, self._timing)

    def _renew_connection(self, old: Connection) -> Connection:
        """Replace a connection for its age or its listen key; it is kept while no new one can be opened."""
        try:
            new = self._connect()
        except _FAILURES as error:
            self._renewal_requested.set()
            self._renew_at = self._clock.monotonic_ms() + self._timing.max_backoff_ms
            log.warning("connection not renewed, kept reason=%s", _reason(error))
            return old
        return self._switch_connection(old, new)

    def _switch_connection(self, old: Connection, new: Connection) -> Connection:
        """Close the old connection after the new one is open, and deliver messages that arrive on both once.

        If the old one is replaced only for its age, it stays open until the new one has delivered a message.
        """
        overlap_ms = self._timing.overlap_ms if old.needs_renewal else 0
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
        log.info("stream switched to a new connection")
        self._notify_up()
        return new

    def _read_both(self, old: Iterable[bytes], new: Connection) -> bool:
        """Deliver each message from whichever connection has it first; return whether the new one had a message."""
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
            self._callbacks.on_unreadable(error)
        return True

    def _notify_up(self) -> None:
        self._is_up = True
        self._callbacks.on_up()

    def _notify_down(self, reason: str) -> None:
        is_news = self._failures & (self._failures - 1) == 0  # attempts 1, 2, 4, 8 …: an outage must not fill the log
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "stream down reason=%s attempt=%s", reason, self._failures)
        if self._is_up is not False:
            self._is_up = False
            self._callbacks.on_down(reason)

    def _backoff_ms(self) -> float:
        """Exponential pause with random jitter, so that many clients do not reconnect at the same moment."""
        max_ms = min(self._timing.backoff_ms * 2 ** min(self._failures - 1, 16), self._timing.max_backoff_ms)
        return self._random.uniform(max_ms / 2, max_ms)


def _reason(error: Exception) -> str:
    """Describe a failure without the address: its listen key is a secret."""
    if isinstance(error, WebSocketBadStatusException):
        return f"connection rejected with HTTP {error.status_code}"
    if isinstance(error, ExchangeError | ProtocolError):
        return str(error)
    if isinstance(error, SSLCertVerificationError):
        return "connection failed: the certificate is not trusted (main.py --check says what to do)"
    return f"connection failed: {type(error).__name__}"


_STREAM_NAMES = {Stream.MARKET: "market", Stream.USER: "user data"}


class StreamHandler:
    """Handles the frames of one stream; ``process`` takes their events one by one."""

    def __init__(self, stream: Stream, process: Callable[[object], None], post: EventSink, clock: Clock) -> None:
        self._stream = stream
        self._process = process
        self._post = post
        self._clock = clock
        self.parse_errors = 0
        """Events that could not be parsed."""
        self._unreported: dict[str, tuple[int, str]] = {}
        """By kind of problem: how many events since the last report, and the last problem."""
        self._seen_problems: set[str] = set()
        self._reported_at = -_REPORT_INTERVAL_MS

    def on_message(self, payload: object) -> None:
        """Process one frame; an event that cannot be parsed does not stop the others in it (I30)."""
        for item in unwrap(payload):
            try:
                self._process(item)
            except ProtocolError as error:
                self.on_unreadable(error)
        self._report_unreadable()

    def on_unreadable(self, error: ProtocolError) -> None:
        """Count what could not be understood; each kind of problem is logged once, with the message."""
        self.count_unreadable(str(error), error.payload)

    def count_unreadable(self, problem: str, payload: object) -> None:
        self.parse_errors += 1
        kind = problem.partition(":")[0]
        if kind not in self._seen_problems:
            self._seen_problems.add(kind)
            log.warning("cannot parse event reason=%s payload=%.300s", problem, payload)
        self._unreported[kind] = self._unreported.get(kind, (0, ""))[0] + 1, problem
        self._report_unreadable()

    def _report_unreadable(self) -> None:
        """Post the counts, at most once a second: a wrong field may come with each of many frames."""
        now_ms = self._clock.monotonic_ms()
        if not self._unreported or now_ms - self._reported_at < _REPORT_INTERVAL_MS:
            return
        self._reported_at = now_ms
        for count, problem in self._unreported.values():
            self._post(UnreadableMessages(self._stream, problem, count, self._clock.now_ms()))
        self._unreported.clear()

    def on_up(self) -> None:
        crash_points.reached(Point.STREAM_UP, self._stream)
        log.info("%s stream connected", _STREAM_NAMES[self._stream])
        self._post(StreamUp(self._stream, self._clock.now_ms()))

    def on_down(self, reason: str) -> None:
        log.warning("%s stream down reason=%s", _STREAM_NAMES[self._stream], reason)
        self._post(StreamDown(self._stream, reason, self._clock.now_ms()))
