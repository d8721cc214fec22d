"""Does the exchange let us in? Refused keys, permissions, nonces and clocks halt trading until it does again."""

import logging

from src.core.desks.desk import Desk
from src.core.standing import Obstacle
from src.domain.access import AccessGranted, AccessRefused, Door

log = logging.getLogger("hunter.account")

_MATTERS_OF_TIME = frozenset({-1021, -4225})
"""Clock and nonce: a question that is answered proves them good for orders too."""
_TRY_AGAIN_MS = 5 * 60_000
"""That reading works says nothing of trading: after this time the next signal may try."""


class AccessWatch:
    """Raises the alarm once, and keeps looking. Each door opens by itself: that questions are answered says nothing
    of the private stream, whose key the exchange may refuse all the while."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._closed: dict[Door, str] = {}
        """Doors that are refused, each with the reason."""
        self._try_again_at: int | None = None
        """Monotonic; None where orders are not refused."""
        self._told: set[str] = set()
        """What alarms were about that nothing has taken back."""

    def on_refused(self, event: AccessRefused) -> bool:
        """True where that is news: the account is to be asked then, and asked again until it answers."""
        is_news = not self._closed
        reason = f"the exchange refuses this account: {event.reason} ({event.code})"
        door = Door.QUESTIONS if event.door is Door.ORDERS and event.code in _MATTERS_OF_TIME else event.door
        if door is Door.ORDERS:
            self._try_again_at = self._desk.clock.monotonic_ms() + _TRY_AGAIN_MS
        self._closed[door] = reason
        self._settle()
        if reason not in self._told:
            self._told.add(reason)
            self._desk.alarm(f"{reason}. Trading halts; stop losses at the exchange stay")
        return is_news

    def on_answered(self) -> None:
        """A signed question was answered."""
        self._open(Door.QUESTIONS)

    def on_granted(self, event: AccessGranted) -> None:
        self._open(event.door)

    def check(self) -> None:
        """Once a second: where only an order can show whether orders are accepted, let one be tried."""
        if self._try_again_at is not None and self._desk.clock.monotonic_ms() >= self._try_again_at:
            self._try_again_at = None
            log.warning("orders may be tried again, after: %s", self._closed.pop(Door.ORDERS))
            self._settle()

    def _open(self, door: Door) -> None:
        """The last of them to open ends the alarm."""
        if self._closed.pop(door, None) is None:
            return
        self._settle()
        if not self._closed:
            self._told.clear()
            self._desk.alert("the exchange accepts this account again")

    def _settle(self) -> None:
        reasons = dict.fromkeys(self._closed.values())
        self._desk.standing.settle(Obstacle.ACCESS, "; ".join(reasons) or None)
