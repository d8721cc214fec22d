"""The wallet's income: hands each row of the history to funding, transfers or manual results, and keeps their state."""

import logging
from collections.abc import Iterable

from src.core.account.funding import FundingPayments
from src.core.account.holding_times import HoldingTimes
from src.core.account.income_reader import IncomeReader
from src.core.account.manual_results import RESULT_TYPES, ManualResults
from src.core.account.transfers import Transfers
from src.core.context import TraderContext
from src.domain.assets import dollar_value
from src.domain.commands import FetchIncome
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate, IncomeFetched
from src.domain.positions import Snapshot

log = logging.getLogger("hunter.account")

_STATE = "income"
_FUNDING_REASON = "FUNDING_FEE"
_TRANSFER_REASONS = frozenset(
    {
        "DEPOSIT",
        "WITHDRAW",
        "WITHDRAW_REJECT",
        "ADMIN_DEPOSIT",
        "ADMIN_WITHDRAW",
        "ASSET_TRANSFER",
        "AUTO_EXCHANGE",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
    }
)
"""Reasons of account updates that move assets in or out and are no result (Event: Balance and Position Update)."""
_OTHER_REASONS = frozenset(
    {
        "ORDER",
        _FUNDING_REASON,
        "ADJUSTMENT",
        "INSURANCE_CLEAR",
        "MARGIN_TRANSFER",
        "MARGIN_TYPE_CHANGE",
        "OPTIONS_PREMIUM_FEE",
        "OPTIONS_SETTLE_PROFIT",
    }
)
"""The other documented reasons. A balance that changes for none of them is moved: ``bc`` excludes PnL and fees."""


class IncomeSync:
    """Completes funding, transfers and results of manual trades from the income history."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._reader = IncomeReader(context)
        self._holding_times = HoldingTimes(context)
        self._funding = FundingPayments(context, self._reader, self._holding_times)
        self._transfers = Transfers(context, self._reader)
        self._results = ManualResults(context, self._reader, self._holding_times)

    def restore(self) -> None:
        """Load the state of the last run in this mode."""
        known = self._context.store.get_state(self._context.mode_key(_STATE)) or {}
        self._transfers.restore(known)
        self._holding_times.restore(known.get("held", {}))
        self._results.restore(known)

    def on_snapshot(self, snapshot: Snapshot, *, is_stream_complete: bool) -> None:
        """Read what was missed, at the first snapshot and after a time without the user data stream."""
        is_complete = self._reader.is_started and is_stream_complete
        self._reader.is_started = True
        if not is_complete:
            self._funding.read(snapshot.requested_at)
        self._transfers.on_snapshot(snapshot, is_complete=is_complete)
        if not is_complete:
            self._save()

    def on_account_update(self, update: AccountUpdate) -> None:
        """Ask for a payment that the update announces; count a transfer at once."""
        if update.reason == _FUNDING_REASON:
            self._funding.on_announced(update)
            return
        is_known = update.reason in _TRANSFER_REASONS
        is_unknown = update.reason not in _OTHER_REASONS and any(each.change for each in update.balances)
        if is_known or is_unknown:
            self._transfers.on_moved(update)
            self._save()
        if is_unknown and not is_known:
            log.warning("balance changed for an unknown reason=%s", update.reason)
            self._funding.read(update.changed_at)

    def complete_results(self, symbol: str, since_ms: int, other_side_trades: Iterable[int] = ()) -> None:
        """Store the results of all trades of the symbol since an instant that are not our own fills.

        For a position that our fills do not explain, after it has ended. It is asked until the history has answered,
        also across restarts; what is stored counts in the results of the symbol. ``other_side_trades``: ids of trades
        that were not made in it, but on the other side of the symbol.
        """
        self._results.complete(symbol, since_ms, other_side_trades)
        self._save()

    def on_fetched(self, event: IncomeFetched) -> None:
        """Store what is new, and ask again later for what is still missing."""
        self._holding_times.note()
        for income in event.incomes:
            value = dollar_value(income.asset, income.amount, self._context.mark_price)
            if income.type == IncomeType.FUNDING_FEE:
                self._funding.record(income, value)
            elif income.type == IncomeType.TRANSFER:
                self._transfers.record(income, value)
            elif income.type in RESULT_TYPES:
                self._results.record(income, value)
        self._reader.on_fetched(event)
        if event.type is IncomeType.TRANSFER:
            self._transfers.on_answer(event.at)
        if event.symbol is not None:
            self._results.on_answer(event.symbol)
        self._save()

    def on_failed(self, command: FetchIncome) -> None:
        """Ask again after a pause."""
        self._reader.on_failed(command)

    def check(self) -> None:
        """Called every second: note which positions the bot holds, and ask again for what is due."""
        if self._holding_times.note():
            self._save()
        self._results.request_missing_fees()
        self._reader.check()

    def _save(self) -> None:
        state = {**self._transfers.state(), **self._results.state(), "held": self._holding_times.state()}
        self._context.store.set_state(self._context.mode_key(_STATE), state)
