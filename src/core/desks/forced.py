"""What the exchange does to a position by itself: liquidation, deleveraging, settlement (Event: Order Update)."""

from dataclasses import replace

from src.core.desks.desk import Desk
from src.core.desks.symbol_locks import SymbolLockDesk
from src.domain.orders import Fill, OrderUpdate

_DEEDS = {
    "autoclose-": "was liquidated by the exchange: its margin no longer carried it",
    "adl_autoclose": "was closed by the exchange's auto-deleveraging (ADL), in whole or in part",
    "settlement_autoclose-": "was settled by the exchange, which ends trading in it",
}


class ForcedDesk:
    """Knows such orders by their numbers, and locks their symbols."""

    def __init__(self, desk: Desk, locks: SymbolLockDesk) -> None:
        self._desk = desk
        self._locks = locks
        self._names: dict[tuple[str, int], str] = {}

    def note(self, update: OrderUpdate) -> None:
        """An order that is not ours: where it is a forced one, a person must look before the symbol is traded again."""
        deed = deed_of(update.client_order_id)
        if deed is None:
            return
        symbol, number = update.symbol, update.order_id
        self._names[symbol, number] = update.client_order_id
        ours = [holding for slot, holding in self._desk.books.holdings.items() if slot[0] == symbol and holding.is_ours]
        if ours or symbol in self._desk.settings.symbols:
            self._locks.lock(symbol, f"{symbol} {number}", f"the position of {symbol} {deed}")

    def named(self, fill: Fill) -> Fill:
        """A trade list names orders by number alone: the trade, with the name of a forced order where it is of one."""
        name = self._names.get((fill.symbol, fill.order_id))
        return fill if name is None or fill.client_order_id else replace(fill, client_order_id=name)


def deed_of(client_order_id: str) -> str | None:
    """What the exchange did by an order of this name; None for an order of a person or a bot."""
    return next((deed for prefix, deed in _DEEDS.items() if client_order_id.startswith(prefix)), None)
