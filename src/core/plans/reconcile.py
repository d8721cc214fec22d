"""Our records held against the exchange's snapshot: what to take over, what to ask, what to announce. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from src.core.books import Holding, Slot
from src.domain.enums import PositionSide
from src.domain.orders import Order, OrderUpdate
from src.domain.positions import PositionReport, Snapshot
from src.domain.strange import StrangeOrder

GRACE_MS = 5_000
"""A difference younger than this may be news that is still on its way (I18)."""

_EVENTS_DIFFER_MS = 100
"""How far apart the account and the order may tell of one trade."""
_UNDATED_GRACE_MS = 60_000
"""A report that does not say how old it is must have contradicted our trades for so long."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What makes our records agree with the exchange."""

    updates: tuple[OrderUpdate, ...]
    """Orders as the snapshot shows them, ours and others'."""
    doubtful: tuple[Order, ...]
    """Orders we believe open that the snapshot does not show: asked for one by one, never assumed ended."""
    reports: tuple[PositionReport, ...]
    """Positions to take over: every slot that no later news of ours has touched."""
    corrections: tuple[tuple[Holding, PositionReport], ...]
    """Those of them that differ from what we held."""
    untold: tuple[Holding, ...]
    """Positions of ours that have traded since the last we know of, and are of the same size."""
    vanished: tuple[Holding, ...]
    """Positions in slots that the account, in the other position mode now, cannot have."""
    gone_foreign: tuple[int, ...]
    """Exchange ids of others' orders that are no longer open."""
    is_early: bool
    """A position differs, but our news of it are so young that the exchange is to be asked once more."""


def reconcile(
    orders: Iterable[Order],
    holdings: dict[Slot, Holding],
    foreign: Iterable[int],
    snapshot: Snapshot,
) -> Reconciliation:
    """Compare; what we learnt after the snapshot was asked for stands above it."""
    listed: tuple[OrderUpdate | StrangeOrder, ...] = (*snapshot.open_orders, *snapshot.strange_orders)
    shown = {each.client_order_id for each in listed}
    shown_ids = {each.order_id for each in listed}
    reports = tuple(report for report in snapshot.positions if _is_newer(report, holdings, snapshot))
    different = [report for report in snapshot.positions if _differs(report, holdings)]
    return Reconciliation(
        updates=snapshot.open_orders,
        doubtful=tuple(order for order in orders if _is_doubtful(order, shown, snapshot)),
        reports=reports,
        corrections=tuple(
            (holdings[report.symbol, report.position_side], report) for report in reports if _differs(report, holdings)
        ),
        untold=tuple(
            holdings[report.symbol, report.position_side] for report in reports if _is_untold(report, holdings)
        ),
        vanished=tuple(holding for holding in holdings.values() if _is_vanished(holding, snapshot)),
        gone_foreign=tuple(order_id for order_id in foreign if order_id not in shown_ids),
        is_early=any(report not in reports for report in different),
    )


def is_as_left(report: PositionReport, holding: Holding) -> bool:
    """The position is what it was, and nothing has traded in it since the last trade of it that is booked.

    What has changed since this run began no longer shows whether anything had changed before.
    """
    if holding.touched_at:
        return False
    is_same = (report.quantity, report.entry_price) == (holding.position.quantity, holding.position.entry_price)
    return is_same and 0 < report.updated_at <= holding.filled_at + _EVENTS_DIFFER_MS


def _is_doubtful(order: Order, shown: set[str], snapshot: Snapshot) -> bool:
    is_older = (order.sent_at or order.created_at) < snapshot.asked_at
    return order.is_open and is_older and order.client_order_id not in shown


def _is_newer(report: PositionReport, holdings: dict[Slot, Holding], snapshot: Snapshot) -> bool:
    """A difference must be older than the grace, and a report never older than a trade we know (a stale replica)."""
    holding = holdings.get((report.symbol, report.position_side))
    if holding is None:
        return True
    if not _differs(report, holdings):
        return holding.touched_at < snapshot.asked_at
    return not _is_outdated(report, holdings, snapshot) and holding.touched_at + GRACE_MS <= snapshot.asked_at


def _is_outdated(report: PositionReport, holdings: dict[Slot, Holding], snapshot: Snapshot) -> bool:
    """It knows less than a trade that we know: an old copy answered (F39)."""
    holding = holdings.get((report.symbol, report.position_side))
    if holding is None or report.updated_at >= holding.filled_at:
        return False
    known_at = max(holding.touched_at, holding.filled_at)
    return bool(report.updated_at) or known_at + _UNDATED_GRACE_MS > snapshot.asked_at


def _is_untold(report: PositionReport, holdings: dict[Slot, Holding]) -> bool:
    """Somebody may have closed it and opened as much in its place, while the news of both was lost."""
    holding = holdings.get((report.symbol, report.position_side))
    if holding is None or not holding.is_ours or not report.quantity or _differs(report, holdings):
        return False
    return report.updated_at > max(holding.reported_at, holding.filled_at) + _EVENTS_DIFFER_MS


def _is_vanished(holding: Holding, snapshot: Snapshot) -> bool:
    is_possible = snapshot.hedge_mode is (holding.position.position_side is not PositionSide.BOTH)
    return holding.position.is_open and not is_possible and holding.touched_at + GRACE_MS <= snapshot.asked_at


def _differs(report: PositionReport, holdings: dict[Slot, Holding]) -> bool:
    holding = holdings.get((report.symbol, report.position_side))
    return holding is not None and holding.position.quantity != report.quantity
