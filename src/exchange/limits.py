"""How much may still be asked: request weight and order count, learnt from the exchange's own headers (LIMITS)."""

import logging
import re
import threading
from collections.abc import Mapping

from src.domain.clock import Clock
from src.domain.errors import RateLimited

log = logging.getLogger("hunter.rest")

MINUTE_MS = 60_000
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
ORDERS_HEADER = "X-MBX-ORDER-COUNT-1M"
MIN_RESERVE_PCT = 30
"""Kept for protection and reconciling whatever the settings say (I29)."""
_ENTRIES_SHARE_PCT = 50
_READS_SHARE_PCT = 90
"""An account that is read again and again while its stream is mute must not leave a stop without weight."""
_MIN_BAN_MS = 2 * MINUTE_MS
_MAX_BAN_MS = 3 * 24 * 60 * MINUTE_MS
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")


class RateLimits:
    """The budget of one IP and one account, for all lanes together.

    Protection may use all of it, and so may what it needs to be signed and to hear of fills; reconciling may use all
    but a tenth, the rest 70 % of the weight (I29) and half of the orders (I22).
    After a 429 only they may still ask; a second one, or a 418, silences everybody until it ends.
    """

    def __init__(
        self, clock: Clock, *, weight_limit: int = 2400, order_limit: int = 1200, reserve_pct: int = 30
    ) -> None:
        self._clock = clock
        self._limits = {WEIGHT_HEADER: weight_limit, ORDERS_HEADER: order_limit}
        self._used = {WEIGHT_HEADER: 0, ORDERS_HEADER: 0}
        unreserved_pct = 100 - max(reserve_pct, MIN_RESERVE_PCT)
        self._nonessential_pct = {WEIGHT_HEADER: unreserved_pct, ORDERS_HEADER: min(unreserved_pct, _ENTRIES_SHARE_PCT)}
        self._minute = clock.now_ms() // MINUTE_MS
        # Monotonic: a stepped wall clock must neither end nor extend a silence.
        self._backoff_since = self._backoff_until = self._full_stop_until = clock.monotonic_ms()
        self._is_banned = False
        self._lock = threading.Lock()  # the lanes of the gateway ask side by side

    def acquire(self, weight: int, *, essential: bool, orders: int = 0, is_read: bool = False) -> None:
        """Reserve the weight of one request; ``RateLimited`` where it must wait.

        ``essential`` is what protects a position or tells the truth about it.
        """
        with self._lock:
            self._check_backoff(essential)
            self._roll_minute()
            requested = {WEIGHT_HEADER: weight, ORDERS_HEADER: orders}
            for header, amount in requested.items():
                share = self._nonessential_pct[header] if not essential else _READS_SHARE_PCT if is_read else 100
                if amount and (self._used[header] + amount) * 100 > self._limits[header] * share:
                    raise RateLimited(f"{header} is used up for now", (self._minute + 1) * MINUTE_MS)
            for header, amount in requested.items():
                self._used[header] += amount

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Others may share this address: where the exchange has counted more than we, its count is ours.

        Never a smaller one, for what other lanes have just asked may not be in it.
        """
        with self._lock:
            self._roll_minute()
            for header in self._used:
                value = headers.get(header, "")
                if value.isdecimal():
                    self._used[header] = max(self._used[header], int(value))

    def back_off(self, status: int, headers: Mapping[str, str], message: str, sent_at: int) -> RateLimited:
        """What a 429 or 418 means: until when to be silent. The error is returned, to be raised by the asker.

        ``asked_at`` is the monotonic reading when the question left: those already under way at the first 429 are
        not a second one.
        """
        banned = status == 418
        span_ms = self._backoff_ms(headers, message, banned)
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if banned or self._backoff_since < sent_at < self._backoff_until:
                self._full_stop_until = max(self._full_stop_until, now_ms + span_ms)
            if now_ms >= self._backoff_until:
                self._backoff_since = now_ms
            self._backoff_until = max(self._backoff_until, now_ms + span_ms)
            self._is_banned = banned
            return self._rate_limited(span_ms)

    def set_limits(self, weight_limit: int | None, order_limit: int | None) -> None:
        """Take over what the exchange allows a minute; None where it does not say."""
        with self._lock:
            for header, limit in ((WEIGHT_HEADER, weight_limit), (ORDERS_HEADER, order_limit)):
                if limit is not None and limit != self._limits[header]:
                    log.warning("the exchange's limit is %s=%s, not %s", header, limit, self._limits[header])
                    self._limits[header] = limit

    @property
    def weight_limit(self) -> int:
        """Request weight that the exchange allows a minute."""
        return self._limits[WEIGHT_HEADER]

    @property
    def orders_used(self) -> int:
        """Orders placed in this minute."""
        with self._lock:
            self._roll_minute()
            return self._used[ORDERS_HEADER]

    @property
    def weight_used(self) -> int:
        """Request weight used in this minute."""
        with self._lock:
            self._roll_minute()
            return self._used[WEIGHT_HEADER]

    @property
    def blocked_until(self) -> int | None:
        """Until when less than everything may be asked, ms UTC; None where nothing is held back."""
        with self._lock:
            remaining = self._backoff_until - self._clock.monotonic_ms()
            return self._clock.now_ms() + remaining if remaining > 0 else None

    @property
    def is_banned(self) -> bool:
        """True while a 418 lasts: only what rests on the exchange protects now."""
        with self._lock:
            return self._is_banned and self._clock.monotonic_ms() < self._full_stop_until

    def _check_backoff(self, essential: bool) -> None:
        remaining = (self._full_stop_until if essential else self._backoff_until) - self._clock.monotonic_ms()
        if remaining > 0:
            raise self._rate_limited(remaining)

    def _rate_limited(self, remaining_ms: int) -> RateLimited:
        reason = "banned by the exchange" if self._is_banned else "the exchange asks for silence"
        return RateLimited(reason, self._clock.now_ms() + remaining_ms, banned=self._is_banned)

    def _roll_minute(self) -> None:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._used = dict.fromkeys(self._used, 0)

    def _backoff_ms(self, headers: Mapping[str, str], message: str, banned: bool) -> int:
        """``Retry-After`` in seconds, else the end a ban's message names, else the shortest documented span."""
        value = headers.get("Retry-After", "")
        if value.isdecimal() and int(value) > 0:
            return min(int(value) * 1000, _MAX_BAN_MS)
        until = _BANNED_UNTIL.search(message)
        if until:
            return min(max(int(until[1]) - self._clock.now_ms(), MINUTE_MS), _MAX_BAN_MS)
        return _MIN_BAN_MS if banned else MINUTE_MS
