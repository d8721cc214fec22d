"""Compare the portfolio with the exchange's snapshot, and record every correction of a position."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from src.core.context import TraderContext
from src.core.limits.symbol_locks import SymbolLocks
from src.core.portfolio import TrackedPosition
from src.database.tables.positions import last_trade_id, unexpected_corrections_since
from src.domain.enums import PositionSide
from src.domain.orders import Order, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Correction, Position, PositionKey, PositionReport, Snapshot

GRACE_MS = 5_000
"""A difference younger than this may be news that is still on its way (I18)."""

_EVENT_TOLERANCE_MS = 100
"""How far apart the account and the order may tell of one trade."""
_UNDATED_GRACE_MS = 60_000
"""A report that does not say how old it is must have contradicted our trades for so long."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What makes our records agree with the exchange."""

    updates: tuple[OrderUpdate, ...]
    """Orders as the snapshot shows them, ours and others'."""
    unconfirmed_orders: tuple[Order, ...]
    """Orders we believe open that the snapshot does not show: asked for one by one, never assumed ended."""
    reports: tuple[PositionReport, ...]
    """Positions to take over: every slot that no later news of ours has touched."""
    corrections: tuple[tuple[TrackedPosition, PositionReport], ...]
    """Those of them that differ from what we held."""
    unseen_trades: tuple[TrackedPosition, ...]
    """Positions of ours that have traded since the last we know of, and are of the same size."""
    missing: tuple[TrackedPosition, ...]
    """Positions in slots that the account, in the other position mode now, cannot have."""
    closed_external_orders: tuple[int, ...]
    """Exchange ids of others' orders that are no longer open."""
    needs_retry: bool
    """A position differs, but our news of it are so young that the exchange is to be asked once more."""


def reconcile(
    orders: Iterable[Order],
    tracked_positions: dict[PositionKey, TrackedPosition],
    external: Iterable[int],
    snapshot: Snapshot,
) -> Reconciliation:
    """Compare; what we learnt after the snapshot was asked for stands above it."""
    listed: tuple[OrderUpdate | UnrecognizedOrder, ...] = (*snapshot.open_orders, *snapshot.unrecognized_orders)
    shown = {each.client_order_id for each in listed}
    shown_ids = {each.order_id for each in listed}
    reports = tuple(report for report in snapshot.positions if _is_applicable(report, tracked_positions, snapshot))
    different = [report for report in snapshot.positions if _differs(report, tracked_positions)]
    return Reconciliation(
        updates=snapshot.open_orders,
        unconfirmed_orders=tuple(order for order in orders if _is_unconfirmed(order, shown, snapshot)),
        reports=reports,
        corrections=tuple(
            (tracked_positions[report.symbol, report.position_side], report)
            for report in reports
            if _differs(report, tracked_positions)
        ),
        unseen_trades=tuple(
            tracked_positions[report.symbol, report.position_side]
            for report in reports
            if _has_unseen_trades(report, tracked_positions)
        ),
        missing=tuple(tracked for tracked in tracked_positions.values() if _is_missing(tracked, snapshot)),
        closed_external_orders=tuple(order_id for order_id in external if order_id not in shown_ids),
        needs_retry=any(report not in reports for report in different),
    )


def is_unchanged(report: PositionReport, tracked: TrackedPosition) -> bool:
    """The position is what it was, and nothing has traded in it since the last trade of it that is booked.

    What has changed since this run began no longer shows whether anything had changed before.
    """
    if tracked.updated_locally_at:
        return False
    is_same = (report.quantity, report.entry_price) == (tracked.position.quantity, tracked.position.entry_price)
    return is_same and 0 < report.updated_at <= tracked.filled_at + _EVENT_TOLERANCE_MS


def _is_unconfirmed(order: Order, shown: set[str], snapshot: Snapshot) -> bool:
    is_older = (order.sent_at or order.created_at) < snapshot.requested_at
    return order.is_open and is_older and order.client_order_id not in shown


def _is_applicable(
    report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition], snapshot: Snapshot
) -> bool:
    """A difference must be older than the grace, and a report never older than a trade we know (a stale replica)."""
    tracked = tracked_positions.get((report.symbol, report.position_side))
    if tracked is None:
        return True
    if not _differs(report, tracked_positions):
        return tracked.updated_locally_at < snapshot.requested_at
    return (
        not _is_outdated(report, tracked_positions, snapshot)
        and tracked.updated_locally_at + GRACE_MS <= snapshot.requested_at
    )


def _is_outdated(
    report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition], snapshot: Snapshot
) -> bool:
    """It knows less than a trade that we know: an old copy answered (F39)."""
    tracked = tracked_positions.get((report.symbol, report.position_side))
    if tracked is None or report.updated_at >= tracked.filled_at:
        return False
    known_at = max(tracked.updated_locally_at, tracked.filled_at)
    return bool(report.updated_at) or known_at + _UNDATED_GRACE_MS > snapshot.requested_at


def _has_unseen_trades(report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition]) -> bool:
    """Somebody may have closed it and opened as much in its place, while the news of both was lost."""
    tracked = tracked_positions.get((report.symbol, report.position_side))
    if tracked is None or not tracked.is_managed or not report.quantity or _differs(report, tracked_positions):
        return False
    return report.updated_at > max(tracked.reported_at, tracked.filled_at) + _EVENT_TOLERANCE_MS


def _is_missing(tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    is_possible = snapshot.hedge_mode is (tracked.position.position_side is not PositionSide.BOTH)
    return (
        tracked.position.is_open and not is_possible and tracked.updated_locally_at + GRACE_MS <= snapshot.requested_at
    )


def _differs(report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition]) -> bool:
    tracked = tracked_positions.get((report.symbol, report.position_side))
    return tracked is not None and tracked.position.quantity != report.quantity


_FREQUENCY_WINDOW_MS = 10 * 60_000
_MAX_UNEXPECTED = 1
"""One difference may be an event that was lost; two say that we do not know what happens (I18)."""


class CorrectionLog:
    """Writes corrections; the repairing itself is the account desk's."""

    def __init__(self, context: TraderContext, locks: SymbolLocks) -> None:
        self._context = context
        self._locks = locks

    def record(self, local: Position, report: PositionReport, *, is_expected: bool) -> None:
        """``is_explained``: we had not been listening, so that a difference is no contradiction."""
        context = self._context
        newest = partial(last_trade_id, symbol=report.symbol, is_simulated=context.is_simulated)
        correction = Correction(
            symbol=report.symbol,
            position_side=report.position_side,
            believed=local.quantity,
            reported=report.quantity,
            entry_price=report.entry_price,
            last_trade_id=context.store.read_or_default(newest) or 0,
            is_explained=is_expected,
            at=context.clock.now_ms(),
        )
        context.warn(
            f"position of {report.symbol} {report.position_side} corrected from {local.quantity} to "
            f"{report.quantity}, as the exchange reports it",
            report.symbol,
        )
        if context.store.record_correction(correction) and not is_expected:
            self._check_frequency(correction)

    def _check_frequency(self, correction: Correction) -> None:
        since_ms = correction.at - _FREQUENCY_WINDOW_MS
        count = partial(unexpected_corrections_since, since_ms=since_ms, is_simulated=self._context.is_simulated)
        found = self._context.store.read_or_default(count, default=0)  # what is written is counted by the next
        if found > _MAX_UNEXPECTED:
            reason = f"positions differed from the exchange {found} times within ten minutes"
            self._locks.lock_account(correction.id, f"{reason}: compare them on the exchange's site")
