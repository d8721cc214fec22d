"""After crashing again and again the bot only protects, until it has run a quiet hour or a person resumes (I34)."""

from src.core.desks.desk import Desk
from src.core.standing import Obstacle

QUIET_MS = 60 * 60_000
_BY_A_PERSON = "protect-only mode, as it was started: positions are protected and closed, entries wait until you resume"
_BY_THE_LAUNCHER = (
    "the bot crashed again and again: it protects and closes; entries wait until it has run an hour without a crash, "
    "or until you resume (its log says what happened)"
)


def hold_back(desk: Desk, *, is_supervised: bool) -> None:
    """The launcher asks for it after a crash loop; a person, who starts the bot alone, means it to stay."""
    obstacle = Obstacle.CRASH_LOOP if is_supervised else Obstacle.PROTECT_ONLY
    desk.standing.raise_obstacle(obstacle, _BY_THE_LAUNCHER if is_supervised else _BY_A_PERSON)


class CrashLoopDesk:
    """Lets entries go on after a quiet hour; another crash begins it anew, for the launcher starts the bot so again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._began_at = desk.clock.monotonic_ms()

    def check(self) -> None:
        is_held = self._desk.standing.has(Obstacle.CRASH_LOOP)
        if is_held and self._desk.clock.monotonic_ms() - self._began_at >= QUIET_MS:
            self._desk.standing.clear(Obstacle.CRASH_LOOP)
            self._desk.alert("the bot has run an hour without a crash: entries are made again")
