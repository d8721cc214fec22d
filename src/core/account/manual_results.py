"""Results of trades by hand in the bot's positions, and fees of its own fills that were reported without one."""

import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from src.core.account.holding_times import HoldingTimes
from src.core.account.income_reader import IncomeReader
from src.core.context import TraderContext
from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.enums import IncomeType
from src.domain.positions import Income

log = logging.getLogger("hunter.account")

RESULT_TYPES = (IncomeType.REALIZED_PNL, IncomeType.COMMISSION, IncomeType.INSURANCE_CLEAR)
"""The income types that make up the result of a trade."""
_FEES_EVERY_MS = 10 * MINUTE_MS
_FEES_SINCE_MS = DAY_MS
"""How old a fill without a fee may be that is asked for again after a restart."""


class ManualResults:
    """Completes what the bot's own fills do not say about the result of its positions."""

    def __init__(self, context: TraderContext, reader: IncomeReader, holding_times: HoldingTimes) -> None:
        self._context = context
        self._reader = reader
        self._holding_times = holding_times
        self._since: dict[str, int] = {}
        """Symbols whose results of manual trades are being completed, and since when, ms UTC."""
        self._not_of_bot: dict[str, set[int]] = {}
        """By symbol: trades on another position side than those that are being completed."""

    def restore(self, known: dict[str, Any]) -> None:
        self._context.fills_without_fee.update(
            self._context.store.fills_without_fee(self._context.clock.now_ms() - _FEES_SINCE_MS)
        )
        other_trades = known.get("other_side_trades", {})
        for symbol, since_ms in known.get("results_since", {}).items():
            self.complete(symbol, since_ms, other_trades.get(symbol, ()))

    def state(self) -> dict[str, object]:
        other_trades = {symbol: sorted(trades) for symbol, trades in self._not_of_bot.items()}
        return {"results_since": self._since, "other_side_trades": other_trades}

    def complete(self, symbol: str, since_ms: int, other_side_trades: Iterable[int] = ()) -> None:
        """Store the results of all trades of the symbol since an instant that are not our own fills.

        A row of the history names no position side: ``other_side_trades`` are left out, which a person made in hedge
        mode on the side that is not completed.
        """
        others = set(other_side_trades)
        self._not_of_bot[symbol] = others & self._not_of_bot[symbol] if symbol in self._since else others
        self._since[symbol] = since_ms = min(since_ms, self._since.get(symbol, since_ms))
        for kind in RESULT_TYPES:
            is_wanted = None if kind is IncomeType.INSURANCE_CLEAR else self._is_wanted
            self._reader.request((kind, symbol), since_ms, is_wanted=is_wanted)

    def record(self, income: Income, value: Decimal | None) -> None:
        """Store a row if it completes a fee of ours, or is a manual trade in a position of the bot."""
        if income.type == IncomeType.COMMISSION and self._context.store.complete_fee(income, value):
            return
        is_trade = income.trade_id is not None or income.type == IncomeType.INSURANCE_CLEAR
        if not is_trade or self._context.store.has_trade(income.symbol, income.trade_id or 0):
            return
        if income.trade_id in self._not_of_bot.get(income.symbol, ()):
            return
        if not self._holding_times.is_held(income.symbol, income.paid_at):
            return  # after a person took the position over, or before it was opened
        if self._reader.is_new(income) and self._context.store.record_external_income(income, value):
            log.info("result of a manual trade symbol=%s type=%s amount=%s", income.symbol, income.type, income.amount)

    def on_answer(self, symbol: str) -> None:
        """Forget a symbol once its results are complete."""
        if not self._reader.is_reading(*((kind, symbol) for kind in RESULT_TYPES)):
            self._since.pop(symbol, None)
            self._not_of_bot.pop(symbol, None)

    def request_missing_fees(self) -> None:
        """Ask for the commission of fills that were reported without one, at most every ten minutes per symbol."""
        for symbol, since_ms in list(self._context.fills_without_fee.items()):
            if self._context.may_request(f"fees {symbol}", _FEES_EVERY_MS):
                del self._context.fills_without_fee[symbol]
                self._reader.request((IncomeType.COMMISSION, symbol), since_ms, is_wanted=self._is_wanted)

    def _is_wanted(self, income: Income) -> bool:
        """Whether a row is of a manual trade, or may be the fee of a fill of ours without one."""
        is_result = income.symbol in self._since
        return not (is_result and self._context.store.has_trade(income.symbol, income.trade_id or 0))
