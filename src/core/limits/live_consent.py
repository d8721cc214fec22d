"""Live trading needs confirmation: entries are blocked until a person has confirmed the current risk terms."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from src.core.context import TraderContext
from src.core.health.status import BotInfo
from src.core.limits.risk_terms import (
    RiskTerms,
    confirmed_stops,
    risk_increases,
    symbol_terms_from_settings,
    terms_from_json,
    terms_from_settings,
)
from src.core.trading_status import EntryBlock
from src.database.repositories import Store
from src.domain.enums import LiquidationAction, Network

log = logging.getLogger("hunter.operator")

CONSENT_STATE = "live_consent"
"""State row of the confirmed terms."""
_PENDING_STATE = "live_consent_pending"
_EMPTY: Mapping[str, Any] = {}


class LiveConsent:
    """Tracks confirmed and pending terms in the database, where the dashboard and ``--status`` read them.

    Until a wider stop loss, or none, is confirmed, open positions keep the confirmed one; a nearer one applies at once.
    The sandbox needs no confirmation. Paper trading discards it, so going live again must be confirmed again.
    """

    def __init__(self, context: TraderContext, identity: BotInfo) -> None:
        self._context = context
        self._network = Network(identity.network)
        self._account = identity.account
        self._is_needed = not identity.is_simulated and self._network is not Network.SANDBOX
        self._pending: RiskTerms | None = None

    def restore(self, *, assume_yes: bool) -> None:
        """Check the settings at startup; ``assume_yes`` (``--yes``) confirms pending terms, for services."""
        self.check_settings()
        if assume_yes and self._pending is not None:
            self._save_agreed_terms(self._pending)
            message = f"live trading confirmed by --yes: real orders on the {self._network} for {self._account}"
            log.warning("%s", message)
            self._context.journal("alert", {"level": "info", "message": message})

    def check_settings(self) -> None:
        """Compare the running settings with the confirmed terms, at startup and after every change."""
        if not self._is_needed:
            if self._context.store.get_state(CONSENT_STATE):
                self._context.store.set_state(CONSENT_STATE, _EMPTY)
            self._set_pending(None, ())
            return
        wanted = terms_from_settings(self._context.settings, self._network, self._account)
        increases = risk_increases(self._agreed_terms(), wanted)
        if increases:
            self._set_pending(wanted, increases)
        else:
            self._save_agreed_terms(wanted)  # lower risk takes effect; raising it again needs confirmation

    def confirm(self, fingerprint: str) -> str:
        """Confirm the pending terms if they have this fingerprint; returns the answer for the operator."""
        if self._pending is None:
            return "nothing to confirm"
        if self._pending.fingerprint != fingerprint:
            return "not confirmed: the settings have changed since then; review them again"
        terms = self._pending
        self._save_agreed_terms(terms)
        self._context.request_snapshot("live trading confirmed")
        log.warning("live trading confirmed account=%s fingerprint=%s", terms.account, fingerprint)
        reason = self._context.trading_status.reason
        done = f"confirmed: real orders on the {terms.network} for {terms.account}"
        return f"{done}; entries are still blocked: {reason}" if reason else done

    def _agreed_terms(self) -> RiskTerms | None:
        known = self._context.store.get_state(CONSENT_STATE)
        return terms_from_json(known["terms"]) if known else None

    def _save_agreed_terms(self, terms: RiskTerms) -> None:
        known = self._context.store.get_state(CONSENT_STATE)
        if not known or known["terms"] != terms.to_json():
            self._context.store.set_state(CONSENT_STATE, {"terms": terms.to_json(), "at": self._context.clock.now_ms()})
        self._set_pending(None, ())

    def _confirmed_stops(self, pending: RiskTerms) -> dict[str, Decimal]:
        """The stops that stay until ``pending`` is confirmed; of a symbol that was removed, the one it had then."""
        agreed = self._agreed_terms()
        if agreed is None:
            return {}
        earlier = {name: symbol_terms_from_settings(each) for name, each in self._context.removed_symbols.items()}
        return confirmed_stops(replace(agreed, symbols={**earlier, **agreed.symbols}), pending)

    def _set_pending(self, pending: RiskTerms | None, increases: tuple[str, ...]) -> None:
        self._pending = pending
        self._context.confirmed_stops = {} if pending is None else self._confirmed_stops(pending)
        agreed = None if pending is None else self._agreed_terms()
        self._context.keeps_tightening = agreed is not None and agreed.on_liquidation_near is LiquidationAction.TIGHTEN
        if pending is None:
            self._context.trading_status.clear(EntryBlock.CONSENT)
            if self._context.store.get_state(_PENDING_STATE):
                self._context.store.set_state(_PENDING_STATE, _EMPTY)
            return
        reason = f"live trading needs your confirmation ({'; '.join(increases)}): confirm it on the dashboard"
        self._context.trading_status.block(EntryBlock.CONSENT, reason)
        state = {"terms": pending.to_json(), "fingerprint": pending.fingerprint, "risk_increases": list(increases)}
        self._context.store.set_state(_PENDING_STATE, state)


def load_pending_terms(store: Store) -> RiskTerms | None:
    """Terms that await confirmation, loaded from the database."""
    with store.transaction():
        found = store.get_state(_PENDING_STATE)
    return terms_from_json(found["terms"]) if found else None
