"""Loss limits: entries are locked for a while after too much was lost, across restarts (I23)."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import takewhile
from typing import assert_never

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.database.queries.fills import net_since, newest_fill_id, recent_exits
from src.settings.config import GlobalSettings

DAY_MS = 86_400_000
_MS_PER_MINUTE = 60_000
_PER_CENT = Decimal(100)


class LockKind(StrEnum):
    """Which limit was reached; the value is the setting's name."""

    DAILY_LOSS = "max_daily_loss_usdt"
    CONSECUTIVE_LOSSES = "max_consecutive_losses"
    DRAWDOWN = "max_drawdown_pct"


@dataclass(frozen=True, slots=True)
class TradingLock:
    """No entries until then."""

    kind: LockKind
    reason: str
    until_ms: int

    @property
    def message(self) -> str:
        until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
        return f"locked until {until:%Y-%m-%d %H:%M} UTC: {self.reason}; resume lifts it"


@dataclass(frozen=True, slots=True)
class TradingResults:
    """What trading brought since counting began. Amounts in the quote asset."""

    net_today: Decimal
    """Realised profit less fees, and funding, of the UTC day."""
    consecutive_losses: int
    """Exits that lost, since the last one that did not."""
    equity: Decimal | None
    """Wallet and open profit now; None until the exchange has told the wallet."""
    peak: Decimal | None
    """The highest equity."""


def required_lock(results: TradingResults, settings: GlobalSettings, now_ms: int) -> TradingLock | None:
    """The lock that lasts longest of those the results call for."""
    return max(_reached_limits(results, settings, now_ms), key=lambda lock: lock.until_ms, default=None)


def max_duration_ms(settings: GlobalSettings) -> int:
    """No lock lasts longer."""
    return max(DAY_MS, settings.loss_lock_minutes * _MS_PER_MINUTE)


def day_start(now_ms: int) -> int:
    """Midnight UTC."""
    return now_ms - now_ms % DAY_MS


def drawdown_pct(results: TradingResults) -> Decimal:
    """How far the equity is below its peak; 0 where one of them is unknown."""
    if results.equity is None or not results.peak or results.peak < 0:
        return Decimal(0)
    return max(Decimal(0), (results.peak - results.equity) / results.peak * _PER_CENT)


def _reached_limits(results: TradingResults, settings: GlobalSettings, now_ms: int) -> Iterator[TradingLock]:
    ends_at = now_ms + settings.loss_lock_minutes * _MS_PER_MINUTE
    loss, max_loss = -results.net_today, settings.max_daily_loss_usdt
    if max_loss is not None and loss >= max_loss:
        reason = f"{loss:.2f} USDT were lost today, {max_loss:.2f} are allowed"
        yield TradingLock(LockKind.DAILY_LOSS, reason, max(ends_at, day_start(now_ms) + DAY_MS))
    max_losses = settings.max_consecutive_losses
    if max_losses is not None and results.consecutive_losses >= max_losses:
        yield TradingLock(LockKind.CONSECUTIVE_LOSSES, f"{results.consecutive_losses} exits in a row lost", ends_at)
    drawdown, max_drawdown = drawdown_pct(results), settings.max_drawdown_pct
    if max_drawdown is not None and drawdown >= max_drawdown:
        reason = f"the equity is {drawdown:.2f} % below its peak, {max_drawdown} % are allowed"
        yield TradingLock(LockKind.DRAWDOWN, reason, ends_at)


def parse_lock(stored: Mapping[str, object]) -> TradingLock:
    """A lock as the ledger holds it."""
    return TradingLock(LockKind(str(stored["kind"])), str(stored["reason"]), int(str(stored["until_ms"])))


log = logging.getLogger("hunter.risk")

_STATE = "lock"
_CLOCK_STEP_MS = 2_000


class LossLimits:
    """One lock at a time. Its end is measured by a clock that cannot be set: a step of the wall clock moves
    ``until_ms`` along and never the end; only over a restart the wall clock counts."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._lock: TradingLock | None = None
        self._ends_at = 0
        """Monotonic."""
        self._peak: Decimal | None = None
        # After a lock its own limit is counted anew, by what was booked and not by the time: a clock may be set.
        self._counted_after_fill = 0
        """Number of a fill."""
        self._baseline = (0, Decimal(0))
        """A day, and its net that counts no more."""
        # Results are the same until something is booked: thousands of fills are not added up each second.
        self._net: tuple[tuple[int, int], Decimal] | None = None
        self._recent_exits: tuple[tuple[int, int, int], list[Decimal]] | None = None

    def restore(self) -> None:
        """Take up what the last run of this mode left."""
        known = self._context.store.get_state(self._context.mode_key(_STATE))
        if known is None:
            return
        self._counted_after_fill = int(known["exits_after"])
        self._baseline = (int(known["forgiven_day"]), Decimal(known["forgiven_net"]))
        self._peak = None if known["peak"] is None else Decimal(known["peak"])
        if known["lock"] is not None:
            self._start(parse_lock(known["lock"]))

    def check(self) -> None:
        """Once a second: end what has run out, begin what the results call for.

        Not while the ledger cannot be written: it lacks the newest results, and no entry is made anyhow.
        """
        if self._context.store.error is not None:
            return
        before = self._lock, self._peak
        self._check_expiry()
        self._update_peak()
        results = self._results() if self._lock is None else None
        if results is not None:
            lock = required_lock(results, self._context.settings.globals_, self._context.clock.now_ms())
            if lock is not None:
                self._start(lock)
                self._context.warn(lock.message)
        if (self._lock, self._peak) != before:
            self._save()

    def release(self) -> str | None:
        """A person resumes: the lock ends now, and its limit is counted anew. What was lifted is returned; None
        where the ledger cannot tell from where to count: the lock would begin anew."""
        released = self._lock
        if released is None or not self._clear(released):
            return None
        self._save()
        return released.reason

    def _check_expiry(self) -> None:
        if self._lock is None:
            return
        remaining_ms = self._ends_at - self._context.clock.monotonic_ms()
        if remaining_ms <= 0:
            reason = self._lock.reason
            if self._clear(self._lock):
                log.warning("the lock has ended: %s", reason)
                self._context.journal("alert", {"level": "info", "message": f"the lock has ended: {reason}"})
            return
        until_ms = self._context.clock.now_ms() + remaining_ms
        if abs(until_ms - self._lock.until_ms) > _CLOCK_STEP_MS:
            self._start(replace(self._lock, until_ms=until_ms))

    def _start(self, lock: TradingLock) -> None:
        """A lock that the ledger says to last longer than any can was written by a clock that was wrong: it is cut."""
        now_ms = self._context.clock.now_ms()
        remaining_ms = min(lock.until_ms - now_ms, max_duration_ms(self._context.settings.globals_))
        self._lock = lock = replace(lock, until_ms=now_ms + remaining_ms)
        self._ends_at = self._context.clock.monotonic_ms() + remaining_ms
        self._context.trading_status.block(EntryBlock.LOSS_LIMIT, lock.message)

    def _clear(self, lock: TradingLock) -> bool:
        """False where the ledger cannot be read now: the lock stays."""
        match lock.kind:
            case LockKind.DAILY_LOSS:
                net = self._net_for_day()
                if net is None:
                    return False
                self._baseline = self._day_start_ms, net
            case LockKind.CONSECUTIVE_LOSSES:
                newest = self._context.store.read_or_default(newest_fill_id)
                if newest is None:
                    return False
                self._counted_after_fill = newest
            case LockKind.DRAWDOWN:
                self._peak = self._equity()
            case _:
                assert_never(lock.kind)
        self._lock = None
        self._context.trading_status.clear(EntryBlock.LOSS_LIMIT)
        return True

    def _update_peak(self) -> None:
        """The peak is kept while the limit is set, and not touched by a lock of another kind."""
        equity = self._equity()
        if self._context.settings.globals_.max_drawdown_pct is None:
            self._peak = None
        elif equity is not None:
            self._peak = equity if self._peak is None else max(self._peak, equity)

    def _equity(self) -> Decimal | None:
        account = self._context.account
        return None if account is None else account.wallet_balance + self._context.unrealized_pnl()

    def _results(self) -> TradingResults | None:
        """None where the ledger cannot be read now: what is not known calls for nothing."""
        net, losses = self._net_today(), self._consecutive_losses()
        return None if net is None or losses is None else TradingResults(net, losses, self._equity(), self._peak)

    def _net_today(self) -> Decimal | None:
        if self._context.settings.globals_.max_daily_loss_usdt is None:
            return Decimal(0)
        day, baseline = self._baseline
        net = self._net_for_day()
        return None if net is None else net - (baseline if day == self._day_start_ms else Decimal(0))

    def _net_for_day(self) -> Decimal | None:
        known = self._day_start_ms, self._context.store.results_version
        if self._net is None or self._net[0] != known:
            query = partial(net_since, since_ms=self._day_start_ms, is_simulated=self._context.is_simulated)
            net = self._context.store.read_or_default(query)
            if net is None or self._context.store.error is not None:  # it lacks what waits to be written
                return net
            self._net = known, net
        return self._net[1]

    def _consecutive_losses(self) -> int | None:
        most = self._context.settings.globals_.max_consecutive_losses
        if most is None:
            return 0
        known = self._counted_after_fill, most, self._context.store.results_version
        if self._recent_exits is None or self._recent_exits[0] != known:
            query = partial(
                recent_exits, fill_id=self._counted_after_fill, limit=most, is_simulated=self._context.is_simulated
            )
            exits = self._context.store.read_or_default(query)
            if exits is None:
                return None
            self._recent_exits = known, exits
        return len(list(takewhile(lambda result: result < 0, self._recent_exits[1])))

    def _save(self) -> None:
        state = {
            "lock": None if self._lock is None else asdict(self._lock),
            "peak": self._peak,
            "exits_after": self._counted_after_fill,
            "forgiven_day": self._baseline[0],
            "forgiven_net": self._baseline[1],
        }
        self._context.store.set_state(self._context.mode_key(_STATE), state)

    @property
    def _day_start_ms(self) -> int:
        return day_start(self._context.clock.now_ms())
