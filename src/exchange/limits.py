"""Rate limits of the exchange: request weight and order count, tracked locally and from response headers (LIMITS)."""

import logging
import re
import threading
from collections.abc import Mapping
from decimal import Decimal

from src.domain.clock import DAY_MS, MINUTE_MS, Clock
from src.domain.errors import RateLimited

log = logging.getLogger("hunter.rest")

WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
ORDERS_HEADER = "X-MBX-ORDER-COUNT-1M"
MIN_RESERVE_PCT = 30
"""Least share reserved for protection and reconciliation, whatever the settings say (I29)."""
_ENTRIES_SHARE_PCT = 50
_READS_SHARE_PCT = 90
"""Repeated account reads while the user data stream is silent must leave weight for protection orders."""
_MIN_BAN_MS = 2 * MINUTE_MS
_MAX_BAN_MS = 3 * DAY_MS
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")


class RateLimits:
    """The request budget of one IP address and one account, shared by all threads.

    Shares of the budget: protection orders and critical endpoints 100 %, essential reads 90 %, everything else 70 % of
    the weight (I29) and half of the orders (I22).
    After a 429 only essential requests are allowed; after a second 429 or a 418 none until the pause ends.
    """

    def __init__(
        self, clock: Clock, *, weight_limit: int = 2400, order_limit: int = 1200, reserve_pct: Decimal | int = 30
    ) -> None:
        self._clock = clock
        self._limits = {WEIGHT_HEADER: weight_limit, ORDERS_HEADER: order_limit}
        self._used = {WEIGHT_HEADER: 0, ORDERS_HEADER: 0}
        self._nonessential_pct: dict[str, Decimal | int] = {}
        self.set_reserve(reserve_pct)
        self._minute = clock.now_ms() // MINUTE_MS
        # Monotonic: a change of the system clock must not shorten or extend a pause.
        self._backoff_since = self._backoff_until = self._full_stop_until = clock.monotonic_ms()
        self._is_banned = False
        self._lock = threading.Lock()  # the gateway's threads send requests in parallel

    def acquire(self, weight: int, *, essential: bool, orders: int = 0, is_read: bool = False) -> None:
        """Reserve weight and order count for one request; raise ``RateLimited`` if it must wait.

        ``essential`` requests protect a position or read its true state.
        """
        requested = {WEIGHT_HEADER: weight, ORDERS_HEADER: orders}
        with self._lock:
            self._check(requested, essential, is_read)
            for header, amount in requested.items():
                self._used[header] += amount

    def fits(self, weight: int, *, essential: bool, orders: int) -> bool:
        """Whether a write of this weight may be sent now."""
        try:
            with self._lock:
                self._check({WEIGHT_HEADER: weight, ORDERS_HEADER: orders}, essential, is_read=False)
        except RateLimited:
            return False
        return True

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Raise the local counts to those of the exchange: other programs may share the IP address.

        Never lower them: requests in flight on other threads may be missing from the exchange's count.
        """
        with self._lock:
            self._roll_minute()
            for header in self._used:
                value = headers.get(header, "")
                if value.isdecimal():
                    self._used[header] = max(self._used[header], int(value))

    def back_off(self, status: int, headers: Mapping[str, str], message: str, sent_at: int) -> RateLimited:
        """Start a pause after a 429 or 418 and return the error for the caller to raise.

        ``sent_at`` is the monotonic time in ms at which the request was sent: a 429 for a request sent before the first
        429 arrived does not count as a second one.
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
        """Set the limits per minute that the exchange reports; None keeps the present one."""
        with self._lock:
            for header, limit in ((WEIGHT_HEADER, weight_limit), (ORDERS_HEADER, order_limit)):
                if limit is not None and limit != self._limits[header]:
                    log.warning("rate limit changed header=%s limit=%s was=%s", header, limit, self._limits[header])
                    self._limits[header] = limit

    def set_reserve(self, reserve_pct: Decimal | int) -> None:
        """Set the share of the limits that only essential requests may use; never less than ``MIN_RESERVE_PCT``."""
        unreserved_pct = 100 - max(reserve_pct, MIN_RESERVE_PCT)
        self._nonessential_pct = {WEIGHT_HEADER: unreserved_pct, ORDERS_HEADER: min(unreserved_pct, _ENTRIES_SHARE_PCT)}

    @property
    def has_entry_budget(self) -> bool:
        """Whether an entry may be sent now: one order, by one request that is not essential."""
        with self._lock:
            self._roll_minute()
            is_blocked = self._clock.monotonic_ms() < self._backoff_until
            return not is_blocked and all(
                self._has_room(header, 1, share) for header, share in self._nonessential_pct.items()
            )

    @property
    def weight_limit(self) -> int:
        """Request weight allowed per minute."""
        return self._limits[WEIGHT_HEADER]

    @property
    def orders_used(self) -> int:
        """Orders placed in the current minute."""
        with self._lock:
            self._roll_minute()
            return self._used[ORDERS_HEADER]

    @property
    def weight_used(self) -> int:
        """Request weight used in the current minute."""
        with self._lock:
            self._roll_minute()
            return self._used[WEIGHT_HEADER]

    @property
    def blocked_until(self) -> int | None:
        """End of the current pause, ms UTC; None if there is none."""
        with self._lock:
            remaining = self._backoff_until - self._clock.monotonic_ms()
            return self._clock.now_ms() + remaining if remaining > 0 else None

    @property
    def is_banned(self) -> bool:
        """True while a 418 ban lasts; until then only orders already on the exchange protect positions."""
        with self._lock:
            return self._is_banned and self._clock.monotonic_ms() < self._full_stop_until

    def _check(self, requested: Mapping[str, int], essential: bool, is_read: bool) -> None:
        self._check_backoff(essential)
        self._roll_minute()
        for header, amount in requested.items():
            share = self._nonessential_pct[header] if not essential else _READS_SHARE_PCT if is_read else 100
            if amount and not self._has_room(header, amount, share):
                raise RateLimited(f"budget of {header} is used up", (self._minute + 1) * MINUTE_MS)

    def _check_backoff(self, essential: bool) -> None:
        remaining = (self._full_stop_until if essential else self._backoff_until) - self._clock.monotonic_ms()
        if remaining > 0:
            raise self._rate_limited(remaining)

    def _rate_limited(self, remaining_ms: int) -> RateLimited:
        reason = "IP banned by the exchange" if self._is_banned else "rate limit of the exchange reached"
        return RateLimited(reason, self._clock.now_ms() + remaining_ms, banned=self._is_banned)

    def _has_room(self, header: str, amount: int, share_pct: Decimal | int) -> bool:
        return (self._used[header] + amount) * 100 <= self._limits[header] * share_pct

    def _roll_minute(self) -> None:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._used = dict.fromkeys(self._used, 0)

    def _backoff_ms(self, headers: Mapping[str, str], message: str, banned: bool) -> int:
        """Length of the pause: ``Retry-After``, else the ban end in the message, else the documented minimum."""
        value = headers.get("Retry-After", "")
        if value.isdecimal() and int(value) > 0:
            return min(int(value) * 1000, _MAX_BAN_MS)
        until = _BANNED_UNTIL.search(message)
        if until:
            return min(max(int(until[1]) - self._clock.now_ms(), MINUTE_MS), _MAX_BAN_MS)
        return _MIN_BAN_MS if banned else MINUTE_MS
