"""Funding payments: read from the income history until each announced one is found, and stored once."""

import logging
from decimal import Decimal

from src.core.account.holding_times import HoldingTimes
from src.core.account.income_reader import IncomeReader, announced_by
from src.core.context import TraderContext
from src.domain.clock import HOUR_MS
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate
from src.domain.numbers import trimmed
from src.domain.positions import Income

log = logging.getLogger("hunter.account")

_KEY = IncomeType.FUNDING_FEE, None


class FundingPayments:
    """Funding of the bot's positions, and apart from it that of a person's own."""

    def __init__(self, context: TraderContext, reader: IncomeReader, holding_times: HoldingTimes) -> None:
        self._context = context
        self._reader = reader
        self._holding_times = holding_times
        self._since: int | None = None
        """Time of the newest known payment, ms UTC."""

    def read(self, at: int) -> None:
        """Read what was paid since the last recorded payment, else since the oldest open position or ``at``."""
        self._reader.request(_KEY, self._start(at))

    def on_announced(self, update: AccountUpdate) -> None:
        """Read a payment that an account update announces, until the history has it."""
        self._reader.request(_KEY, self._start(update.changed_at), announced_by(update))

    def record(self, income: Income, value: Decimal | None) -> None:
        """Store a payment once. It is external if the bot held no position of the symbol.

        In hedge mode a row does not say for which side it was paid. With a person's own position on the other side it
        is stored as external, so that nothing of theirs gets into the bot's results, and a warning says so.
        """
        self._since = max(self._since or 0, income.paid_at)
        beside = self._holding_times.external_beside(income.symbol, income.paid_at)
        is_external = beside is not None or not self._holding_times.is_held(income.symbol, income.paid_at)
        if not self._context.store.record_funding(income, value, is_external=is_external):
            return
        log.info(
            "funding recorded symbol=%s amount=%s asset=%s external=%s",
            *(income.symbol, income.amount, income.asset, is_external),
        )
        payload = {
            "external_funding" if is_external else "funding": income.amount,
            "asset": income.asset,
            "at": income.paid_at,
        }
        self._context.journal("account", payload, income.symbol)
        if beside is not None and self._context.may_request(f"mixed funding {income.symbol}", HOUR_MS):
            self._context.warn(
                f"funding of {trimmed(income.amount)} {income.asset} for {income.symbol} counts in no result: you and "
                "the bot both hold a position of it, and the exchange does not say for which one it was paid",
                income.symbol,
            )

    def _start(self, at: int) -> int:
        if self._since is None:
            opened = [each.opened_at for each in self._context.portfolio.open_positions() if each.opened_at]
            self._since = self._context.store.last_funding_at() or min([*opened, at])
        return self._since
