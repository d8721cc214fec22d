"""Positions nobody here has opened: left alone and told of, or taken over where the settings say so (I19)."""

import logging
from collections.abc import Iterator

from src.core.books import Holding, Slot
from src.core.desks.desk import Desk
from src.core.desks.fill_desk import FillDesk
from src.core.plans.reconcile import GRACE_MS
from src.core.standing import Obstacle
from src.domain.enums import OrderRole

log = logging.getLogger("hunter.account")


class ForeignDesk:
    """Looks once a second. Orders that are not ours are never touched, in adopted slots either; ours do not stay behind
    what is not ours."""

    def __init__(self, desk: Desk, fills: FillDesk) -> None:
        self._desk = desk
        self._fills = fills
        self._told: dict[Slot, bool] = {}
        """Positions a person knows of, and whether as one without a stop loss."""

    def check(self) -> None:
        """Left alone, one without a stop is said aloud, again where it had one meanwhile: after a lost ledger it may be
        our own (I33)."""
        for holding in self._settled():
            if may_adopt(self._desk, holding.position.symbol):
                self._adopt(holding)
            else:
                self._tell(holding)
                self._sweep(holding)
        foreign = {holding.slot for holding in self._desk.books.open_holdings() if not holding.is_ours}
        self._told = {slot: is_bare for slot, is_bare in self._told.items() if slot in foreign}

    def _settled(self) -> Iterator[Holding]:
        """Those of which no entry of ours that is still asked about may turn out to be the cause."""
        desk = self._desk
        if desk.standing.has(Obstacle.STARTING):
            return
        at_work = {(order.symbol, order.request.position_side) for order in desk.books.entries_at_work()}
        ripe = desk.clock.now_ms() - GRACE_MS
        for holding in desk.books.open_holdings():
            if not holding.is_ours and holding.slot not in at_work and holding.touched_at <= ripe:
                yield holding

    def _adopt(self, holding: Holding) -> None:
        """It is protected and managed as ours from now on, under the name of an entry that never was."""
        symbol, side = holding.slot
        holding.entry = self._desk.new_entry_id()
        self._fills.fetch(symbol, holding.opened_at)
        self._desk.alert(
            f"the position of {symbol} {side} is not the bot's and is taken over: it is protected and managed by the "
            f"settings of {symbol}",
            symbol,
        )

    def _sweep(self, holding: Holding) -> None:
        """Orders of ours that came to rest here only after the position they were for had gone would close a
        stranger's (I14)."""
        for order in self._desk.books.orders_in(holding.slot):
            if order.role is not OrderRole.ENTRY:
                self._desk.cancel(order)

    def _tell(self, holding: Holding) -> None:
        symbol, side = holding.slot
        known, is_bare = self._told.get(holding.slot), not self._desk.books.stop_orders(holding.slot)
        self._told[holding.slot] = is_bare
        left, size = "it counts toward the exposure and is left alone", holding.position.quantity
        if is_bare and not known:
            self._desk.alarm(
                f"a position of {symbol} {side}, {size}, is not the bot's and has no stop loss: {left}. "
                "Place one on the exchange's site, or let the bot take it over (globals.adopt_foreign_positions)",
                symbol,
            )
        elif known is None:
            self._desk.alert(f"the position of {symbol} {side} is not the bot's: {left}", symbol)


def may_adopt(desk: Desk, symbol: str) -> bool:
    """Not before a person's word, for it may be closed by us then; nor what may be another bot's."""
    is_kept_back = desk.standing.has(Obstacle.CONSENT) or desk.standing.has(Obstacle.SECOND_BOT)
    return desk.settings.globals_.adopt_foreign_positions and symbol in desk.settings.symbols and not is_kept_back
