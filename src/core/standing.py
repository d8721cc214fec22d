"""Whether the bot may open positions, and if not, every reason why."""

from enum import StrEnum

from src.domain.enums import TradingState


class Obstacle(StrEnum):
    """What can keep the bot from opening positions; protection, cancels and closes go on regardless."""

    OPERATOR_HALT = "operator_halt"
    HALT_FILE = "halt_file"
    OPERATOR_PAUSE = "operator_pause"
    LOCK = "lock"
    BOOKS = "books"
    CONSENT = "consent"
    LEDGER = "ledger"
    STARTING = "starting"
    PROTECT_ONLY = "protect_only"
    CRASH_LOOP = "crash_loop"
    STANDSTILL = "standstill"
    MARKET_STREAM = "market_stream"
    USER_STREAM = "user_stream"
    REST = "rest"
    STALE_SNAPSHOT = "stale_snapshot"
    ACCESS = "access"
    ACCOUNT = "account"
    STRANGE = "strange"
    BAN = "ban"
    SECOND_BOT = "second_bot"
    CLOCK = "clock"
    BACKLOG = "backlog"
    STOPPING = "stopping"


_HALTS = frozenset({Obstacle.OPERATOR_HALT, Obstacle.HALT_FILE, Obstacle.ACCESS})
_ENDED_BY_RESUME = frozenset(
    {
        Obstacle.OPERATOR_HALT,
        Obstacle.HALT_FILE,
        Obstacle.OPERATOR_PAUSE,
        Obstacle.LOCK,
        Obstacle.PROTECT_ONLY,
        Obstacle.CRASH_LOOP,
        Obstacle.BOOKS,
        Obstacle.SECOND_BOT,
    }
)


class Standing:
    """The obstacles of the moment, each with its sentence. The trader owns it."""

    def __init__(self) -> None:
        self._reasons: dict[Obstacle, str] = {Obstacle.STARTING: "starting: the account has not been read yet"}

    def raise_obstacle(self, obstacle: Obstacle, reason: str) -> None:
        self._reasons[obstacle] = reason

    def clear(self, obstacle: Obstacle) -> None:
        self._reasons.pop(obstacle, None)

    def settle(self, obstacle: Obstacle, reason: str | None) -> None:
        """Raise it where there is a reason, clear it where there is none."""
        if reason is None:
            self.clear(obstacle)
        else:
            self.raise_obstacle(obstacle, reason)

    def has(self, obstacle: Obstacle) -> bool:
        return obstacle in self._reasons

    def reason_of(self, obstacle: Obstacle) -> str | None:
        return self._reasons.get(obstacle)

    @property
    def state(self) -> TradingState:
        if self._reasons.keys() & _HALTS:
            return TradingState.HALTED
        return TradingState.REDUCE_ONLY if self._reasons else TradingState.ACTIVE

    @property
    def awaits_resume(self) -> bool:
        """Something stands that a person's resume would end."""
        return bool(self._reasons.keys() & _ENDED_BY_RESUME)

    @property
    def reason(self) -> str:
        """One sentence a person can act on; empty while trading."""
        return "; ".join(self._reasons[obstacle] for obstacle in Obstacle if obstacle in self._reasons)
