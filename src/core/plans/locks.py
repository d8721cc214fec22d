"""Has enough been lost to stop for a while? Pure: results and limits in, a lock with its end out (I23)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from src.utils.config import GlobalSettings

DAY_MS = 86_400_000
_MS_PER_MINUTE = 60_000
_PER_CENT = Decimal(100)


class LockKind(StrEnum):
    """Which limit was reached; the value is the setting's name."""

    DAILY_LOSS = "max_daily_loss_usdt"
    STOPS = "max_consecutive_stops"
    DRAWDOWN = "max_drawdown_pct"


@dataclass(frozen=True, slots=True)
class Lock:
    """No entries until then."""

    kind: LockKind
    reason: str
    until_ms: int

    @property
    def sentence(self) -> str:
        until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
        return f"locked until {until:%Y-%m-%d %H:%M} UTC: {self.reason}; resume lifts it"


@dataclass(frozen=True, slots=True)
class Results:
    """What trading brought since counting began. Amounts in the quote asset."""

    net_today: Decimal
    """Realised profit less fees, and funding, of the UTC day."""
    losses_in_a_row: int
    """Exits that lost, since the last one that did not."""
    equity: Decimal | None
    """Wallet and open profit now; None until the exchange has told the wallet."""
    peak: Decimal | None
    """The highest equity."""


def lock_for(results: Results, settings: GlobalSettings, now_ms: int) -> Lock | None:
    """The lock that lasts longest of those the results call for."""
    return max(_locks(results, settings, now_ms), key=lambda lock: lock.until_ms, default=None)


def longest_ms(settings: GlobalSettings) -> int:
    """No lock lasts longer."""
    return max(DAY_MS, settings.lock_minutes * _MS_PER_MINUTE)


def day_start(now_ms: int) -> int:
    """Midnight UTC."""
    return now_ms - now_ms % DAY_MS


def drawdown_pct(results: Results) -> Decimal:
    """How far the equity is below its peak; 0 where one of them is unknown."""
    if results.equity is None or not results.peak or results.peak < 0:
        return Decimal(0)
    return max(Decimal(0), (results.peak - results.equity) / results.peak * _PER_CENT)


def _locks(results: Results, settings: GlobalSettings, now_ms: int) -> Iterator[Lock]:
    ends_at = now_ms + settings.lock_minutes * _MS_PER_MINUTE
    loss, most = -results.net_today, settings.max_daily_loss_usdt
    if most is not None and loss >= most:
        reason = f"{loss:.2f} USDT were lost today, {most:.2f} are allowed"
        yield Lock(LockKind.DAILY_LOSS, reason, max(ends_at, day_start(now_ms) + DAY_MS))
    row = settings.max_consecutive_stops
    if row is not None and results.losses_in_a_row >= row:
        yield Lock(LockKind.STOPS, f"{results.losses_in_a_row} exits in a row lost", ends_at)
    fall, deepest = drawdown_pct(results), settings.max_drawdown_pct
    if deepest is not None and fall >= deepest:
        reason = f"the equity is {fall:.2f} % below its peak, {deepest} % are allowed"
        yield Lock(LockKind.DRAWDOWN, reason, ends_at)


def lock_from(stored: Mapping[str, object]) -> Lock:
    """A lock as the ledger holds it."""
    return Lock(LockKind(str(stored["kind"])), str(stored["reason"]), int(str(stored["until_ms"])))
