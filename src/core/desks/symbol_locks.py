"""What keeps a symbol, or all of them, from entries until a person resumes; a restart forgets none of it."""

from src.core.desks.desk import Desk
from src.core.standing import Obstacle
from src.domain.enums import OrderRole

_STATE = "symbol_locks"
_KNOWN_CAUSES = 100


class SymbolLockDesk:
    """Locks a symbol once for each cause: what was lifted is not locked again by the same event told anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._causes: list[str] = []

    def restore(self) -> None:
        known = self._desk.store.get_state(self._desk.state_key(_STATE)) or {}
        self._desk.locked = dict(known.get("locked", {}))
        self._causes = list(known.get("causes", ()))
        self._desk.standing.settle(Obstacle.BOOKS, known.get("all"))

    def lock(self, symbol: str, cause: str, reason: str) -> None:
        """No entries from now on, and those that are open end."""
        if not self._is_new(cause):
            return
        self._desk.locked[symbol] = reason
        self._desk.alarm(f"{reason}. No entries in {symbol} until you resume", symbol)
        for order in self._desk.books.open_orders(symbol, OrderRole.ENTRY):
            self._desk.cancel(order)
        self._save()

    def lock_all(self, cause: str, reason: str) -> None:
        """No entries at all from now on."""
        if self._is_new(cause):
            self._desk.standing.raise_obstacle(Obstacle.BOOKS, f"{reason}; resume lifts this")
            self._desk.alarm(f"{reason}. No entries until you resume")
            self._save()

    def lift(self) -> list[str]:
        """A person resumes: the symbols that were locked."""
        symbols = sorted(self._desk.locked)
        if symbols or self._desk.standing.has(Obstacle.BOOKS):
            self._desk.locked.clear()
            self._desk.standing.clear(Obstacle.BOOKS)
            self._save()
        return symbols

    def _is_new(self, cause: str) -> bool:
        if cause in self._causes:
            return False
        self._causes = [*self._causes[1 - _KNOWN_CAUSES :], cause]
        return True

    def _save(self) -> None:
        state = {
            "locked": self._desk.locked,
            "causes": self._causes,
            "all": self._desk.standing.reason_of(Obstacle.BOOKS),
        }
        self._desk.store.set_state(self._desk.state_key(_STATE), state)
