"""Symbols that are kept from entries until a person resumes, and why; a restart forgets none."""

from src.core.desk import Desk
from src.domain.enums import OrderRole

_KNOWN_CAUSES = 100


class SymbolLockDesk:
    """Locks a symbol once for each cause: what was lifted is not locked again by the same event told anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._causes: list[str] = []

    def restore(self) -> None:
        known = self._desk.store.get_state(self._key) or {}
        self._desk.locked = dict(known.get("locked", {}))
        self._causes = list(known.get("causes", ()))

    def lock(self, symbol: str, cause: str, reason: str) -> None:
        """No entries from now on, and those that are open end."""
        if cause in self._causes:
            return
        self._causes = [*self._causes[1 - _KNOWN_CAUSES :], cause]
        self._desk.locked[symbol] = reason
        self._desk.alarm(f"{reason}. No entries in {symbol} until you resume", symbol)
        for order in self._desk.books.open_orders(symbol, OrderRole.ENTRY):
            self._desk.cancel(order)
        self._save()

    def lift(self) -> list[str]:
        """A person resumes: the symbols that were locked."""
        symbols = sorted(self._desk.locked)
        self._desk.locked.clear()
        if symbols:
            self._save()
        return symbols

    def _save(self) -> None:
        self._desk.store.set_state(self._key, {"locked": self._desk.locked, "causes": self._causes})

    @property
    def _key(self) -> str:
        return "symbol_locks_paper" if self._desk.is_simulated else "symbol_locks"
