"""What both streams do with what they hear: take frames apart, survive what is not understood, tell up and down."""

import logging
from collections.abc import Callable

from src.domain import crash_points
from src.domain.clock import Clock
from src.domain.crash_points import Point
from src.domain.errors import ProtocolError
from src.domain.events import Stream, StreamDown, StreamUp
from src.exchange.port import EventSink
from src.exchange.wire import unwrap

log = logging.getLogger("hunter.stream")

_NAMES = {Stream.MARKET: "market", Stream.USER: "private"}


class StreamHandler:
    """Listens to one stream; ``process`` takes its events one by one."""

    def __init__(self, stream: Stream, process: Callable[[object], None], post: EventSink, clock: Clock) -> None:
        self._stream = stream
        self._process = process
        self._post = post
        self._clock = clock
        self.parse_errors = 0
        """Events that said something we do not know."""

    def on_message(self, payload: object) -> None:
        """One frame; of several events in it, one that is not understood does not take the others with it (I30)."""
        for item in unwrap(payload):
            try:
                self._process(item)
            except ProtocolError as error:
                self.parse_errors += 1
                log.warning("not understood reason=%s payload=%.300s", error, error.payload)

    def on_up(self) -> None:
        crash_points.reached(Point.STREAM_UP, _NAMES[self._stream])
        log.info("%s stream connected", _NAMES[self._stream])
        self._post(StreamUp(self._stream, self._clock.now_ms()))

    def on_down(self, reason: str) -> None:
        log.warning("%s stream down: %s", _NAMES[self._stream], reason)
        self._post(StreamDown(self._stream, reason, self._clock.now_ms()))
