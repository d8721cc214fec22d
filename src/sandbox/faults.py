"""The sandbox told to misbehave: each fault waits for the request or frame it applies to, and strikes so many times."""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    DELAY = "delay"
    """Answer ``value`` milliseconds late."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """Execute, then answer HTTP 503 (HTTP Return Codes: the execution status is unknown)."""
    DROPPED_REPLY = "dropped_reply"
    """Execute, then close the connection without an answer."""
    UNAVAILABLE = "unavailable"
    """Answer HTTP 503 without executing: to the client the same as the one above."""
    RATE_LIMITED = "rate_limited"
    """Answer 429 with ``Retry-After: value`` seconds, without executing."""
    BANNED = "banned"
    """Answer 418 likewise."""
    GARBLED = "garbled"
    """Execute, then answer what nobody can read: ``GARBLED_ANSWERS[value]``."""
    REJECTED = "rejected"
    """Refuse with the code ``-value`` without executing."""
    BAD_TIMESTAMP = "bad_timestamp"
    """Refuse with -1021."""
    STOP_REJECTED = "stop_rejected"
    """Refuse conditional orders with -2021."""
    OMITTED_FROM_LIST = "omitted"
    """Leave orders whose client id contains ``path`` out of a list of open orders."""
    OUTDATED = "outdated"
    """Repeat the answer that the first request met, as a copy of the data that is no longer fed would."""
    ONE_CLOSING_STOP = "one_closing_stop"
    """Refuse a second closePosition order of a type in a direction with -4130, as Binance does."""
    REWRITTEN = "rewritten"
    """Say ``new`` wherever an answer or a frame matches the regular expression ``old``: words that nobody knows."""
    EXPIRED = "expired"
    """Accept a market or IOC order, let ``value`` percent of it fill, and let the rest expire."""
    PARTIAL_FILL = "partial_fill"
    """Let the next fills be small: the book is as thin as ``value`` percent of its usual depth."""
    STREAM_CUT = "stream_cut"
    """Close the connections whose streams contain ``path``."""
    STREAM_SILENT = "stream_silent"
    """Withhold ``times`` frames; the connection stays open."""
    STREAM_REFUSED = "stream_refused"
    """Let no new connection in whose streams contain ``path``."""
    LATE = "late"
    """Send a frame ``value`` milliseconds late; what follows it overtakes it."""
    DUPLICATED = "duplicated"
    """Send a frame twice."""
    REORDERED = "reordered"
    """Send a frame after the one that follows it."""
    LISTEN_KEY_EXPIRED = "listen_key_expired"
    """End the listen key now."""


FOREVER = 10**9

GARBLED_RESPONSES = (
    (403, "<html><body><h1>403 Forbidden</h1></body></html>"),
    (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    (200, ""),
    (200, '{"orderId": 12'),
    (200, "[]"),
    (200, "{}"),
)
"""What firewalls, proxies and broken back ends put in place of an answer: status and body."""


@dataclass(slots=True)
class Fault:
    kind: FaultKind
    times: int = 1
    path: str = ""
    """Applies where the request's path, or the stream's name, contains this; a user stream is called ``user``.

    The path of a request that names an order by client id is followed by a space and that id.
    """
    method: str = ""
    value: int = 0
    old: str = ""
    new: str = ""
    kept: str | None = None
    """The answer that an outdated copy repeats."""

    def rewrite(self, text: str) -> str:
        return re.sub(self.old, self.new, text)

    def applies(self, method: str, path: str) -> bool:
        return self.times > 0 and self.path in path and self.method in ("", method)


class Faults:
    """What shall go wrong. Safe from any thread: requests and frames meet it at the same time."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()  # a fault that strikes once must not strike two requests at once

    def inject(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()
            self._held.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._pending)

    def consume(self, kind: FaultKind, method: str, path: str) -> Fault | None:
        """The waiting fault of this kind that applies here; it is used up once by this."""
        if not self._pending:
            return None
        with self._lock:
            for fault in self._pending:
                if fault.kind is kind and fault.applies(method, path):
                    fault.times -= 1
                    if not fault.times:
                        self._pending.remove(fault)
                    return fault
        return None

    def apply_to_frame(self, stream: str, frame: str) -> Iterable[str]:
        """The frames to send in place of this one: none, one, two, or in the wrong order."""
        if not self._pending and not self._held:
            return (frame,)
        if self.consume(FaultKind.STREAM_SILENT, "", stream):
            return ()
        if fault := self.consume(FaultKind.REWRITTEN, "", stream):
            frame = fault.rewrite(frame)
        if (held := self._held.pop(stream, None)) is not None:
            return (frame, held)
        if self.consume(FaultKind.REORDERED, "", stream):
            self._held[stream] = frame
            return ()
        return (frame, frame) if self.consume(FaultKind.DUPLICATED, "", stream) else (frame,)
