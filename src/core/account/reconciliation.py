"""Compares the portfolio with an exchange snapshot and records every position correction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from src.core.context import TraderContext
from src.core.limits.symbol_locks import SymbolLocks
from src.core.portfolio import STAMP_TOLERANCE_MS, TrackedPosition
from src.database.tables.positions import last_trade_id, unexpected_corrections_since
from src.domain.clock import MINUTE_MS
from src.domain.enums import PositionSide
from src.domain.numbers import ZERO
from src.domain.orders import Order
from src.domain.positions import Correction, Position, PositionKey, PositionReport, Snapshot

GRACE_MS = 5_000
"""A difference newer than this may be explained by an update that has not arrived yet (I18)."""

_FREQUENCY_WINDOW_MS = 10 * MINUTE_MS
_MAX_UNEXPECTED = 1
"""One unexpected correction may be a lost event; a second one locks the account (I18)."""
_UNDATED_GRACE_MS, _OLDER_GRACE_MS = MINUTE_MS, 10 * MINUTE_MS
"""A report that is older than the newest trade overrides what is known after ten minutes: a stale replica catches up
sooner (F39). After one minute, if it has no time stamp or one within the tolerance."""


@dataclass(slots=True)
class Reconciliation:
    """Changes that make the positions of the portfolio agree with the exchange."""

    reports: list[PositionReport] = field(default_factory=list)
    """Position reports to adopt: all that are not older than our own updates."""
    corrections: list[tuple[TrackedPosition, PositionReport]] = field(default_factory=list)
    """Adopted reports that differ from the portfolio."""
    unseen_trades: list[TrackedPosition] = field(default_factory=list)
    """Positions of unchanged size that traded after the last trade we know."""
    needs_retry: bool = False
    """A position differs, but was updated so recently that another snapshot is needed."""


def reconcile(tracked_positions: Mapping[PositionKey, TrackedPosition], snapshot: Snapshot) -> Reconciliation:
    """Compare the positions with the snapshot; updates received after the snapshot was requested take precedence."""
    found = Reconciliation()
    for report in snapshot.positions:
        tracked = tracked_positions.get(report.key)
        is_different = tracked is not None and tracked.position.quantity != report.quantity
        if tracked is not None and not _is_applicable(report, tracked, snapshot):
            found.needs_retry |= is_different
            continue
        found.reports.append(report)
        if tracked is not None and is_different:
            found.corrections.append((tracked, report))
        elif tracked is not None and _has_unseen_trades(report, tracked):
            found.unseen_trades.append(tracked)
    return found


def unconfirmed_orders(orders: Iterable[Order], snapshot: Snapshot) -> list[Order]:
    """Open orders missing from the snapshot: each is queried, none is assumed closed."""
    listed = {each.client_order_id for each in snapshot.listed_orders}
    older = (each for each in orders if each.is_open and (each.sent_at or each.created_at) < snapshot.requested_at)
    return [each for each in older if each.client_order_id not in listed]


def is_unchanged(report: PositionReport, tracked: TrackedPosition) -> bool:
    """Whether the position is as the last run left it and has not traded since its last recorded trade.

    Always False once it has been updated in this run: earlier changes can no longer be ruled out.
    """
    if tracked.updated_locally_at:
        return False
    is_same = report.position.with_known_entry(tracked.position) == tracked.position
    known_at = max(tracked.filled_at, tracked.trades.accepted_at)
    return is_same and 0 < report.updated_at <= known_at + STAMP_TOLERANCE_MS


def _is_applicable(report: PositionReport, tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    """Whether to adopt a report.

    One that adds up with the bot's trades is adopted; any other difference must outlast the grace period.
    """
    adds_up = tracked.is_managed and report.quantity == tracked.trades.quantity
    if adds_up or report.quantity == tracked.position.quantity:
        return tracked.updated_locally_at < snapshot.requested_at
    return not _is_older(report, tracked, snapshot) and tracked.updated_locally_at + GRACE_MS <= snapshot.requested_at


def _is_older(report: PositionReport, tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    """Whether the report is older than the newest trade, as from a stale replica (F39): not believed for a while."""
    is_near = not report.updated_at or report.updated_at >= tracked.filled_at - STAMP_TOLERANCE_MS
    known_at = max(tracked.updated_locally_at, tracked.filled_at)
    is_recent = known_at + (_UNDATED_GRACE_MS if is_near else _OLDER_GRACE_MS) > snapshot.requested_at
    return is_recent and report.updated_at < tracked.filled_at


def _has_unseen_trades(report: PositionReport, tracked: TrackedPosition) -> bool:
    """Whether it may have been closed and reopened at the same size without our receiving the updates."""
    known_at = max(tracked.reported_at, tracked.filled_at, tracked.trades.accepted_at)
    return tracked.is_managed and bool(report.quantity) and report.updated_at > known_at + STAMP_TOLERANCE_MS


def _is_possible(tracked: TrackedPosition, snapshot: Snapshot) -> bool:
    return snapshot.hedge_mode is (tracked.position.position_side is not PositionSide.BOTH)


def flat_reports(
    snapshot: Snapshot, tracked_positions: dict[PositionKey, TrackedPosition]
) -> tuple[PositionReport, ...]:
    """Reports of 0 for open positions that the snapshot does not list: an exchange may leave out flat symbols.

    One that the account's position mode rules out is flat for certain. A listed one that could not be read is not flat.
    """
    listed = {each.key for each in snapshot.positions}
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
