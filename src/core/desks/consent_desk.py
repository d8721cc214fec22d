"""Going live is deliberate: entries wait until a person has agreed to these very terms, and it is remembered."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from src.core.desks.desk import Desk
from src.core.plans.live_terms import LiveTerms, terms_from, terms_of, what_rises
from src.core.standing import Obstacle
from src.core.status import Identity
from src.database.repositories import Store
from src.domain.enums import Network

log = logging.getLogger("hunter.operator")

AGREED = "live_agreed"
"""The state row that holds what a person has agreed to."""
_PENDING = "live_pending"
_NOTHING: Mapping[str, Any] = {}


class ConsentDesk:
    """What was agreed to lies in the ledger, and what waits to be: the dashboard and ``--status`` read it there.

    The sandbox needs no word, and paper forgets it: to go live again is to be said again.
    """

    def __init__(self, desk: Desk, identity: Identity, ask_account: Callable[[str], None]) -> None:
        self._desk = desk
        self._network = Network(identity.network)
        self._account = identity.account
        self._is_needed = not identity.is_simulated and self._network is not Network.SANDBOX
        self._ask_account = ask_account
        self._pending: LiveTerms | None = None

    def restore(self, *, assume_yes: bool) -> None:
        """At start; ``assume_yes`` is the word of whoever set up a service."""
        self.review()
        if assume_yes and self._pending is not None:
            self._agree(self._pending)
            message = f"real orders on the {self._network} for {self._account}, agreed to by --yes"
            log.warning("%s", message)
            self._desk.tell("alert", {"level": "info", "message": message})

    def review(self) -> None:
        """Hold the settings in force against what was agreed to. At start, and whenever they change."""
        if not self._is_needed:
            if self._desk.store.get_state(AGREED):
                self._desk.store.set_state(AGREED, _NOTHING)
            self._settle(None, ())
            return
        wanted = terms_of(self._desk.settings, self._network, self._account)
        rising = what_rises(self._agreed(), wanted)
        if rising:
            self._settle(wanted, rising)
        else:
            self._agree(wanted)  # less than before, if anything: from now on more than this is asked for anew

    def confirm(self, fingerprint: str) -> str:
        """A person's word on the terms of this fingerprint: good once, and for no others."""
        if self._pending is None:
            return "nothing waits to be agreed to"
        if self._pending.fingerprint != fingerprint:
            return "nothing was agreed to: the settings have changed since then, look at them again"
        terms = self._pending
        self._agree(terms)
        self._ask_account("real orders were agreed to")
        log.warning("real orders agreed to account=%s fingerprint=%s", terms.account, fingerprint)
        reason = self._desk.standing.reason
        done = f"agreed: real orders on the {terms.network} for {terms.account}"
        return f"{done}; entries still wait: {reason}" if reason else done

    def _agreed(self) -> LiveTerms | None:
        known = self._desk.store.get_state(AGREED)
        return terms_from(known["terms"]) if known else None

    def _agree(self, terms: LiveTerms) -> None:
        known = self._desk.store.get_state(AGREED)
        if not known or known["terms"] != terms.shape():
            self._desk.store.set_state(AGREED, {"terms": terms.shape(), "at": self._desk.clock.now_ms()})
        self._settle(None, ())

    def _settle(self, pending: LiveTerms | None, rising: tuple[str, ...]) -> None:
        self._pending = pending
        if pending is None:
            self._desk.standing.clear(Obstacle.CONSENT)
            if self._desk.store.get_state(_PENDING):
                self._desk.store.set_state(_PENDING, _NOTHING)
            return
        reason = f"real orders wait for your word ({'; '.join(rising)}): confirm them on the dashboard"
        self._desk.standing.raise_obstacle(Obstacle.CONSENT, reason)
        state = {"terms": pending.shape(), "fingerprint": pending.fingerprint, "rising": list(rising)}
        self._desk.store.set_state(_PENDING, state)


def pending_in(store: Store) -> LiveTerms | None:
    """What waits for a person's word, as the ledger tells it."""
    with store.transaction():
        found = store.get_state(_PENDING)
    return terms_from(found["terms"]) if found else None
