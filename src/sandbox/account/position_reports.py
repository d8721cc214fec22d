"""What Position Information reports: complete, and stamped with the time of the trade, unless faults change it."""

from collections.abc import Iterable
from dataclasses import replace

from src.domain.events import AccountUpdate
from src.domain.positions import PositionKey, PositionReport
from src.sandbox.faults import FaultKind, Faults


class PositionReports:
    """Stamps position reports like the last account event or with 0, and omits flat ones, as the faults say."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._account_stamps: dict[PositionKey, int] = {}

    def record(self, update: AccountUpdate) -> None:
        """Remember when an account event changed its positions."""
        for change in update.positions:
            self._account_stamps[change.position.symbol, change.position.position_side] = update.changed_at

    def apply(self, reports: Iterable[PositionReport]) -> list[PositionReport]:
        """Return the reports as the exchange sends them."""
        return [self._stamp(each) for each in reports if not self._is_omitted(each)]

    def _is_omitted(self, report: PositionReport) -> bool:
        return not report.quantity and self._faults.consume(FaultKind.FLAT_OMITTED, "", report.symbol) is not None

    def _stamp(self, report: PositionReport) -> PositionReport:
        if self._faults.consume(FaultKind.POSITION_TIME_ZERO, "", report.symbol):
            return replace(report, updated_at=0)
        stamp = self._account_stamps.get((report.symbol, report.position_side))
        if stamp is not None and self._faults.consume(FaultKind.POSITION_TIME_OF_ACCOUNT, "", report.symbol):
            return replace(report, updated_at=stamp)
        return report
