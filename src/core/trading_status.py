"""Whether the bot may open positions, and if not, every reason why not."""

from enum import StrEnum

from src.domain.enums import TradingState


class EntryBlock(StrEnum):
    """A reason not to open positions. Protection, cancels and closes continue regardless."""

    OPERATOR_HALT = "operator_halt"
    HALT_FILE = "halt_file"
    OPERATOR_PAUSE = "operator_pause"
    LOSS_LIMIT = "lock"
    POSITION_MISMATCH = "books"
    CONSENT = "consent"
    DATABASE = "ledger"
    DATABASE_CHECK = "database_check"
    STARTING = "starting"
    PROTECT_ONLY = "protect_only"
    CRASH_LOOP = "crash_loop"
    PROCESS_STALLED = "standstill"
    MARKET_STREAM = "market_stream"
    USER_STREAM = "user_stream"
    REST = "rest"
    STALE_SNAPSHOT = "stale_snapshot"
    AUTH_FAILED = "access"
    ACCOUNT_CONFIG = "account"
    UNRECOGNIZED_POSITION = "strange"
    UNKNOWN_ENTRY_PRICE = "entry_price"
    UNPROTECTED = "unprotected"
    IP_BANNED = "ban"
    OTHER_BOT = "second_bot"
    CLOCK = "clock"
    QUEUE_BACKLOG = "backlog"
    STOPPING = "stopping"
    WITHDRAW_RIGHT = "withdraw_right"


_HALTS = frozenset({EntryBlock.OPERATOR_HALT, EntryBlock.HALT_FILE, EntryBlock.AUTH_FAILED})
_CLEARED_BY_RESUME = frozenset(
    {
        EntryBlock.OPERATOR_HALT,
        EntryBlock.HALT_FILE,
        EntryBlock.OPERATOR_PAUSE,
        EntryBlock.LOSS_LIMIT,
        EntryBlock.PROTECT_ONLY,
        EntryBlock.CRASH_LOOP,
        EntryBlock.POSITION_MISMATCH,
        EntryBlock.OTHER_BOT,
    }
)


class TradingStatus:
    """The entry blocks in force, each with its reason. Owned by the trader."""

    def __init__(self) -> None:
        self._reasons: dict[EntryBlock, str] = {EntryBlock.STARTING: "starting: the account has not been read yet"}

    def block(self, entry_block: EntryBlock, reason: str) -> None:
        self._reasons[entry_block] = reason

    def clear(self, entry_block: EntryBlock) -> None:
        self._reasons.pop(entry_block, None)

    def set_or_clear(self, entry_block: EntryBlock, reason: str | None) -> None:
        """Block with the reason, or clear the block if the reason is None."""
        if reason is None:
            self.clear(entry_block)
        else:
            self.block(entry_block, reason)

    def has(self, entry_block: EntryBlock) -> bool:
        return entry_block in self._reasons

    def reason_of(self, entry_block: EntryBlock) -> str | None:
        return self._reasons.get(entry_block)

    @property
    def state(self) -> TradingState:
        if self._reasons.keys() & _HALTS:
            return TradingState.HALTED
        return TradingState.REDUCE_ONLY if self._reasons else TradingState.ACTIVE

    @property
    def needs_resume(self) -> bool:
        """Whether a block is in force that the operator's resume would clear."""
        return bool(self._reasons.keys() & _CLEARED_BY_RESUME)

    @property
    def reason(self) -> str:
        """All reasons in one sentence for the operator; empty while trading."""
        if not self._reasons:  # asked for every liquidation
            return ""
        return "; ".join(self._reasons[entry_block] for entry_block in EntryBlock if entry_block in self._reasons)
