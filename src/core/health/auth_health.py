"""Tracks whether the exchange accepts our credentials; auth failures halt trading until it does again."""

import logging

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.domain.api_wallet import WITHDRAW_RISK, ApiWallet
from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.events import ApiScope, AuthFailed, AuthRecovered

log = logging.getLogger("hunter.account")

_CLOCK_CODES = frozenset({-1021, -4225})
"""Clock and nonce errors: a successful signed request shows that orders work again too."""
_ORDER_RETRY_MS = 5 * MINUTE_MS
"""Reading may work while trading does not, so after this time the next signal may try an order."""


class AuthHealth:
    """Alerts once per failure and blocks entries until every failed scope has recovered.

    Scopes recover separately: signed requests may work while the listen key of the user data stream is rejected.
    """

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._failed: dict[ApiScope, str] = {}
        """Scopes that are rejected, each with the reason."""
        self._retry_orders_at: int | None = None
        """Monotonic time; None while orders are not rejected."""
        self._reported: set[str] = set()
        """Reasons already alerted since everything last worked."""
        self._warn_at = 0
        """When to warn of the API wallet's end again."""

    def on_auth_failed(self, event: AuthFailed) -> None:
        """Block entries; the first failure requests a snapshot, which is retried until the exchange answers."""
        if not self._failed:
            self._context.request_snapshot("access was rejected")
        reason = f"the exchange rejects this account: {event.reason} ({event.code})"
        scope = ApiScope.READ if event.scope is ApiScope.TRADE and event.code in _CLOCK_CODES else event.scope
        if scope is ApiScope.TRADE:
            self._retry_orders_at = self._context.clock.monotonic_ms() + _ORDER_RETRY_MS
        self._failed[scope] = reason
        self._update_block()
        if reason not in self._reported:
            self._reported.add(reason)
            self._context.alert(f"{reason}. Trading is halted; stop losses stay open")

    def on_response(self) -> None:
        """A signed request has succeeded."""
        self._recover(ApiScope.READ)

    def on_snapshot(self, wallet: ApiWallet | None) -> None:
        """Block entries while the API wallet may withdraw, and warn once a day before it ends."""
        if wallet is None:
            return
        is_risk = wallet.can_withdraw and not self._context.settings.globals_.allow_withdraw_key
        self._context.trading_status.set_or_clear(EntryBlock.WITHDRAW_RIGHT, WITHDRAW_RISK if is_risk else None)
        now_ms = self._context.clock.now_ms()
        warning = wallet.warning(now_ms)
        if warning is not None and now_ms >= self._warn_at:
            self._warn_at = now_ms + DAY_MS
            self._context.warn(warning)

    def on_auth_recovered(self, event: AuthRecovered) -> None:
        self._recover(event.scope)

    def check(self) -> None:
        """Called every second: allow an order again after the pause, as only an order shows whether orders work."""
        if self._retry_orders_at is not None and self._context.clock.monotonic_ms() >= self._retry_orders_at:
            self._retry_orders_at = None
            log.warning("retrying orders after rejection reason=%s", self._failed.pop(ApiScope.TRADE))
            self._update_block()

    def _recover(self, scope: ApiScope) -> None:
        """Mark a scope as recovered; the last one ends the failure."""
        if self._failed.pop(scope, None) is None:
            return
        self._update_block()
        if not self._failed:
            self._reported.clear()
            self._context.warn("the exchange accepts this account again")

    def _update_block(self) -> None:
        reasons = dict.fromkeys(self._failed.values())
        self._context.trading_status.set_or_clear(EntryBlock.AUTH_FAILED, "; ".join(reasons) or None)
