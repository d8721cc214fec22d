"""Detects a process that was suspended, and guards trading after crash loops (F42).

A stopped process, a sleeping machine or heavy swapping leaves the bot with outdated data.
"""

from src.core.context import TraderContext
from src.core.events import ProcessStalled
from src.core.trading_status import EntryBlock
from src.domain.clock import HOUR_MS, Clock, drift_ms
from src.domain.positions import Snapshot

MAX_LOOP_MS = 5_000
"""No iteration of a loop takes this long while the process is running."""
QUIET_MS = HOUR_MS
_REASON_OPERATOR = (
    "protect-only mode (--protect-only): positions are protected and closed, entries are blocked until you resume"
)
_REASON_LAUNCHER = (
    "the bot crashed repeatedly: positions are protected and closed, entries are blocked until it has run an hour "
    "without a crash or until you resume (see the log)"
)


class StallDetector:
    """Measures the iterations of one loop by the monotonic clock and by the machine's, as a suspended machine may stop
    the first. A clock that is set forward looks the same: it costs one reading of the account.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checked_at = self._read()

    def check(self) -> ProcessStalled | None:
        """Called once per iteration; returns an event if the time since the last call was too long."""
        before, self._checked_at = self._checked_at, self._read()
        duration_ms = max(now - then for now, then in zip(self._checked_at, before, strict=True))
        return ProcessStalled(duration_ms, self._clock.now_ms()) if duration_ms > MAX_LOOP_MS else None

    def _read(self) -> tuple[int, int]:
        return self._clock.monotonic_ms(), self._clock.now_ms() + drift_ms(self._clock)


class StallGuard:
    """Blocks entries after a suspension until the account has been read again."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._resumed_at = 0

    def on_resumed(self, event: ProcessStalled) -> None:
        self._resumed_at = event.at
        reason = f"process was suspended for {event.duration_ms / 1000:.0f} s, resyncing"
        self._context.trading_status.block(EntryBlock.PROCESS_STALLED, reason)
        self._context.warn(reason)
        self._context.request_snapshot("process was suspended")

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Unblock entries, unless the snapshot was requested before the process resumed."""
        if not self._context.trading_status.has(EntryBlock.PROCESS_STALLED):
            return
        if snapshot.requested_at < self._resumed_at:
            self._context.request_snapshot("process was suspended after the last request")
        else:
            self._context.trading_status.clear(EntryBlock.PROCESS_STALLED)


def block_entries(context: TraderContext, *, is_supervised: bool) -> None:
    """Block entries at startup: after a crash loop if started by the launcher, else on the operator's request."""
    entry_block = EntryBlock.CRASH_LOOP if is_supervised else EntryBlock.PROTECT_ONLY
    context.trading_status.block(entry_block, _REASON_LAUNCHER if is_supervised else _REASON_OPERATOR)


class CrashLoopGuard:
    """Resumes entries after an hour without a crash; a crash before that starts the hour again."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._started_at = context.clock.monotonic_ms()

    def check(self) -> None:
        is_blocked = self._context.trading_status.has(EntryBlock.CRASH_LOOP)
        if is_blocked and self._context.clock.monotonic_ms() - self._started_at >= QUIET_MS:
            self._context.trading_status.clear(EntryBlock.CRASH_LOOP)
            self._context.warn("an hour without a crash: entries resumed")
