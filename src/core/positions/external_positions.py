"""External positions: reported and left alone, or adopted if the settings say so (I19)."""

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
    """Checks external positions once a second.

    External orders are never touched, not even those of adopted positions. Orders of the bot are cancelled where the
    position is external.
    """

    def __init__(self, context: TraderContext, fills: FillRecorder) -> None:
        self._context = context
        self._fills = fills
        self._reported: dict[PositionKey, bool] = {}
        """Positions already reported, and whether they were reported as unprotected."""

    def check(self) -> None:
        """Adopt or report each external position; one without a stop loss raises an alert.

        After a database loss such a position may be the bot's own (I33).
        """
        for tracked in self._confirmed():
            if may_adopt(self._context, tracked.position.symbol):
                self._adopt(tracked)
            else:
                self._report(tracked)
                self._cancel_own_orders(tracked)
        external = {tracked.key for tracked in self._context.portfolio.open_positions() if not tracked.is_managed}
        self._reported = {key: is_unprotected for key, is_unprotected in self._reported.items() if key in external}

    def _confirmed(self) -> Iterator[TrackedPosition]:
        """External positions that cannot be the result of a pending entry of the bot."""
        context = self._context
        if context.trading_status.has(EntryBlock.STARTING):
            return
        pending = {(order.symbol, order.request.position_side) for order in context.portfolio.pending_entries()}
        settled_before = context.clock.now_ms() - GRACE_MS
        for tracked in context.portfolio.open_positions():
            if not tracked.is_managed and tracked.key not in pending and tracked.updated_locally_at <= settled_before:
                yield tracked

    def _adopt(self, tracked: TrackedPosition) -> None:
        """Manage the position as the bot's from now on, with a new entry id that no real entry has."""
        symbol, side = tracked.key
        tracked.assign_entry(self._context.new_entry_id())
        self._fills.request_fills(symbol, tracked.opened_at)
        self._context.warn(
            f"external position of {symbol} {side} adopted: it is protected and managed by the settings of {symbol}",
            symbol,
        )

    def _cancel_own_orders(self, tracked: TrackedPosition) -> None:
        """Cancel leftover protective orders of the bot: they would close an external position (I14)."""
        for order in self._context.portfolio.orders_for(tracked.key):
            if order.role is not OrderRole.ENTRY:
                self._context.cancel_order(order)

    def _report(self, tracked: TrackedPosition) -> None:
        symbol, side = tracked.key
        known, is_unprotected = self._reported.get(tracked.key), not self._context.portfolio.count_stops(tracked.key)
        self._reported[tracked.key] = is_unprotected
        size = tracked.position.quantity
        if is_unprotected and not known:
            self._context.alert(
                f"external position of {symbol} {side}, {size}, has no stop loss: place one on the exchange, or let "
                "the bot adopt it (globals.adopt_foreign_positions). It counts toward the exposure",
                symbol,
            )
        elif known is None:
            self._context.warn(f"external position of {symbol} {side}: not managed, counts toward the exposure", symbol)


def may_adopt(context: TraderContext, symbol: str) -> bool:
    """Whether an external position may be adopted: enabled, live trading confirmed and no other bot detected."""
    is_blocked = context.trading_status.has(EntryBlock.CONSENT) or context.trading_status.has(EntryBlock.OTHER_BOT)
    return context.settings.globals_.adopt_foreign_positions and symbol in context.settings.symbols and not is_blocked
