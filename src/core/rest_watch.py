"""Does the exchange answer by REST, and does it know what our streams have not told? Looked at every few seconds."""

from src.core.account_desk import AccountDesk
from src.core.desk import Desk
from src.core.standing import Obstacle
from src.core.stream_watch import StreamWatch
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.messages import CommandFailed, TakeSnapshot
from src.domain.positions import Snapshot

LOOK_EVERY_MS = 4_000
_PATIENCE_MS = 5_000
"""No answer for so long is an answer: with the look's own pause entries wait within ten seconds (F19)."""


class RestWatch:
    """Reads the whole account at every look while the private stream is not to be trusted (I27), else its
    positions at every second one."""

    def __init__(self, desk: Desk, watch: StreamWatch, account: AccountDesk) -> None:
        self._desk = desk
        self._watch = watch
        self._account = account
        self._looked_at: int | None = None
        self._asked_at: int | None = None
        """Monotonic; None while no question is open."""

    def look(self) -> None:
        """It is time for a look."""
        now_ms = self._desk.clock.monotonic_ms()
        if not self._watch.is_private_trusted:
            self._asked_at = self._asked_at or now_ms
            self._account.poll("the private stream is not to be trusted")
        elif self._asked_at is None and self._is_due(now_ms):
            self._looked_at = self._asked_at = now_ms
            self._desk.send(CheckPositions())

    def on_checked(self, event: PositionsChecked) -> None:
        """The exchange answers; a position that is not as we know it is a reason to read all, and for the stream
        to tell it soon."""
        self._on_answer()
        if self._watch.compare(event.positions):
            self._account.ask("a position differs")

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """All was read; what the private stream has not told of it is its debt."""
        self._on_answer()
        self._watch.compare(snapshot.positions)

    def _on_answer(self) -> None:
        """The account could be read."""
        self._asked_at = None
        self._desk.standing.clear(Obstacle.REST)

    def on_failed(self, event: CommandFailed) -> None:
        if isinstance(event.command, CheckPositions | TakeSnapshot):
            self._asked_at = None
            self._desk.standing.raise_obstacle(Obstacle.REST, f"the account cannot be read: {event.reason}")

    def check(self) -> None:
        """An answer that does not come is no better than a failure."""
        waited_ms = 0 if self._asked_at is None else self._desk.clock.monotonic_ms() - self._asked_at
        if waited_ms > _PATIENCE_MS:
            reason = f"the account cannot be read: no answer for {waited_ms // 1000} s"
            self._desk.standing.raise_obstacle(Obstacle.REST, reason)

    def _is_due(self, now_ms: int) -> bool:
        return self._looked_at is None or now_ms - self._looked_at >= LOOK_EVERY_MS
