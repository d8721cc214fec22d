"""Synchronizes the account with the exchange: snapshots, balances, positions, funding, modes."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from src.core.account import wallet
from src.core.account.account_configurator import AccountConfigurator
from src.core.account.income import IncomeSync
from src.core.account.reconciliation import (
    GRACE_MS,
    CorrectionLog,
    flat_reports,
    is_unchanged,
    reconcile,
    unconfirmed_orders,
)
from src.core.context import TraderContext
from src.core.orders.order_manager import OrderManager
from src.core.portfolio import TrackedPosition
from src.core.positions.lifecycle import finish_if_flat
from src.core.trading_status import EntryBlock
from src.database.repositories import PAPER_ACCOUNT
from src.domain import crash_points
from src.domain.commands import (
    FetchIncome,
    SetLeverage,
    SetMarginType,
    SetMultiAssetsMode,
    SetPositionMode,
    TakeSnapshot,
)
from src.domain.crash_points import Point
from src.domain.events import (
    AccountConfigured,
    AccountUpdate,
    CommandFailed,
    IncomeFetched,
    LeverageChanged,
    MarginCall,
    OrderRejected,
    PaperAccountSaved,
    SnapshotTaken,
)
from src.domain.positions import PositionKey, PositionReport, Snapshot

log = logging.getLogger("hunter.account")

SNAPSHOT_FRESH_MS = 60_000
_RETRY_MS = 5_000
_BALANCE_EVERY_MS = 60_000
_MISMATCH_MS = 1_000
"""An account event that is not believed is checked after this time, if no later event makes it add up."""
_ABSENT_MS = 2_000
"""An open position must be missing in lists read this far apart before it counts as flat: one of them may be cut."""
_MARGIN_TYPE_REASON = "MARGIN_TYPE_CHANGE"
_POSITION_MODE_CODES = frozenset({-4061, -4062})

AccountEvent = AccountUpdate | IncomeFetched | AccountConfigured | LeverageChanged | MarginCall | PaperAccountSaved


class AccountSync:
    """Adopts the account state that the exchange reports and configures the account as the settings require."""

    def __init__(self, context: TraderContext, orders: OrderManager, corrections: CorrectionLog) -> None:
        self._context = context
        self._corrections = corrections
        self._orders = orders
        self.income = IncomeSync(context)
        self.snapshot: Snapshot | None = None
        self.configurator = AccountConfigurator(context)
        self._reported_failure = ""
        """The last error of reading the account that was reported, to report each only once."""
        self._retry_at: int | None = None
        self._has_gap = False
        """The user data stream was not trusted at the last snapshot: events of before may have been missed."""
        self._absent_since: dict[PositionKey, int] = {}
        """Open positions that the last snapshot left out, and when the first such snapshot was requested, ms UTC."""

    def restore(self) -> None:
        """Load the state of the last run."""
        self.income.restore()

    def on_snapshot(self, event: SnapshotTaken) -> list[PositionKey]:
        """Reconcile the portfolio with the snapshot; returns the keys of touched positions."""
        self._context.is_snapshot_pending, self._reported_failure = False, ""
        is_first = self.snapshot is None
        self.snapshot = snapshot = event.snapshot
        has_moved = wallet.adopt_snapshot(self._context, snapshot)
        self.income.on_snapshot(snapshot, is_stream_complete=not self._may_lack_income(has_moved=has_moved))
        self._save_account(snapshot.taken_at)
        touched = self._reconcile(snapshot, is_first=is_first)
        crash_points.reached(Point.RECONCILED)
        self.configurator.check(snapshot)
        self._context.trading_status.clear(EntryBlock.STARTING)
        self._context.trading_status.clear(EntryBlock.STALE_SNAPSHOT)
        if self._context.next_snapshot_reason is not None:
            reason, self._context.next_snapshot_reason = self._context.next_snapshot_reason, None
            self._context.request_snapshot(reason)
        if is_first:
            crash_points.reached(Point.STARTED)
        return touched

    def _may_lack_income(self, *, has_moved: bool) -> bool:
        """Whether transfers or funding may have been missed and are to be read.

        The history weighs more than the account. So in a time without a trusted user data stream, in which the account
        is read every two seconds, it is read each minute and when a balance has moved, and once more at its end.
        """
        had_gap, self._has_gap = self._has_gap, self._context.trading_status.has(EntryBlock.USER_STREAM)
        if self._has_gap:
            is_due = self._context.may_request("income of a gap", _BALANCE_EVERY_MS)
            return has_moved or is_due
        return had_gap or (has_moved and self._context.may_request("unreported balance", _BALANCE_EVERY_MS))

    def on_failed(self, event: CommandFailed) -> None:
        """Handle a failed request; a failed read changes nothing, so entries stay blocked until one succeeds (I16)."""
        match event.command:
            case TakeSnapshot():
                self._context.is_snapshot_pending = False
                self._retry_at = self._context.clock.now_ms() + _RETRY_MS
                if event.reason != self._reported_failure and not self._context.trading_status.has(EntryBlock.REST):
                    self._reported_failure = event.reason
                    self._context.warn(f"the account could not be read: {event.reason}")
                if self.snapshot is None:
                    reason = f"starting: the account could not be read: {event.reason}"
                    self._context.trading_status.block(EntryBlock.STARTING, reason)
            case FetchIncome():
                self.income.on_failed(event.command)
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                self.configurator.on_failed(event.command, event)
            case _:
                pass  # the periodic check requests it again if it is still needed

    def handle(self, event: AccountEvent) -> Iterable[PositionKey]:
        """Apply an account event; returns the keys of touched positions."""
        match event:
            case AccountUpdate():
                return self.on_update(event)
            case IncomeFetched():
                self.income.on_fetched(event)
            case AccountConfigured():
                self.configurator.on_configured(event)
            case LeverageChanged():
                self.on_leverage(event)
            case MarginCall():
                names = ", ".join(symbol for symbol, _ in event.positions)
                self._context.warn(f"margin call: {names} may be liquidated")
            case PaperAccountSaved():
                self._context.store.set_state(PAPER_ACCOUNT, event.document)
            case _:
                assert_never(event)
        return ()

    def on_update(self, update: AccountUpdate) -> list[PositionKey]:
        """Apply changed balances and positions; anything not listed is unchanged, not zero."""
        now_ms = self._context.clock.now_ms()
        wallet.adopt_balances(self._context, update)
        self._save_account(now_ms)
        touched: list[PositionKey] = []
        for change in update.positions:
            key = change.position.key
            tracked = self._context.portfolio.tracked(key)
            if not tracked.believes(change.position.quantity, update.changed_at):
                tracked.mismatched_since = tracked.mismatched_since or self._context.clock.monotonic_ms()
                continue
            if change.position.is_open:
                self._open_position(tracked, update.changed_at)
            tracked.apply_report(change.position, update.changed_at, now_ms)
            tracked.margin_type = change.margin_type or tracked.margin_type
            touched.append(key)
        self.income.on_account_update(update)
        if update.reason == _MARGIN_TYPE_REASON:
            self.configurator.on_margin_types_changed()
        return touched

    def on_rejected(self, event: OrderRejected) -> None:
        """Request a snapshot if an order was rejected because the position mode has been changed."""
        if event.code in _POSITION_MODE_CODES:
            self._context.request_snapshot("the position mode differs", repeat_if_pending=True)

    def on_leverage(self, event: LeverageChanged) -> None:
        """Adopt a symbol's leverage, which may be another than the settings want (F36)."""
        self.configurator.on_leverage_changed(event)
        self._context.leverages[event.symbol] = event.leverage
        for (symbol, _), tracked in self._context.portfolio.tracked_positions.items():
            if symbol == event.symbol:
                tracked.leverage = event.leverage

    def check_staleness(self, now_ms: int) -> None:
        """Block entries if the last snapshot is too old, and request another one if needed; times in milliseconds."""
        self.income.check()
        if self._retry_at is not None and now_ms >= self._retry_at:
            self._retry_at = None
            self._context.request_snapshot("a position differs", is_poll=True)
        if self._orders.needs_snapshot(now_ms, self.snapshot):
            self._context.request_snapshot("an order is missing")
        if self._is_position_mismatched() and self._context.may_request("position mismatch", _RETRY_MS):
            self._context.request_snapshot("the events of a position do not add up")
        if self.snapshot is not None and now_ms - self.snapshot.taken_at > SNAPSHOT_FRESH_MS:
            reason = "the account has not been read for over a minute"
            self._context.trading_status.block(EntryBlock.STALE_SNAPSHOT, reason)

    def _is_position_mismatched(self) -> bool:
        """Whether a position is flat according to its fills only, or an account event was not believed."""
        before = self._context.clock.monotonic_ms() - _MISMATCH_MS
        return any(
            each.is_flat_unconfirmed or (each.mismatched_since is not None and each.mismatched_since <= before)
            for each in self._context.portfolio.tracked_positions.values()
        )

    def _save_account(self, at: int) -> None:
        summary = wallet.current_summary(self._context)
        if summary is not None:
            self._context.store.save_account(summary, at, self._context.transfers)

    def _reconcile(self, snapshot: Snapshot, *, is_first: bool) -> list[PositionKey]:
        portfolio, now_ms = self._context.portfolio, self._context.clock.now_ms()
        absent = self._absent_positions(snapshot)
        snapshot = replace(snapshot, positions=(*snapshot.positions, *absent))
        result = reconcile(portfolio.tracked_positions, snapshot)
        unconfirmed = unconfirmed_orders(portfolio.orders.values(), snapshot)
        if is_first:
            self._verify_positions(snapshot)
        listed = {each.number for each in snapshot.listed_orders}
        portfolio.external_orders = {key: each for key, each in portfolio.external_orders.items() if key in listed}
        if result.needs_retry:
            self._retry_at = min(self._retry_at or now_ms + GRACE_MS, now_ms + GRACE_MS)
        touched = [self._orders.on_order_update(update, "snapshot") for update in snapshot.open_orders]
        for order in unconfirmed:
            order.mark_uncertain(now_ms)
            self._orders.mark_unresolved(order)
        is_expected = is_first or self._context.trading_status.has(EntryBlock.USER_STREAM)
        for tracked, report in result.corrections:
            self._corrections.record(tracked.position, report, is_expected=is_expected)
        for tracked in result.unseen_trades:
            tracked.trades.has_others = True  # until its trades have been read
        for report in result.reports:
            self._apply_report(report, snapshot, now_ms)
            touched.append(report.key)
        return [key for key in touched if key is not None]

    def _absent_positions(self, snapshot: Snapshot) -> list[PositionReport]:
        """Reports of 0 for positions that repeated snapshots leave out; a first one is only followed by another."""
        absent = flat_reports(snapshot, self._context.portfolio.tracked_positions)
        keys = [each.key for each in absent]
        self._absent_since = {key: self._absent_since.get(key, snapshot.requested_at) for key in keys}
        before = snapshot.requested_at - _ABSENT_MS
        if any(since > before for since in self._absent_since.values()):
            self._retry_at = self._context.clock.now_ms() + _ABSENT_MS
        return [
            each for key, each in zip(keys, absent, strict=True) if each.updated_at or self._absent_since[key] <= before
        ]

    def _verify_positions(self, snapshot: Snapshot) -> None:
        """Compare the positions of the last run with the first snapshot; the trades of changed ones are read."""
        reports = {each.key: each for each in snapshot.positions}
        for tracked in self._context.portfolio.open_positions():
            report = reports.get(tracked.key)
            if report is not None and is_unchanged(report, tracked):
                tracked.trades.has_others = False

    def _apply_report(self, report: PositionReport, snapshot: Snapshot, now_ms: int) -> None:
        portfolio, key = self._context.portfolio, report.key
        if (
            not report.quantity
            and key not in portfolio.tracked_positions
            and report.symbol not in self._context.settings.symbols
        ):
            return
        tracked = portfolio.tracked(key)
        has_changed = tracked.position.quantity != report.quantity
        known_at = report.updated_at or (snapshot.requested_at if has_changed else 0)
        if report.quantity:
            self._open_position(tracked, report.updated_at or snapshot.requested_at)
        reported_at = max(known_at, tracked.reported_at, tracked.filled_at)
        tracked.apply_report(report.position, reported_at, now_ms if has_changed else tracked.updated_locally_at)
        if has_changed and not report.updated_at:
            tracked.reported_until = snapshot.taken_at
        tracked.update_details(report)

    def _open_position(self, tracked: TrackedPosition, at: int) -> None:
        """Track an open position from a report; a previous one that is confirmed flat is finished first."""
        if not tracked.is_flat_unconfirmed:
            finish_if_flat(self._context, tracked, at)
        tracked.open(at)
