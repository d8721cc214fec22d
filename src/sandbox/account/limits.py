"""Request weight and order count per minute: 429 above the limit, 418 after repeated violations (Limits)."""

from dataclasses import dataclass

from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.errors import RateLimited
from src.exchange.wire import ORDER_LIMIT, WEIGHT_LIMIT

_VIOLATIONS_BEFORE_BAN = 10
"""Number of 429 responses before the address is banned."""
_FIRST_BAN_MS = 2 * MINUTE_MS
_MAX_BAN_MS = 3 * DAY_MS


@dataclass(slots=True)
class RequestLimits:
    """Usage in the current minute. The sandbox has one address and one account."""

    weight_limit: int = WEIGHT_LIMIT
    order_limit: int = ORDER_LIMIT
    used_weight: int = 0
    orders: int = 0
    _minute: int = 0
    _violations: int = 0
    _bans: int = 0
    _banned_until: int = 0

    def use_weight(self, weight: int, now_ms: int) -> None:
        """Count a request. Raises RateLimited if it exceeds the limit."""
        self._reset_on_new_minute(now_ms)
        if now_ms < self._banned_until:
            self._raise_banned()
        self.used_weight += weight
        if self.used_weight <= self.weight_limit:
            return
        self._violations += 1
        if self._violations > _VIOLATIONS_BEFORE_BAN:
            self._ban(now_ms)
        reason = f"Too many requests; current limit is {self.weight_limit} requests per minute."
        raise RateLimited(reason, (self._minute + 1) * MINUTE_MS)

    def use_order(self, now_ms: int) -> bool:
        """Count an order; return False if it exceeds the limit."""
        self._reset_on_new_minute(now_ms)
        if self.orders >= self.order_limit:
            return False
        self.orders += 1
        return True

    def _reset_on_new_minute(self, now_ms: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self.used_weight = self.orders = 0
            self._violations = 0

    def _ban(self, now_ms: int) -> None:
        self._banned_until = now_ms + min(_FIRST_BAN_MS << self._bans, _MAX_BAN_MS)
        self._bans += 1
        self._violations = 0
        self._raise_banned()

    def _raise_banned(self) -> None:
        reason = f"Way too many requests; IP banned until {self._banned_until}."
        raise RateLimited(reason, self._banned_until, banned=True)
