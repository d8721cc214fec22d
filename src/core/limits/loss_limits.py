"""Loss limits: entries are locked for a while after a limit is reached, across restarts (I23)."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import takewhile
from typing import assert_never

from src.core.account import wallet
from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.database.queries.fills import net_since, newest_fill_id, recent_exits
from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.numbers import PER_CENT, ZERO
from src.settings.config import GlobalSettings

log = logging.getLogger("hunter.risk")

_STATE = "loss_lock"
_CLOCK_STEP_MS = 2_000


class LockKind(StrEnum):
    """Which limit was reached; the value is the name of its setting."""

    DAILY_LOSS = "max_daily_loss_usdt"
    CONSECUTIVE_LOSSES = "max_consecutive_losses"
    DRAWDOWN = "max_drawdown_pct"


@dataclass(frozen=True, slots=True)
class TradingLock:
    """No entries until ``until_ms``."""

    kind: LockKind
    reason: str
    until_ms: int

    @property
    def message(self) -> str:
        until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
        return f"locked until {until:%Y-%m-%d %H:%M} UTC: {self.reason}; resume to release it"


@dataclass(frozen=True, slots=True)
class TradingResults:
    """Trading results that the limits apply to. Amounts in dollars."""

    net_today: Decimal
    """Realized profit minus fees plus funding of the current UTC day; amounts of unknown value are left out."""
    consecutive_losses: int
    """Losing exits since the last one that did not lose."""
    equity: Decimal | None
    """Wallet balance plus unrealized profit; None until the wallet balance is known."""
    peak: Decimal | None
    """Highest equity so far."""


def required_lock(results: TradingResults, settings: GlobalSettings, now_ms: int) -> TradingLock | None:
    """The longest lock among the limits reached, or None."""
    return max(_reached_limits(results, settings, now_ms), key=lambda lock: lock.until_ms, default=None)


def max_duration_ms(settings: GlobalSettings) -> int:
    """Longest possible duration of a lock."""
    return max(DAY_MS, settings.loss_lock_minutes * MINUTE_MS)


def day_start(now_ms: int) -> int:
    """Midnight UTC."""
    return now_ms - now_ms % DAY_MS


def drawdown_pct(results: TradingResults) -> Decimal:
    """Percentage by which equity is below its peak; 0 if either is unknown."""
    if results.equity is None or not results.peak or results.peak < 0:
        return ZERO
    return max(ZERO, (results.peak - results.equity) / results.peak * PER_CENT)


def _reached_limits(results: TradingResults, settings: GlobalSettings, now_ms: int) -> Iterator[TradingLock]:
    ends_at = now_ms + settings.loss_lock_minutes * MINUTE_MS
    loss, max_loss = -results.net_today, settings.max_daily_loss_usdt
    if max_loss is not None and loss >= max_loss:
        reason = f"lost {loss:.2f} USDT today, limit {max_loss:.2f}"
        yield TradingLock(LockKind.DAILY_LOSS, reason, max(ends_at, day_start(now_ms) + DAY_MS))
    max_losses = settings.max_consecutive_losses
    if max_losses is not None and results.consecutive_losses >= max_losses:
        yield TradingLock(LockKind.CONSECUTIVE_LOSSES, f"{results.consecutive_losses} losing exits in a row", ends_at)
    drawdown, max_drawdown = drawdown_pct(results), settings.max_drawdown_pct
    if max_drawdown is not None and drawdown >= max_drawdown:
        reason = f"equity {drawdown:.2f} % below its peak, limit {max_drawdown} %"
        yield TradingLock(LockKind.DRAWDOWN, reason, ends_at)


def parse_lock(stored: Mapping[str, object]) -> TradingLock:
    """Load a lock from its stored form."""
    return TradingLock(LockKind(str(stored["kind"])), str(stored["reason"]), int(str(stored["until_ms"])))


class LossLimits:
    """Starts and ends at most one lock at a time.

    Its duration is measured by the monotonic clock: if the wall clock is set, ``until_ms`` is adjusted. Only across a
    restart does the wall clock count.
    """

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._lock: TradingLock | None = None
        self._ends_at = 0
        """Monotonic time."""
        self._peak: Decimal | None = None
        self._peak_assets: wallet.Assets | None = None
        """The assets whose equity the peak is of; None if it is not known."""
        self._transfers = ZERO
        """Net transfers by which the peak was shifted already."""
        self._is_drawdown_doubtful = False
        """The lock started on a drawdown that a transfer may explain which the history has not shown yet."""
        # After a lock its limit counts again from a recorded fill or amount, not from a time, as clocks may be set.
        self._counted_after_fill = 0
        """Id of the last fill that does not count."""
        self._baseline = (0, ZERO)
        """A UTC day and the part of its net result that no longer counts."""
        # Cached until a new result is recorded, so that fills are not summed up every second.
        self._net: tuple[tuple[int, int], Decimal] | None = None
        self._recent_exits: tuple[tuple[int, int, int], list[Decimal]] | None = None

    def restore(self) -> None:
        """Load the state of the last run in this mode."""
        known = self._context.store.get_state(self._context.mode_key(_STATE))
        if known is None:
            return
        self._counted_after_fill = int(known["counted_until_fill_id"])
        self._baseline = (int(known["baseline_day"]), Decimal(known["baseline_net"]))
        self._peak = None if known["peak"] is None else Decimal(known["peak"])
        self._peak_assets = None if known.get("peak_assets") is None else tuple(known["peak_assets"])
        self._transfers = Decimal(known.get("transfers", 0))
        if known["active"] is not None:
            self._start(parse_lock(known["active"]))

    def check(self) -> None:
        """Called every second: end an expired lock, start one if a limit is reached.

        Does nothing while the database cannot be written: it lacks the newest results, and entries are blocked anyway.
        """
        if self._context.store.error is not None:
            return
        before = self._lock, self._peak, self._peak_assets, self._transfers
        self._check_expiry()
        self._update_peak()
        self._recheck_drawdown()
        results = self._results() if self._lock is None else None
        if results is not None:
            lock = required_lock(results, self._context.settings.globals_, self._context.clock.now_ms())
            if lock is not None:
                self._start(lock)
                is_unknown = self._context.transfers_unknown_since is not None
                self._is_drawdown_doubtful = is_unknown and lock.kind is LockKind.DRAWDOWN
                self._context.warn(lock.message)
        if (self._lock, self._peak, self._peak_assets, self._transfers) != before:
            self._save()

    def release(self) -> str | None:
        """End the lock after a resume and start counting its limit again; returns the reason of the released lock.

        None if there was no lock, or if the database cannot be read: the lock would start again at once.
        """
        released = self._lock
        if released is None or not self._clear(released):
            return None
        self._save()
        return released.reason

    def _recheck_drawdown(self) -> None:
        """End a lock whose drawdown a transfer explains that has become known since."""
        lock, limit = self._lock, self._context.settings.globals_.max_drawdown_pct
        if not self._is_drawdown_doubtful or self._context.transfers_unknown_since is not None:
            return
        self._is_drawdown_doubtful = False
        drawdown = drawdown_pct(TradingResults(ZERO, 0, self._equity(), self._peak))
        if lock is not None and lock.kind is LockKind.DRAWDOWN and limit is not None and drawdown < limit:
            self._lock = None
            self._context.trading_status.clear(EntryBlock.LOSS_LIMIT)
            self._context.warn(f"a transfer explains the drawdown: the lock ends ({lock.reason})")

    def _check_expiry(self) -> None:
        if self._lock is None:
            return
        remaining_ms = self._ends_at - self._context.clock.monotonic_ms()
        if remaining_ms <= 0:
            reason = self._lock.reason
            if self._clear(self._lock):
                log.warning("trading lock ended reason=%s", reason)
                self._context.journal("alert", {"level": "info", "message": f"trading lock ended: {reason}"})
            return
        until_ms = self._context.clock.now_ms() + remaining_ms
        if abs(until_ms - self._lock.until_ms) > _CLOCK_STEP_MS:
            self._start(replace(self._lock, until_ms=until_ms))

    def _start(self, lock: TradingLock) -> None:
        """Start ``lock``, limited to the longest possible duration in case its end was saved by a wrong clock."""
        now_ms = self._context.clock.now_ms()
        remaining_ms = min(lock.until_ms - now_ms, max_duration_ms(self._context.settings.globals_))
        self._lock = lock = replace(lock, until_ms=now_ms + remaining_ms)
        self._ends_at = self._context.clock.monotonic_ms() + remaining_ms
        self._context.trading_status.block(EntryBlock.LOSS_LIMIT, lock.message)

    def _clear(self, lock: TradingLock) -> bool:
        """End the lock and reset its limit; False, leaving the lock, if the database cannot be read."""
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
        """Track the equity peak while the drawdown limit is set; locks of other kinds do not reset it."""
        equity = self._equity()
        self._shift_peak()
        if self._context.settings.globals_.max_drawdown_pct is None:
            self._peak = None
        elif equity is not None and self._context.transfers_unknown_since is None:
            self._peak = equity if self._peak is None else max(self._peak, equity)

    def _shift_peak(self) -> None:
        """Move the peak by what is no result: transfers, and assets that begin or cease to belong to the wallet."""
        context, assets = self._context, wallet.margin_assets(self._context)
        before, now = (wallet.wallet_balance(context, each) for each in (self._peak_assets or (), assets))
        if now is None:
            return
        shift = context.transfers - self._transfers
        if self._peak_assets not in (None, assets) and before is not None:
            shift += now - before
        self._peak_assets, self._transfers = assets, context.transfers
        if shift and self._peak is not None:
            self._peak += shift
            log.info("equity peak shifted by=%s peak=%s", shift, self._peak)

    def _equity(self) -> Decimal | None:
        return wallet.equity(self._context)

    def _results(self) -> TradingResults | None:
        """Current results; None if the database cannot be read, so that no lock starts on unknown results."""
        net, losses = self._net_today(), self._consecutive_losses()
        if net is None or losses is None:
            return None
        return TradingResults(net, losses, self._equity(), None if self._is_peak_unknown() else self._peak)

    def _is_peak_unknown(self) -> bool:
        """Whether a transfer may look like a drawdown; for a minute at most, then the limit counts as it is."""
        since = self._context.transfers_unknown_since
        return since is not None and self._context.clock.monotonic_ms() - since < MINUTE_MS

    def _net_today(self) -> Decimal | None:
        if self._context.settings.globals_.max_daily_loss_usdt is None:
            return ZERO
        day, baseline = self._baseline
        net = self._net_for_day()
        return None if net is None else net - (baseline if day == self._day_start_ms else ZERO)

    def _net_for_day(self) -> Decimal | None:
        known = self._day_start_ms, self._context.store.results_version
        if self._net is None or self._net[0] != known:
            query = partial(net_since, since_ms=self._day_start_ms, is_simulated=self._context.is_simulated)
            net = self._context.store.read_or_default(query)
            if net is None or self._context.store.error is not None:  # pending writes are missing, so do not cache it
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
            "active": None if self._lock is None else asdict(self._lock),
            "peak": self._peak,
            "peak_assets": self._peak_assets,
            "transfers": self._transfers,
            "counted_until_fill_id": self._counted_after_fill,
            "baseline_day": self._baseline[0],
            "baseline_net": self._baseline[1],
        }
        self._context.store.set_state(self._context.mode_key(_STATE), state)

    @property
    def _day_start_ms(self) -> int:
        return day_start(self._context.clock.now_ms())
