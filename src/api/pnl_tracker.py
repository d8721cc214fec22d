"""PnL, fees and funding by day, symbol and round trip, as exact Decimal sums.

Fees and funding are signed: amounts paid are negative, so that realised PnL, fees and funding add up to the net PnL.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from src.database.queries.account import equity
from src.database.queries.results import daily_results
from src.database.results import SUMS, THEIR_FUNDING, TRANSFERS, UNCOUNTED, Result
from src.database.round_trips import signed_amounts
from src.domain.clock import DAY_MS
from src.domain.numbers import ZERO

_CURVE_POINTS = 500
_CENT = Decimal("0.01")
_DIGITS = Decimal("0.00000001")


class PnlTracker:
    """Reads the trades of one mode: paper and live results are never mixed."""

    def __init__(self, connection: Connection, *, is_simulated: bool) -> None:
        self._connection = connection
        self._is_simulated = is_simulated

    def _results(self, since_day: int) -> list[tuple[int, str, Result]]:
        return daily_results(self._connection, since_day, is_simulated=self._is_simulated)

    def today(self, now_ms: int) -> dict[str, Any]:
        """The result since midnight UTC."""
        total = _total(result for _, _, result in self._results(now_ms - now_ms % DAY_MS))
        return {
            "realized_pnl": total.realized_pnl,
            "commission": total.commission,
            "funding": total.funding_fee,
            "net": total.net_pnl,
            "not_included": not_included(total),
        }

    def stats(self, days: int, now_ms: int) -> dict[str, Any]:
        """Results of the last ``days`` UTC days, including today."""
        since = first_day(days, now_ms)
        every_day: defaultdict[int, Result] = defaultdict(Result)
        for day, _, result in self._results(since):
            every_day[day].add(result)
        total = _total(every_day.values())
        by_day = {day_of(day): result for day, result in every_day.items() if result.is_listed}
        return {
            "days": days,
            "since": since,
            "totals": result_json(total),
            "daily": [{"date": day, **result_json(by_day[day])} for day in sorted(by_day)],
            "exits": exits_by_reason(total),
            "equity": self._curve(since),
            "daily_stats": [legacy_day(day, by_day[day]) for day in sorted(by_day, reverse=True)],
            "summary": legacy_summary(total, days),
        }

    def by_symbol(self, days: int, now_ms: int) -> list[dict[str, Any]]:
        """Results by symbol, most profitable first."""
        found: defaultdict[str, Result] = defaultdict(Result)
        for _, symbol, result in self._results(first_day(days, now_ms)):
            if result.is_listed:
                found[symbol].add(result)
        ranked = sorted(found.items(), key=lambda item: (-item[1].net_pnl, item[0]))
        return [{"symbol": symbol, **result_json(result), **_legacy_result(result)} for symbol, result in ranked]

    def _curve(self, since_ms: int) -> list[dict[str, Any]]:
        rows = equity(self._connection, since_ms, _CURVE_POINTS)
        return [{"at": row.recorded_at, "equity": row.margin_balance, "wallet": row.wallet_balance} for row in rows]


def _total(results: Iterable[Result]) -> Result:
    total = Result()
    for each in results:
        total.add(each)
    return total


def first_day(days: int, now_ms: int) -> int:
    return now_ms - now_ms % DAY_MS - (days - 1) * DAY_MS


def day_of(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def exits_by_reason(total: Result) -> list[dict[str, Any]]:
    """The number and net PnL of round trips per exit reason, most frequent first."""
    ranked = sorted(total.exits.items(), key=lambda item: -item[1][0])
    return [{"reason": reason, "trades": count, "net_pnl": net} for reason, (count, net) in ranked]


def not_included(result: Result) -> list[str]:
    """What is in none of the sums: amounts in assets of unknown price, transfers, a person's own funding."""
    moved = (f"deposits and withdrawals {each}" for each in signed_amounts(result.amounts[TRANSFERS].items()))
    funded = (f"funding of your own positions {each}" for each in signed_amounts(result.amounts[THEIR_FUNDING].items()))
    return [*signed_amounts(result.amounts[UNCOUNTED].items()), *moved, *funded]


def result_json(result: Result) -> dict[str, Any]:
    derived = {"net_pnl": result.net_pnl, "win_rate": win_rate(result), "profit_factor": profit_factor(result)}
    return {**{name: getattr(result, name) for name in SUMS}, "not_included": not_included(result), **derived}


def win_rate(result: Result) -> float:
    """Percent of round trips with a profit after all costs."""
    return round(100 * result.winning_trades / result.trades, 2) if result.trades else 0.0


def profit_factor(result: Result) -> Decimal | None:
    """Gross profit divided by gross loss; None without a loss."""
    return (result.gross_profit / -result.gross_loss).quantize(_CENT) if result.gross_loss else None


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
        "win_rate": win_rate(total),
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
