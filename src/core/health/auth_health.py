"""Does the exchange let us in? Refused keys, permissions, nonces and clocks halt trading until it does again."""

import logging

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.domain.events import ApiScope, AuthFailed, AuthRecovered

log = logging.getLogger("hunter.account")

_CLOCK_CODES = frozenset({-1021, -4225})
"""Clock and nonce: a question that is answered proves them good for orders too."""
_ORDER_RETRY_MS = 5 * 60_000
"""That reading works says nothing of trading: after this time the next signal may try."""


class AuthHealth:
    """Raises the alarm once, and keeps looking. Each door opens by itself: that questions are answered says nothing
    of the private stream, whose key the exchange may refuse all the while."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._failed: dict[ApiScope, str] = {}
        """Doors that are refused, each with the reason."""
        self._retry_orders_at: int | None = None
        """Monotonic; None where orders are not refused."""
        self._reported: set[str] = set()
        """What alarms were about that nothing has taken back."""

    def on_auth_failed(self, event: AuthFailed) -> bool:
        """True where that is news: the account is to be asked then, and asked again until it answers."""
        is_news = not self._failed
        reason = f"the exchange refuses this account: {event.reason} ({event.code})"
        scope = ApiScope.READ if event.scope is ApiScope.TRADE and event.code in _CLOCK_CODES else event.scope
        if scope is ApiScope.TRADE:
            self._retry_orders_at = self._context.clock.monotonic_ms() + _ORDER_RETRY_MS
        self._failed[scope] = reason
        self._update_block()
        if reason not in self._reported:
            self._reported.add(reason)
            self._context.alert(f"{reason}. Trading halts; stop losses at the exchange stay")
        return is_news

    def on_response(self) -> None:
        """A signed question was answered."""
        self._recover(ApiScope.READ)

    def on_auth_recovered(self, event: AuthRecovered) -> None:
        self._recover(event.scope)

    def check(self) -> None:
        """Once a second: where only an order can show whether orders are accepted, let one be tried."""
        if self._retry_orders_at is not None and self._context.clock.monotonic_ms() >= self._retry_orders_at:
            self._retry_orders_at = None
            log.warning("orders may be tried again, after: %s", self._failed.pop(ApiScope.TRADE))
            self._update_block()

    def _recover(self, scope: ApiScope) -> None:
        """The last of them to open ends the alarm."""
        if self._failed.pop(scope, None) is None:
            return
        self._update_block()
        if not self._failed:
            self._reported.clear()
            self._context.warn("the exchange accepts this account again")

    def _update_block(self) -> None:
        reasons = dict.fromkeys(self._failed.values())
        self._context.trading_status.set_or_clear(EntryBlock.AUTH_FAILED, "; ".join(reasons) or None)
