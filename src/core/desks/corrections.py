"""Books that differed from the exchange: put right, written down once, and a reason to stop where it happens again."""

from functools import partial

from src.core.desks.desk import Desk
from src.core.desks.symbol_locks import SymbolLockDesk
from src.database.correction_rows import last_trade_id, unexplained_since
from src.domain.positions import Correction, Position, PositionReport

_WITHIN_MS = 10 * 60_000
_MOST = 1
"""One difference may be an event that was lost; two say that we do not know what happens (I18)."""


class CorrectionDesk:
    """Writes corrections; the repairing itself is the account desk's."""

    def __init__(self, desk: Desk, locks: SymbolLockDesk) -> None:
        self._desk = desk
        self._locks = locks

    def book(self, believed: Position, report: PositionReport, *, is_explained: bool) -> None:
        """``is_explained``: we had not been listening, so that a difference is no contradiction."""
        desk = self._desk
        newest = partial(last_trade_id, symbol=report.symbol, is_simulated=desk.is_simulated)
        correction = Correction(
            symbol=report.symbol,
            position_side=report.position_side,
            believed=believed.quantity,
            reported=report.quantity,
            entry_price=report.entry_price,
            last_trade_id=desk.store.find(newest) or 0,
            is_explained=is_explained,
            at=desk.clock.now_ms(),
        )
        desk.alert(
            f"position of {report.symbol} {report.position_side} corrected from {believed.quantity} to "
            f"{report.quantity}, as the exchange reports it",
            report.symbol,
        )
        if desk.store.record_correction(correction) and not is_explained:
            self._count(correction)

    def _count(self, correction: Correction) -> None:
        since_ms = correction.at - _WITHIN_MS
        count = partial(unexplained_since, since_ms=since_ms, is_simulated=self._desk.is_simulated)
        found = self._desk.store.find(count, otherwise=0)  # what is written is counted by the next
        if found > _MOST:
            reason = f"positions differed from the exchange {found} times within ten minutes"
            self._locks.lock_all(correction.id, f"{reason}: compare them on the exchange's site")
