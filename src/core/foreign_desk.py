"""Positions nobody here has opened: left alone and told of, or taken over where the settings say so (I19)."""

import logging
from collections.abc import Iterator

from src.core.books import Holding, Slot
from src.core.desk import Desk
from src.core.fill_desk import FillDesk
from src.core.reconcile import GRACE_MS
from src.core.standing import Obstacle

log = logging.getLogger("hunter.account")


class ForeignDesk:
    """Looks once a second. Orders that are not ours are never touched, in adopted slots either."""

    def __init__(self, desk: Desk, fills: FillDesk) -> None:
        self._desk = desk
        self._fills = fills
        self._told: set[Slot] = set()

    def check(self) -> None:
        found = {holding.slot: holding for holding in self._settled()}
        for slot, holding in found.items():
            if self._desk.settings.globals_.adopt_foreign_positions and slot[0] in self._desk.settings.symbols:
                self._adopt(holding)
            elif slot not in self._told:
                self._tell(holding)
        self._told = {holding.slot for holding in self._desk.books.open_holdings() if not holding.is_ours} & (
            self._told | found.keys()
        )

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

    def _tell(self, holding: Holding) -> None:
        symbol, side = holding.slot
        sentence = f"the position of {symbol} {side} is not the bot's: it counts toward the exposure and is left alone"
        if self._desk.books.stop_orders(holding.slot):
            self._desk.alert(sentence, symbol)
            return
        self._desk.alarm(
            f"{sentence}. It has no stop loss: place one on the exchange's site, or let the bot take it over "
            "(globals.adopt_foreign_positions)",
            symbol,
        )
