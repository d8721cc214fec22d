"""Positions nobody here has opened: left alone and told of, or taken over where the settings say so (I19)."""

import logging
from collections.abc import Iterator

from src.core.account.reconciliation import GRACE_MS
from src.core.context import TraderContext
from src.core.orders.fills import FillRecorder
from src.core.portfolio import TrackedPosition
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole
from src.domain.positions import PositionKey

log = logging.getLogger("hunter.account")


class ExternalPositions:
    """Looks once a second. Orders that are not ours are never touched, in adopted slots either; ours do not stay behind
    what is not ours."""

    def __init__(self, context: TraderContext, fills: FillRecorder) -> None:
        self._context = context
        self._fills = fills
        self._reported: dict[PositionKey, bool] = {}
        """Positions a person knows of, and whether as one without a stop loss."""

    def check(self) -> None:
        """Left alone, one without a stop is said aloud, again where it had one meanwhile: after a lost ledger it may be
        our own (I33)."""
        for tracked in self._confirmed():
            if may_adopt(self._context, tracked.position.symbol):
                self._adopt(tracked)
            else:
                self._report(tracked)
                self._cancel_own_orders(tracked)
        external = {tracked.key for tracked in self._context.portfolio.open_positions() if not tracked.is_managed}
        self._reported = {key: is_unprotected for key, is_unprotected in self._reported.items() if key in external}

    def _confirmed(self) -> Iterator[TrackedPosition]:
        """Those of which no entry of ours that is still asked about may turn out to be the cause."""
        context = self._context
        if context.trading_status.has(EntryBlock.STARTING):
            return
        pending = {(order.symbol, order.request.position_side) for order in context.portfolio.pending_entries()}
        settled_before = context.clock.now_ms() - GRACE_MS
        for tracked in context.portfolio.open_positions():
            if not tracked.is_managed and tracked.key not in pending and tracked.updated_locally_at <= settled_before:
                yield tracked

    def _adopt(self, tracked: TrackedPosition) -> None:
        """It is protected and managed as ours from now on, under the name of an entry that never was."""
        symbol, side = tracked.key
        tracked.assign_entry(self._context.new_entry_id())
        self._fills.request_fills(symbol, tracked.opened_at)
        self._context.warn(
            f"the position of {symbol} {side} is not the bot's and is taken over: it is protected and managed by the "
            f"settings of {symbol}",
            symbol,
        )

    def _cancel_own_orders(self, tracked: TrackedPosition) -> None:
        """Orders of ours that came to rest here only after the position they were for had gone would close a
        stranger's (I14)."""
        for order in self._context.portfolio.orders_for(tracked.key):
            if order.role is not OrderRole.ENTRY:
                self._context.cancel_order(order)

    def _report(self, tracked: TrackedPosition) -> None:
        symbol, side = tracked.key
        known, is_unprotected = self._reported.get(tracked.key), not self._context.portfolio.count_stops(tracked.key)
        self._reported[tracked.key] = is_unprotected
        left, size = "it counts toward the exposure and is left alone", tracked.position.quantity
        if is_unprotected and not known:
            self._context.alert(
                f"a position of {symbol} {side}, {size}, is not the bot's and has no stop loss: {left}. "
                "Place one on the exchange's site, or let the bot take it over (globals.adopt_foreign_positions)",
                symbol,
            )
        elif known is None:
            self._context.warn(f"the position of {symbol} {side} is not the bot's: {left}", symbol)


def may_adopt(context: TraderContext, symbol: str) -> bool:
    """Not before a person's word, for it may be closed by us then; nor what may be another bot's."""
    is_blocked = context.trading_status.has(EntryBlock.CONSENT) or context.trading_status.has(EntryBlock.OTHER_BOT)
    return context.settings.globals_.adopt_foreign_positions and symbol in context.settings.symbols and not is_blocked
