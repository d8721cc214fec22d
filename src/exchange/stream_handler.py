"""Callbacks shared by both streams: split frames into events, report parse errors, report up and down."""

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

_NAMES = {Stream.MARKET: "market", Stream.USER: "user data"}


class StreamHandler:
    """Handles the frames of one stream; ``process`` takes their events one by one."""

    def __init__(self, stream: Stream, process: Callable[[object], None], post: EventSink, clock: Clock) -> None:
        self._stream = stream
        self._process = process
        self._post = post
        self._clock = clock
        self.parse_errors = 0
        """Events that could not be parsed."""

    def on_message(self, payload: object) -> None:
        """Process one frame; an event that cannot be parsed does not stop the others in it (I30)."""
        for item in unwrap(payload):
            try:
                self._process(item)
            except ProtocolError as error:
                self.parse_errors += 1
                log.warning("cannot parse event reason=%s payload=%.300s", error, error.payload)

    def on_up(self) -> None:
        crash_points.reached(Point.STREAM_UP, self._stream)
        log.info("%s stream connected", _NAMES[self._stream])
        self._post(StreamUp(self._stream, self._clock.now_ms()))

    def on_down(self, reason: str) -> None:
        log.warning("%s stream down reason=%s", _NAMES[self._stream], reason)
        self._post(StreamDown(self._stream, reason, self._clock.now_ms()))
