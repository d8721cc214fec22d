"""PnL, fees and funding by day, symbol and round trip, as exact Decimal sums.

Fees and funding are signed: amounts paid are negative, so that realised PnL, fees and funding add up to the net PnL.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from src.api.round_trips import RoundTrip, round_trips, signed_amounts, signed_fee, uncounted_amounts
from src.database.queries.account import equity, positions
from src.database.queries.fills import ExternalIncome, FillRecord, FundingRecord, external_income, fills, funding
from src.domain.clock import DAY_MS
from src.domain.enums import IncomeType
from src.domain.numbers import ZERO

_CURVE_POINTS = 500
_CENT = Decimal("0.01")
_DIGITS = Decimal("0.00000001")


@dataclass(slots=True)
class Result:
    """The totals of a set of trades."""

    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    funding_fee: Decimal = ZERO
    trades: int = 0
    """Closed round trips."""
    winning_trades: int = 0
    losing_trades: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    best_trade: Decimal | None = None
    worst_trade: Decimal | None = None
    not_included: list[str] = field(default_factory=list)
    """What is in none of the sums: amounts in assets of unknown price, transfers, a person's own funding."""

    @property
    def net_pnl(self) -> Decimal:
        return self.realized_pnl + self.commission + self.funding_fee

    @property
    def win_rate(self) -> float:
        """Percent of round trips with a profit after all costs."""
        return round(100 * self.winning_trades / self.trades, 2) if self.trades else 0.0

    @property
    def profit_factor(self) -> Decimal | None:
        """Gross profit divided by gross loss; None without a loss."""
        return (self.gross_profit / -self.gross_loss).quantize(_CENT) if self.gross_loss else None

    def add_external(self, income: ExternalIncome) -> None:
        """Count the result of a manual trade in a position of the bot."""
        if income.type == IncomeType.COMMISSION:
            self.commission += income.value or ZERO
        else:
            self.realized_pnl += income.value or ZERO

    def add_trip(self, trip: RoundTrip) -> None:
        net = trip.net_pnl
        self.trades += 1
        self.winning_trades += net > 0
        self.losing_trades += net < 0
        self.gross_profit += max(net, ZERO)
        self.gross_loss += min(net, ZERO)
        self.best_trade = net if self.best_trade is None else max(self.best_trade, net)
        self.worst_trade = net if self.worst_trade is None else min(self.worst_trade, net)

    def to_json(self) -> dict[str, Any]:
        derived = {"net_pnl": self.net_pnl, "win_rate": self.win_rate, "profit_factor": self.profit_factor}
        return {**asdict(self), **derived}


@dataclass(frozen=True, slots=True)
class Period:
    """All fills, funding payments and other income since ``since_ms``, and the round trips closed since."""

    since_ms: int
    fills: Sequence[FillRecord]
    funding: Sequence[FundingRecord]
    external: Sequence[ExternalIncome]
    external_funding: Sequence[FundingRecord]
    trips: Sequence[RoundTrip]
    """Round trips closed in the period, whenever they were opened."""

    def results_by(self, key_of: Callable[[int, str], str]) -> dict[str, Result]:
        """Results grouped by ``key_of(time_ms, symbol)``."""
        found: dict[str, Result] = {}
        for fill in self.fills:
            result = found.setdefault(key_of(fill.traded_at, fill.symbol), Result())
            result.realized_pnl += fill.realized_pnl
            result.commission += signed_fee(fill)
        for payment in self.funding:
            result = found.setdefault(key_of(payment.paid_at, payment.symbol), Result())
            result.funding_fee += payment.value or ZERO
        for income in self.external:
            if not income.is_transfer:
                result = found.setdefault(key_of(income.paid_at, income.symbol), Result())
                result.add_external(income)
        for trip in self.trips:
            found.setdefault(key_of(trip.closed_at or 0, trip.symbol), Result()).add_trip(trip)
        return found

    def total(self) -> Result:
        result = self.results_by(lambda _at, _symbol: "").get("", Result())
        transfers = signed_amounts((each.asset, each.amount) for each in self.external if each.is_transfer)
        moved = (f"deposits and withdrawals {each}" for each in transfers)
        theirs = signed_amounts((each.asset, each.amount) for each in self.external_funding)
        funded = (f"funding of your own positions {each}" for each in theirs)
        result.not_included = [*uncounted_amounts(self.fills, self.funding), *moved, *funded]
        return result


class PnlTracker:
    """Reads the trades of one mode: paper and live results are never mixed."""

    def __init__(self, connection: Connection, *, is_simulated: bool) -> None:
        self._connection = connection
        self._is_simulated = is_simulated

    def period(self, since_ms: int) -> Period:
        every_fill, every_payment, every_income, their_funding = self._load(0)
        held = {(row.symbol, row.position_side) for row in positions(self._connection)}
        trips = round_trips(every_fill, every_payment, every_income, held)
        return Period(
            since_ms,
            [fill for fill in every_fill if fill.traded_at >= since_ms],
            [payment for payment in every_payment if payment.paid_at >= since_ms],
            [income for income in every_income if income.paid_at >= since_ms],
            [payment for payment in their_funding if payment.paid_at >= since_ms],
            [trip for trip in trips if trip.closed_at is not None and trip.closed_at >= since_ms],
        )

    def today(self, now_ms: int) -> dict[str, Any]:
        """The result since midnight UTC. Reads only records since then, because every poll calls it."""
        since_ms = now_ms - now_ms % DAY_MS
        total = Period(since_ms, *self._load(since_ms), ()).total()
        return {
            "realized_pnl": total.realized_pnl,
            "commission": total.commission,
            "funding": total.funding_fee,
            "net": total.net_pnl,
            "not_included": total.not_included,
        }

    def _load(
        self, since_ms: int
    ) -> tuple[list[FillRecord], list[FundingRecord], list[ExternalIncome], list[FundingRecord]]:
        every_fill, every_payment = fills(self._connection, since_ms), funding(self._connection, since_ms)
        every_income = external_income(self._connection, since_ms)
        their_funding = funding(self._connection, since_ms, is_external=True)
        return (
            [fill for fill in every_fill if fill.is_simulated == self._is_simulated],
            [payment for payment in every_payment if payment.is_simulated == self._is_simulated],
            [income for income in every_income if income.is_simulated == self._is_simulated],
            [payment for payment in their_funding if payment.is_simulated == self._is_simulated],
        )

    def stats(self, days: int, now_ms: int) -> dict[str, Any]:
        """Results of the last ``days`` UTC days, including today."""
        period = self.period(first_day(days, now_ms))
        by_day = period.results_by(lambda at, _symbol: day_of(at))
        total = period.total()
        return {
            "days": days,
            "since": period.since_ms,
            "totals": total.to_json(),
            "daily": [{"date": day, **by_day[day].to_json()} for day in sorted(by_day)],
            "exits": exits_by_reason(period.trips),
            "equity": self._curve(period.since_ms),
            "daily_stats": [legacy_day(day, by_day[day]) for day in sorted(by_day, reverse=True)],
            "summary": legacy_summary(total, days),
        }

    def by_symbol(self, days: int, now_ms: int) -> list[dict[str, Any]]:
        """Results by symbol, most profitable first."""
        found = self.period(first_day(days, now_ms)).results_by(lambda _at, symbol: symbol)
        ranked = sorted(found.items(), key=lambda item: (-item[1].net_pnl, item[0]))
        return [{"symbol": symbol, **result.to_json(), **_legacy_result(result)} for symbol, result in ranked]

    def _curve(self, since_ms: int) -> list[dict[str, Any]]:
        rows = equity(self._connection, since_ms, _CURVE_POINTS)
        return [{"at": row.recorded_at, "equity": row.margin_balance, "wallet": row.wallet_balance} for row in rows]


def first_day(days: int, now_ms: int) -> int:
    return now_ms - now_ms % DAY_MS - (days - 1) * DAY_MS


def day_of(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def exits_by_reason(trips: Iterable[RoundTrip]) -> list[dict[str, Any]]:
    """The number and net PnL of round trips per exit reason, most frequent first."""
    counts: Counter[str] = Counter()
    net: dict[str, Decimal] = {}
    for trip in trips:
        reason = trip.exit_reason or ""
        counts[reason] += 1
        net[reason] = net.get(reason, ZERO) + trip.net_pnl
    return [{"reason": reason, "trades": count, "net_pnl": net[reason]} for reason, count in counts.most_common()]


def legacy_summary(total: Result, days: int) -> dict[str, Any]:
    """The totals under the keys of the older bot's API."""
    return {
        "total_realized_pnl": total.realized_pnl,
        "total_funding_fees": total.funding_fee,
        "total_commissions": total.commission,
        "total_pnl": total.net_pnl,
        "total_trades": total.trades,
        "total_wins": total.winning_trades,
        "total_losses": total.losing_trades,
        "win_rate": total.win_rate,
        "best_trade": total.best_trade or ZERO,
        "worst_trade": total.worst_trade or ZERO,
        "average_pnl": (total.net_pnl / days).quantize(_DIGITS),
    }


def legacy_day(day: str, result: Result) -> dict[str, Any]:
    return {
        "date": day,
        "realized_pnl": result.realized_pnl,
        **_legacy_result(result),
        "trade_count": result.trades,
        "win_count": result.winning_trades,
        "loss_count": result.losing_trades,
        "largest_win": result.best_trade or ZERO,
        "largest_loss": result.worst_trade or ZERO,
    }


def _legacy_result(result: Result) -> dict[str, Any]:
    return {
        "funding_fees": result.funding_fee,
        "commissions": result.commission,
        "total_pnl": result.net_pnl,
        "total_trades": result.trades,
        "wins": result.winning_trades,
        "losses": result.losing_trades,
    }
