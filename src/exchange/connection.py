"""One WebSocket connection with silence detection and keep-alive pings."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import websocket
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from websocket import ABNF, WebSocketException, WebSocketTimeoutException

from src.domain.clock import HOUR_MS, Clock
from src.domain.errors import Unreachable

_CLOSE_SECONDS = 0.2
_READ_PENDING_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts of a stream. The exchange closes connections after 24 hours (Websocket Market Streams)."""

    stale_after_ms: int | None = 10_000
    """Reconnect after this long without a message; None for streams that may be quiet."""
    ping_every_ms: int = 10_000
    dead_after_ms: int = 20_000
    """Reconnect after this long without any frame, pongs included."""
    renew_after_ms: int = 23 * HOUR_MS
    overlap_ms: int = 5_000
    """How long a planned reconnect keeps the old connection open while the new one has no message yet."""
    backoff_ms: int = 250
    """Pause after the first failure; doubled after each further one."""
    max_backoff_ms: int = 10_000
    healthy_after_ms: int = 15_000
    """The pauses start again once a connection has delivered a frame at this age; longer than ``stale_after_ms``."""
    connect_timeout_ms: int = 3_000
    read_timeout_ms: int = 200
    """Longest wait of one read, and so the longest delay until a stop request is noticed."""


def trusted_certificates() -> dict[str, str]:
    """The certificate authorities that streams trust: the same file or folder as for REST requests.

    Otherwise a proxy's certificate, or an empty store of the system as of python.org's Python on macOS, would let one
    of them work and not the other.
    """
    chosen = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    return {"ca_cert_path" if Path(chosen).is_dir() else "ca_certs": chosen}


class Connection:
    """An open WebSocket, connected on creation and used by one thread. Raises when the connection fails."""

    def __init__(self, address: str, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._socket = websocket.create_connection(
            address,
            timeout=timing.connect_timeout_ms / 1000,
            sslopt=trusted_certificates(),
            skip_utf8_validation=True,
            enable_multithread=False,
        )
        self._socket.settimeout(timing.read_timeout_ms / 1000)
        now_ms = clock.monotonic_ms()
        self._opened_at = self._pinged_at = self._last_frame_at = self._last_message_at = now_ms

    @property
    def needs_renewal(self) -> bool:
        """Whether the exchange will soon close the connection because of its age."""
        return self._clock.monotonic_ms() - self._opened_at >= self._timing.renew_after_ms

    @property
    def is_healthy(self) -> bool:
        """Whether the connection has lived for a while: one that is closed after its first frame has not."""
        return self._last_frame_at - self._opened_at >= self._timing.healthy_after_ms

    def receive(self) -> bytes | None:
        """Return the next message, or None if none arrives within ``read_timeout_ms``. Answers pings."""
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
        """Send a ping when due; raise ``Unreachable`` when the connection has been silent for too long."""
        now_ms, timing = self._clock.monotonic_ms(), self._timing
        if timing.stale_after_ms is not None and now_ms - self._last_message_at >= timing.stale_after_ms:
            raise Unreachable(f"no message for {now_ms - self._last_message_at} ms")
        if now_ms - self._last_frame_at >= timing.dead_after_ms:
            raise Unreachable(f"no frame for {now_ms - self._last_frame_at} ms")
        if now_ms - self._pinged_at >= timing.ping_every_ms:
            self._pinged_at = now_ms
            self._socket.ping()

    def read_pending(self, max_ms: int) -> Iterator[bytes]:
        """Yield the messages that have already arrived before the connection is closed; ignore its failures."""
        until = self._clock.monotonic_ms() + max_ms
        with contextlib.suppress(WebSocketException, OSError, Unreachable):
            self._socket.settimeout(_READ_PENDING_SECONDS)
            while self._clock.monotonic_ms() < until and (message := self.receive()) is not None:
                yield message

    def close(self) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            self._socket.close(timeout=_CLOSE_SECONDS)
