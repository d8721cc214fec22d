"""Locks a symbol, or the whole account, against entries until the operator resumes. Survives restarts."""

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole

_STATE = "symbol_locks"
_MAX_CAUSES = 100


class SymbolLocks:
    """Locks a symbol at most once per cause, so that a repeated event does not lock it again after a resume."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._causes: list[str] = []

    def restore(self) -> None:
        known = self._context.store.get_state(self._context.mode_key(_STATE)) or {}
        self._context.symbol_locks = dict(known.get("locked", {}))
        self._causes = list(known.get("causes", ()))
        self._context.trading_status.set_or_clear(EntryBlock.POSITION_MISMATCH, known.get("account_lock"))

    def lock(self, symbol: str, cause: str, reason: str) -> None:
        """Block entries of a symbol and cancel its open ones."""
        if not self._is_new(cause):
            return
        self._context.symbol_locks[symbol] = reason
        self._context.alert(f"{reason}. No entries in {symbol} until you resume", symbol)
        for order in self._context.portfolio.open_orders(symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)
        self._save()

    def lock_account(self, cause: str, reason: str) -> None:
        """Block entries of every symbol."""
        if self._is_new(cause):
            self._context.trading_status.block(EntryBlock.POSITION_MISMATCH, f"{reason}; resume to trade again")
            self._context.alert(f"{reason}. No entries until you resume")
            self._save()

    def release(self) -> list[str]:
        """Release every lock after a resume; returns the symbols that were locked."""
        symbols = sorted(self._context.symbol_locks)
        if symbols or self._context.trading_status.has(EntryBlock.POSITION_MISMATCH):
            self._context.symbol_locks.clear()
            self._context.trading_status.clear(EntryBlock.POSITION_MISMATCH)
            self._save()
        return symbols

    def _is_new(self, cause: str) -> bool:
        if cause in self._causes:
            return False
        self._causes = [*self._causes[1 - _MAX_CAUSES :], cause]
        return True

    def _save(self) -> None:
        state = {
            "locked": self._context.symbol_locks,
            "causes": self._causes,
            "account_lock": self._context.trading_status.reason_of(EntryBlock.POSITION_MISMATCH),
        }
        self._context.store.set_state(self._context.mode_key(_STATE), state)
