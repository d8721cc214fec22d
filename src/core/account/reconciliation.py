"""Compares the portfolio with an exchange snapshot and records every position correction."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from src.core.context import TraderContext
from src.core.limits.symbol_locks import SymbolLocks
from src.core.portfolio import STAMP_TOLERANCE_MS, TrackedPosition
from src.database.tables.positions import last_trade_id, unexpected_corrections_since
from src.domain.clock import MINUTE_MS
from src.domain.enums import PositionSide
from src.domain.numbers import ZERO
from src.domain.orders import Order, OrderNumber, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Correction, Position, PositionKey, PositionReport, Snapshot

GRACE_MS = 5_000
"""A difference newer than this may be explained by an update that has not arrived yet (I18)."""

_FREQUENCY_WINDOW_MS = 10 * MINUTE_MS
_MAX_UNEXPECTED = 1
"""One unexpected correction may be a lost event; a second one locks the account (I18)."""
_UNDATED_GRACE_MS, _OLDER_GRACE_MS = MINUTE_MS, 10 * MINUTE_MS
"""A report that is older than the newest trade overrides what is known after ten minutes: a stale replica catches up
sooner (F39). After one minute, if it has no time stamp or one within the tolerance."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Changes that make the portfolio agree with the exchange."""

    updates: tuple[OrderUpdate, ...]
    """Orders as the snapshot shows them, external ones included."""
    unconfirmed_orders: tuple[Order, ...]
    """Open orders missing from the snapshot: each is queried, none is assumed closed."""
    reports: tuple[PositionReport, ...]
    """Position reports to adopt: all that are not older than our own updates."""
    corrections: tuple[tuple[TrackedPosition, PositionReport], ...]
    """Adopted reports that differ from the portfolio."""
    unseen_trades: tuple[TrackedPosition, ...]
    """Positions of unchanged size that traded after the last trade we know."""
    closed_external_orders: tuple[OrderNumber, ...]
    """External orders that are no longer open."""
    needs_retry: bool
    """A position differs, but was updated so recently that another snapshot is needed."""


def reconcile(
    orders: Iterable[Order],
    tracked_positions: dict[PositionKey, TrackedPosition],
    external: Iterable[OrderNumber],
    snapshot: Snapshot,
) -> Reconciliation:
    """Compare the portfolio with the snapshot; updates received after the snapshot was requested take precedence."""
    listed: tuple[OrderUpdate | UnrecognizedOrder, ...] = (*snapshot.open_orders, *snapshot.unrecognized_orders)
    shown = {each.client_order_id for each in listed}
    shown_numbers = {each.number for each in listed}
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
        closed_external_orders=tuple(number for number in external if number not in shown_numbers),
        needs_retry=any(report not in reports for report in different),
    )


def is_unchanged(report: PositionReport, tracked: TrackedPosition) -> bool:
    """Whether the position is as the last run left it and has not traded since its last recorded trade.

    Always False once it has been updated in this run: earlier changes can no longer be ruled out.
    """
    if tracked.updated_locally_at:
        return False
    is_same = report.position.with_known_entry(tracked.position) == tracked.position
    known_at = max(tracked.filled_at, tracked.trades.accepted_at)
    return is_same and 0 < report.updated_at <= known_at + STAMP_TOLERANCE_MS


def _is_unconfirmed(order: Order, shown: set[str], snapshot: Snapshot) -> bool:
    is_older = (order.sent_at or order.created_at) < snapshot.requested_at
    return order.is_open and is_older and order.client_order_id not in shown


def _is_applicable(
    report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition], snapshot: Snapshot
) -> bool:
    """Whether to adopt a report.

    One that adds up with the bot's trades is adopted; any other difference must outlast the grace period.
    """
    tracked = tracked_positions.get((report.symbol, report.position_side))
    if tracked is None:
        return True
    adds_up = tracked.is_managed and report.quantity == tracked.trades.quantity
    if adds_up or not _differs(report, tracked_positions):
        return tracked.updated_locally_at < snapshot.requested_at
    return not _is_older(report, tracked, snapshot) and tracked.updated_locally_at + GRACE_MS <= snapshot.requested_at


def _is_older(report: PositionReport, tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    """Whether the report is older than the newest trade, as from a stale replica (F39): not believed for a while."""
    is_near = not report.updated_at or report.updated_at >= tracked.filled_at - STAMP_TOLERANCE_MS
    known_at = max(tracked.updated_locally_at, tracked.filled_at)
    is_recent = known_at + (_UNDATED_GRACE_MS if is_near else _OLDER_GRACE_MS) > snapshot.requested_at
    return is_recent and report.updated_at < tracked.filled_at


def _has_unseen_trades(report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition]) -> bool:
    """Whether it may have been closed and reopened at the same size without our receiving the updates."""
    tracked = tracked_positions.get((report.symbol, report.position_side))
    if tracked is None or not tracked.is_managed or not report.quantity or _differs(report, tracked_positions):
        return False
    known_at = max(tracked.reported_at, tracked.filled_at, tracked.trades.accepted_at)
    return report.updated_at > known_at + STAMP_TOLERANCE_MS


def _is_possible(tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    return snapshot.hedge_mode is (tracked.position.position_side is not PositionSide.BOTH)


def _differs(report: PositionReport, tracked_positions: dict[PositionKey, TrackedPosition]) -> bool:
    tracked = tracked_positions.get((report.symbol, report.position_side))
    return tracked is not None and tracked.position.quantity != report.quantity


def flat_reports(
    snapshot: Snapshot, tracked_positions: dict[PositionKey, TrackedPosition]
) -> tuple[PositionReport, ...]:
    """Reports of 0 for open positions that the snapshot does not list: an exchange may leave out flat symbols.

    One that the account's position mode rules out is flat for certain. A listed one that could not be read is not flat.
    """
    listed = {(each.symbol, each.position_side) for each in snapshot.positions}
    unreadable = {each.symbol for each in snapshot.unrecognized_positions}
    return tuple(
        PositionReport(
            symbol=tracked.position.symbol,
            position_side=tracked.position.position_side,
            quantity=ZERO,
            entry_price=ZERO,
            mark_price=ZERO,
            unrealized_pnl=ZERO,
            liquidation_price=ZERO,
            leverage=tracked.leverage,
            margin_type=None,
            isolated_margin=ZERO,
            updated_at=0 if _is_possible(tracked, snapshot) else snapshot.requested_at,
        )
        for tracked in tracked_positions.values()
        if tracked.position.is_open and tracked.key not in listed and tracked.position.symbol not in unreadable
    )


class CorrectionLog:
    """Records position corrections; `AccountSync` applies them."""

    def __init__(self, context: TraderContext, locks: SymbolLocks) -> None:
        self._context = context
        self._locks = locks

    def record(self, local: Position, report: PositionReport, *, is_expected: bool) -> None:
        """``is_expected``: the user data stream was down, so a difference is no sign of an error."""
        context = self._context
        newest = partial(last_trade_id, symbol=report.symbol, is_simulated=context.is_simulated)
        correction = Correction(
            symbol=report.symbol,
            position_side=report.position_side,
            local_quantity=local.quantity,
            exchange_quantity=report.quantity,
            entry_price=report.entry_price,
            last_trade_id=context.store.read_or_default(newest) or 0,
            is_expected=is_expected,
            recorded_at=context.clock.now_ms(),
        )
        context.warn(
            f"position of {report.symbol} {report.position_side} corrected from {local.quantity} to "
            f"{report.quantity}, as the exchange reports it",
            report.symbol,
        )
        context.store.record_correction(correction)

    def check_frequency(self) -> None:
        """Lock the account if a position is still unexplained after the second unexpected correction in ten minutes.

        Called when a person is asked about it. Corrections after which everything adds up do not lock (I18).
        """
        now_ms = self._context.clock.now_ms()
        count = partial(
            unexpected_corrections_since,
            since_ms=now_ms - _FREQUENCY_WINDOW_MS,
            is_simulated=self._context.is_simulated,
        )
        found = self._context.store.read_or_default(count, default=0)
        if found > _MAX_UNEXPECTED:
            reason = f"positions differed from the exchange {found} times within ten minutes"
            self._locks.lock_account(f"corrections {now_ms}", f"{reason}: compare them on the exchange")
