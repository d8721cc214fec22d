"""Deposits, withdrawals and transfers: no profit and no drawdown; counted once, from the stream or the history."""

import logging
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from src.core.account import wallet
from src.core.account.income_reader import MATCH_MS, Announced, IncomeReader, announced_by
from src.core.context import TraderContext
from src.domain.assets import DOLLAR_ASSETS, dollar_value
from src.domain.clock import MINUTE_MS
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate
from src.domain.positions import Income, Snapshot

log = logging.getLogger("hunter.account")

_KEY = IncomeType.TRANSFER, None
_EARLY_MS = MINUTE_MS
_MAX_HAIRCUT = Decimal("0.3")
"""A larger difference between a transfer and its effect on the totals is a result of trading, at least in part."""


class Transfers:
    """Adds up what enters and leaves the wallet, in dollars, since the bot first traded the account."""

    def __init__(self, context: TraderContext, reader: IncomeReader) -> None:
        self._context = context
        self._reader = reader
        self._from_stream: list[Announced] = []
        """Counted from the stream; their rows of the history have not been read yet."""
        self._early: list[Announced] = []
        """Counted from the history; their account updates have not arrived yet."""
        self._read_since: int | None = None
        self._counted_since: int | None = None
        """When the account was first read, ms UTC; kept across restarts."""
        self._is_read = True
        """False while the transfers of a time without the stream have not been read."""
        self._moved_at: int | None = None
        """Local time of a transfer that the wallet may not contain yet."""
        self._expected: tuple[Decimal, Decimal] | None = None
        """After a transfer of an asset that is no dollar, in multi-assets mode: the wallet it should lead to, and the
        value that it was counted with."""
        self._totals_at = 0
        """Local time at which the totals were read before such a transfer."""

    def restore(self, known: dict[str, Any]) -> None:
        self._context.transfers = Decimal(known.get("transfers", 0))
        self._read_since = known.get("transfers_since")
        self._counted_since = known.get("counted_since", self._read_since)
        rows = known.get("stream_transfers", ())
        self._from_stream = [Announced(each["asset"], Decimal(each["amount"]), each["at"]) for each in rows]

    def state(self) -> dict[str, object]:
        return {
            "transfers": self._context.transfers,
            "transfers_since": self._read_since,
            "counted_since": self._counted_since,
            "stream_transfers": [asdict(each) for each in self._from_stream],
        }

    def on_snapshot(self, snapshot: Snapshot, *, is_complete: bool) -> None:
        """``is_complete``: the stream has reported everything until this snapshot; else the history is read."""
        if self._moved_at is not None and snapshot.requested_at >= self._moved_at:
            self._moved_at = None
            self._count_haircut(snapshot)
        if self._expected is None:
            self._totals_at = snapshot.requested_at
        self._counted_since = self._counted_since or snapshot.requested_at
        if not is_complete:
            self._is_read = False
            self._reader.request(_KEY, self._read_since or snapshot.requested_at)
        self._update_hold()

    def on_moved(self, update: AccountUpdate) -> None:
        """Count a transfer that an account update reports, at once, and look for its row in the history."""
        moved = [
            each
            for each in (Announced(row.asset, row.change, update.changed_at) for row in update.balances if row.change)
            if not self._is_counted_early(each)
        ]
        for each in moved:
            self._count(each)
            if self._context.multi_assets_mode:
                self._add_to_totals(each)
        self._from_stream += moved
        self._moved_at = self._context.clock.now_ms()
        self._update_hold()
        self._context.request_snapshot("a transfer", repeat_if_pending=True)
        self._reader.request(_KEY, update.changed_at, announced_by(update))

    def record(self, income: Income, value: Decimal | None) -> None:
        """Store a row, and count it unless the stream reported it. The wallet first seen contains every earlier one."""
        if income.paid_at < (self._counted_since or 0) or not self._reader.is_new(income):
            return
        if not self._context.store.record_external_income(income, value):
            return
        row = Announced(income.asset, income.amount, income.paid_at)
        known = next((each for each in self._from_stream if each.amount == row.amount and each.fits(income)), None)
        if known is None:
            self._early.append(row)
            self._count(row)
        else:
            self._from_stream.remove(known)

    def on_answer(self, at: int) -> None:
        """The history has answered; what is complete until ``at``, ms UTC, need not be read again."""
        self._is_read = True
        if not self._reader.is_reading(_KEY):
            self._read_since = at - MATCH_MS
        self._update_hold()

    def _is_counted_early(self, transfer: Announced) -> bool:
        """Whether the history had it before its account update arrived, so that it is counted already."""
        for row in self._early:
            if (row.asset, row.amount) == (transfer.asset, transfer.amount) and abs(row.at - transfer.at) < _EARLY_MS:
                self._early.remove(row)
                return True
        return False

    def _count(self, transfer: Announced) -> None:
        """Add to the net transfers what enters or leaves the wallet that is counted."""
        log.info("transfer recorded amount=%s asset=%s", transfer.amount, transfer.asset)
        payload = {"transfer": transfer.amount, "asset": transfer.asset, "at": transfer.at}
        self._context.journal("account", payload)
        assets = wallet.margin_assets(self._context)
        if assets and transfer.asset not in assets:
            return
        value = dollar_value(transfer.asset, transfer.amount, self._context.mark_price)
        if value is None:
            self._context.warn(
                f"a transfer of {transfer.amount} {transfer.asset} cannot be valued: no mark price is known. If "
                "max_drawdown_pct locks because of it, resume"
            )
            return
        self._context.transfers += value

    def _add_to_totals(self, transfer: Announced) -> None:
        account = self._context.account
        value = dollar_value(transfer.asset, transfer.amount, self._context.mark_price)
        if account is None or value is None:
            return
        wallet_balance = account.wallet_balance + value
        self._context.account = replace(
            account, wallet_balance=wallet_balance, margin_balance=account.margin_balance + value
        )
        if transfer.asset not in DOLLAR_ASSETS:
            counted = value if self._expected is None else value + self._expected[1]
            self._expected = wallet_balance, counted

    def _count_haircut(self, snapshot: Snapshot) -> None:
        """Count a transfer with what the totals moved by: the exchange values collateral below its mark price.

        Not if a position has changed since the totals were read before: the difference may be a loss.
        """
        tracked_positions = self._context.portfolio.tracked_positions.values()
        has_traded = any(each.updated_locally_at >= self._totals_at for each in tracked_positions)
        if self._expected is not None and not has_traded:
            wallet_balance, value = self._expected
            gap = snapshot.account.wallet_balance - wallet_balance
            if gap * value < 0 and abs(gap) <= abs(value) * _MAX_HAIRCUT:
                self._context.transfers += gap
        self._expected = None

    def _update_hold(self) -> None:
        """While transfers may be missing, in their sum or in the wallet, the equity peak must not rise."""
        if self._is_read and self._moved_at is None:
            self._context.transfers_unknown_since = None
        elif self._context.transfers_unknown_since is None:
            self._context.transfers_unknown_since = self._context.clock.monotonic_ms()
