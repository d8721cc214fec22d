"""Fault injection: each fault applies to the next matching requests or stream frames, a given number of times."""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

FOREVER = 10**9

GARBLED_RESPONSES = (
    (403, "<html><body><h1>403 Forbidden</h1></body></html>"),
    (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    (200, ""),
    (200, '{"orderId": 12'),
    (200, "[]"),
    (200, "{}"),
)
"""Status and body of responses from firewalls, proxies and broken back ends."""


class FaultKind(StrEnum):
    DELAY = "delay"
    """Delay the response by ``value`` ms."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """Execute, then respond with HTTP 503 (HTTP Return Codes: the execution status is unknown)."""
    DROPPED_REPLY = "dropped_reply"
    """Execute, then close the connection without a response."""
    UNAVAILABLE = "unavailable"
    """Respond with HTTP 503 without executing; to the client it looks like ``UNKNOWN_OUTCOME``."""
    RATE_LIMITED = "rate_limited"
    """Respond with 429 and ``Retry-After: value`` seconds, without executing."""
    BANNED = "banned"
    """Like ``RATE_LIMITED``, with 418."""
    GARBLED = "garbled"
    """Execute, then respond with the unreadable ``GARBLED_RESPONSES[value]``."""
    REJECTED = "rejected"
    """Reject with the code ``-value``, without executing."""
    BAD_TIMESTAMP = "bad_timestamp"
    """Reject with -1021."""
    STOP_REJECTED = "stop_rejected"
    """Reject conditional orders with -2021."""
    OMITTED_FROM_LIST = "omitted"
    """Omit orders with ``path`` in their client order id from the list of open orders."""
    OUTDATED = "outdated"
    """Repeat the response to the first matching request, like a stale replica."""
    ONE_CLOSING_STOP = "one_closing_stop"
    """Reject a second closePosition order of the same type and direction with -4130, as Binance does."""
    REWRITTEN = "rewritten"
    """Replace the regular expression ``old`` by ``new`` in a response or frame, for example by an unknown value."""
    EXPIRED = "expired"
    """Accept a market or IOC order, fill ``value`` percent of it, and expire the rest."""
    PARTIAL_FILL = "partial_fill"
    """Reduce the depth of the book to ``value`` percent, so that fills are partial."""
    STREAM_CUT = "stream_cut"
    """Close the connections to streams that contain ``path``."""
    STREAM_SILENT = "stream_silent"
    """Drop ``times`` frames; the connection stays open."""
    STREAM_REFUSED = "stream_refused"
    """Refuse new connections to streams that contain ``path``."""
    LATE = "late"
    """Send a frame ``value`` ms late; later frames overtake it."""
    DUPLICATED = "duplicated"
    """Send a frame twice."""
    REORDERED = "reordered"
    """Swap a frame with the next one."""
    LISTEN_KEY_EXPIRED = "listen_key_expired"
    """Expire the listen key now."""
    ACCOUNT_EVENT_FIRST = "account_event_first"
    """Send the account event of a trade before its order event, in ``value`` percent of the trades; 0 is all."""
    STAMPS_DIFFER = "stamps_differ"
    """Stamp the account event of a trade ``value`` ms after its order event; 0 draws 1 to 50 ms, before or after.

    Aster's samples of both events have stamps that differ (Event: Order Update).
    """
    POSITION_TIME_OF_ACCOUNT = "position_time_of_account"
    """Give the ``updateTime`` of a position in positionRisk the stamp of the account event, not of the trade."""
    POSITION_TIME_ZERO = "position_time_zero"
    """Give a position in positionRisk the ``updateTime`` 0, as in Aster's sample (Position Information V2)."""
    DEPOSITED = "deposited"
    """Deposit ``value`` of the asset ``new`` now, by default USDT, or withdraw it if ``value`` is negative."""
    FEES_PAID_IN = "fees_paid_in"
    """From now on pay fees in the asset ``new`` while the wallet holds enough of it."""
    FUNDING_PAID_IN = "funding_paid_in"
    """From now on pay and receive funding in the asset ``new``, as ``FEES_PAID_IN``."""
    OWN_ORDERS_IN_BOOK = "own_orders_in_book"
    """Show the account's orders in the book; one that would meet another expires as ``stpMode`` says.

    ``new`` is its status, by default EXPIRED_IN_MATCH.
    """
    STATUS_WORD = "status_word"
    """Name the status of an order that ends unfilled ``new``, by default EXPIRED_IN_MATCH, which no document lists."""
    ORDERS_ENDED = "orders_ended"
    """Expire the open orders with ``path`` in their client order id now; ``new`` is their status, if given."""
    MAINTENANCE = "maintenance"
    """For ``value`` seconds respond to every request with 503 and close and refuse all streams.

    Orders and positions stay, and the market goes on.
    """
    USER_EVENT = "user_event"
    """Send an event named ``new`` on the user data stream: an ``announcement`` (default), or one without a document."""
    MAX_LEVERAGE = "max_leverage"
    """Lower the highest leverage of symbols with ``path`` in their name to ``value``: above it -4028."""
    FLAT_OMITTED = "flat_omitted"
    """Omit flat positions of symbols with ``path`` in their name from positionRisk."""


@dataclass(slots=True)
class Fault:
    """A fault for the next ``times`` matches."""

    kind: FaultKind
    times: int = 1
    path: str = ""
    """Matches requests with this in their path, and streams with this in their name (user data stream: ``user``).

    For a request with a client order id, the path is followed by a space and that id, else by its symbol. Trades,
    account events and positions match by their symbol.
    """
    method: str = ""
    value: int = 0
    old: str = ""
    new: str = ""
    stale_response: str | None = None
    """The response that ``OUTDATED`` repeats."""

    def rewrite(self, text: str) -> str:
        return re.sub(self.old, self.new, text)

    def applies(self, method: str, path: str) -> bool:
        return self.times > 0 and self.path in path and self.method in ("", method)


class Faults:
    """The pending faults. Thread-safe: requests and streams use it concurrently."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()  # a fault for one request must not apply to two

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
        """Return the first matching fault and use it up once; None without a match."""
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
        """Return the frames to send instead of this one, in order."""
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
