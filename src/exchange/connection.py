"""One WebSocket connection that knows how long it has been silent."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import websocket
from websocket import ABNF, WebSocketException, WebSocketTimeoutException

from src.domain.clock import Clock
from src.domain.errors import Unreachable

_CLOSE_SECONDS = 0.2
_READ_PENDING_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a stream is. The exchange cuts after 24 hours (Websocket Market Streams)."""

    stale_after_ms: int | None = 10_000
    """No message for so long and the connection is given up; None for streams that may be quiet."""
    ping_every_ms: int = 10_000
    dead_after_ms: int = 20_000
    """Not even a pong for so long: the peer is gone."""
    renew_after_ms: int = 23 * 60 * 60_000
    overlap_ms: int = 5_000
    """How long a planned change-over keeps the old connection beside a new one that has brought nothing yet."""
    backoff_ms: int = 250
    """Before the second attempt; doubled for each further one."""
    max_backoff_ms: int = 5_000
    connect_timeout_ms: int = 3_000
    read_timeout_ms: int = 200
    """How long a read waits at most: a stop is noticed within it."""


class Connection:
    """Opened on creation; every failure to go on is an error. Used by one thread."""

    def __init__(self, address: str, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._socket = websocket.create_connection(
            address, timeout=timing.connect_timeout_ms / 1000, skip_utf8_validation=True, enable_multithread=False
        )
        self._socket.settimeout(timing.read_timeout_ms / 1000)
        now_ms = clock.monotonic_ms()
        self._opened_at = self._pinged_at = self._last_frame_at = self._last_message_at = now_ms

    @property
    def needs_renewal(self) -> bool:
        """It will soon be cut by the exchange."""
        return self._clock.monotonic_ms() - self._opened_at >= self._timing.renew_after_ms

    def receive(self) -> bytes | None:
        """The next message, or None where none came for a moment. Pings are answered on the way."""
        try:
            kind, frame = self._socket.recv_data_frame(control_frame=True)
        except WebSocketTimeoutException:
            return None
        self._last_frame_at = self._clock.monotonic_ms()
        if kind == ABNF.OPCODE_CLOSE:
            raise Unreachable(f"closed by the exchange, code {int.from_bytes(frame.data[:2])}")
        if kind in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
            return None
        self._last_message_at = self._last_frame_at
        return bytes(frame.data)

    def keep_alive(self) -> None:
        """Ping where it is time; ``Unreachable`` where the silence has lasted too long."""
        now_ms, timing = self._clock.monotonic_ms(), self._timing
        if timing.stale_after_ms is not None and now_ms - self._last_message_at >= timing.stale_after_ms:
            raise Unreachable(f"no message for {now_ms - self._last_message_at} ms")
        if now_ms - self._last_frame_at >= timing.dead_after_ms:
            raise Unreachable(f"no sign of life for {now_ms - self._last_frame_at} ms")
        if now_ms - self._pinged_at >= timing.ping_every_ms:
            self._pinged_at = now_ms
            self._socket.ping()

    def read_pending(self, max_ms: int) -> Iterator[bytes]:
        """What has already arrived, for a connection that is about to be closed; its failures no longer matter."""
        until = self._clock.monotonic_ms() + max_ms
        with contextlib.suppress(WebSocketException, OSError, Unreachable):
            self._socket.settimeout(_READ_PENDING_SECONDS)
            while self._clock.monotonic_ms() < until and (message := self.receive()) is not None:
                yield message

    def close(self) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            self._socket.close(timeout=_CLOSE_SECONDS)
