"""Positions that are not the bot's: left alone (I19), and said aloud where no stop loss limits what they may lose."""

from src.core.books import Holding, Slot
from src.core.desk import Desk
from src.core.reconcile import GRACE_MS


class StrangerDesk:
    """Tells of each such position once, and again when it has had a stop meanwhile, or was another one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._told: set[Slot] = set()

    def check(self) -> None:
        """A bot whose ledger is lost takes its own position for a stranger's: a person must look after it (I33)."""
        bare = [holding for holding in self._desk.books.open_holdings() if self._is_bare(holding)]
        for holding in bare:
            if holding.slot not in self._told:
                self._tell(holding)
        self._told = {holding.slot for holding in bare}

    def _is_bare(self, holding: Holding) -> bool:
        """For longer than news of our own entry may be on its way."""
        is_settled = holding.touched_at + GRACE_MS <= self._desk.clock.now_ms()
        return not holding.is_ours and is_settled and not self._desk.books.stop_orders(holding.slot)

    def _tell(self, holding: Holding) -> None:
        symbol, side = holding.slot
        self._desk.alert(
            f"a position of {symbol} {side}, {holding.position.quantity}, is not the bot's and has no stop loss: "
            "it is left alone, look after it on the exchange's site",
            symbol,
        )
