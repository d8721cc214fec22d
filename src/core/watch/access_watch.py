"""Does the exchange let us in? Refused keys, permissions, nonces and clocks halt trading until it does again."""

import logging

from src.core.desks.desk import Desk
from src.core.standing import Obstacle
from src.domain.messages import AccessRefused

log = logging.getLogger("hunter.account")

_MATTERS_OF_TIME = frozenset({-1021, -4225})
"""Clock and nonce: a question that is answered proves them good for orders too."""
_TRY_AGAIN_MS = 5 * 60_000
"""That reading works says nothing of trading: after this time the next signal may try."""


class AccessWatch:
    """Raises the alarm once, and keeps looking."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._try_again_at: int | None = None
        """Monotonic; None where an answered question ends it."""
        self._told: str | None = None
        """What the alarm was about that nothing has taken back."""

    def on_refused(self, event: AccessRefused) -> bool:
        """True where that is news: the account is to be asked then, and asked again until it answers."""
        is_news = not self._desk.standing.has(Obstacle.ACCESS)
        reason = f"the exchange refuses this account: {event.reason} ({event.code})"
        if event.of_write and event.code not in _MATTERS_OF_TIME:
            self._try_again_at = self._desk.clock.monotonic_ms() + _TRY_AGAIN_MS
        self._desk.standing.raise_obstacle(Obstacle.ACCESS, reason)
        if reason != self._told:
            self._told = reason
            self._desk.alarm(f"{reason}. Trading halts; stop losses at the exchange stay")
        return is_news

    def on_answered(self) -> None:
        """A signed question was answered."""
        if self._try_again_at is None and self._desk.standing.has(Obstacle.ACCESS):
            self._told = None
            self._desk.standing.clear(Obstacle.ACCESS)
            self._desk.alert("the exchange accepts this account again")

    def check(self) -> None:
        """Once a second: where only an order can show whether orders are accepted, let one be tried."""
        if self._try_again_at is not None and self._desk.clock.monotonic_ms() >= self._try_again_at:
            self._try_again_at = None
            log.warning("orders may be tried again, after: %s", self._told)
            self._desk.standing.clear(Obstacle.ACCESS)
