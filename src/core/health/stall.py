"""A process that stood still, by a signal, a suspended machine or a swapped-out page: what it knows is old (F42)."""

from collections.abc import Callable

from src.core.context import TraderContext
from src.core.events import ProcessStalled
from src.core.trading_status import EntryBlock
from src.domain.clock import Clock
from src.domain.positions import Snapshot

MAX_LOOP_MS = 5_000
"""No turn of a loop takes so long while the process runs."""


class StallDetector:
    """Measures the turns of one loop, by both clocks: that of a suspended machine may stop one of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checked_at = clock.monotonic_ms(), clock.now_ms()

    def check(self) -> ProcessStalled | None:
        """Called once a turn: what happened since the last call, where that was no ordinary turn."""
        before, now = self._checked_at, (self._clock.monotonic_ms(), self._clock.now_ms())
        self._checked_at = now
        duration_ms = max(now[0] - before[0], now[1] - before[1])
        return ProcessStalled(duration_ms, now[1]) if duration_ms > MAX_LOOP_MS else None


class StallGuard:
    """Keeps entries back after a standstill until the account has been read anew."""

    def __init__(self, context: TraderContext, request_snapshot: Callable[[str], None]) -> None:
        self._context = context
        self._request_snapshot = request_snapshot
        self._resumed_at = 0

    def on_resumed(self, event: ProcessStalled) -> None:
        self._resumed_at = event.at
        reason = f"the process stood still for {event.duration_ms / 1000:.0f} s: the account is being read"
        self._context.trading_status.block(EntryBlock.PROCESS_STALLED, reason)
        self._context.warn(reason)
        self._request_snapshot("the process stood still")

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """One that was asked for before may tell of a world that is gone."""
        if not self._context.trading_status.has(EntryBlock.PROCESS_STALLED):
            return
        if snapshot.requested_at < self._resumed_at:
            self._request_snapshot("the process stood still after the last question")
        else:
            self._context.trading_status.clear(EntryBlock.PROCESS_STALLED)


QUIET_MS = 60 * 60_000
_REASON_OPERATOR = (
    "protect-only mode, as it was started: positions are protected and closed, entries wait until you resume"
)
_REASON_LAUNCHER = (
    "the bot crashed again and again: it protects and closes; entries wait until it has run an hour without a crash, "
    "or until you resume (its log says what happened)"
)


def block_entries(context: TraderContext, *, is_supervised: bool) -> None:
    """The launcher asks for it after a crash loop; a person, who starts the bot alone, means it to stay."""
    entry_block = EntryBlock.CRASH_LOOP if is_supervised else EntryBlock.PROTECT_ONLY
    context.trading_status.block(entry_block, _REASON_LAUNCHER if is_supervised else _REASON_OPERATOR)


class CrashLoopGuard:
    """Lets entries go on after a quiet hour; another crash begins it anew, for the launcher starts the bot so again."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._started_at = context.clock.monotonic_ms()

    def check(self) -> None:
        is_held = self._context.trading_status.has(EntryBlock.CRASH_LOOP)
        if is_held and self._context.clock.monotonic_ms() - self._started_at >= QUIET_MS:
            self._context.trading_status.clear(EntryBlock.CRASH_LOOP)
            self._context.warn("the bot has run an hour without a crash: entries are made again")
