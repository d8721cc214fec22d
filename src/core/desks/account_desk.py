"""The account as the exchange tells it: snapshots, balances, positions, funding, modes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from src.core.books import Holding, Slot
from src.core.desks.corrections import CorrectionDesk
from src.core.desks.desk import Desk
from src.core.desks.news import conclude_flat
from src.core.desks.order_desk import OrderDesk
from src.core.plans.account_setup import in_words, leverage_misfit, plan_account_setup, untradable_symbols
from src.core.plans.reconcile import GRACE_MS, reconcile
from src.core.standing import Obstacle
from src.database.repositories import PAPER_ACCOUNT
from src.domain import crash_points
from src.domain.account_commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.crash_points import Point
from src.domain.messages import (
    AccountSet,
    AccountUpdate,
    CommandFailed,
    FetchFunding,
    FundingFetched,
    LeverageChanged,
    MarginCall,
    OrderRefused,
    SnapshotTaken,
    TakeSnapshot,
)
from src.domain.paper import PaperKept
from src.domain.positions import AccountSummary, Position, PositionReport, Snapshot

log = logging.getLogger("hunter.account")

SNAPSHOT_FRESH_MS = 60_000
_SET_EVERY_MS = 10_000
_ASK_AGAIN_MS = 5_000
_QUOTE_ASSET = "USDT"
_FUNDING_REASON = "FUNDING_FEE"
_MARGIN_TYPE_REASON = "MARGIN_TYPE_CHANGE"
_MODE_CODES = frozenset({-4061, -4062})

AccountNews = AccountUpdate | FundingFetched | AccountSet | LeverageChanged | MarginCall | PaperKept


class AccountDesk:
    """Takes over what the exchange says of the account, and asks it to be as the settings want."""

    def __init__(self, desk: Desk, orders: OrderDesk, corrections: CorrectionDesk) -> None:
        self._desk = desk
        self._corrections = corrections
        self._orders = orders
        self.snapshot: Snapshot | None = None
        self.untradable: dict[str, str] = {}
        """Symbols the account is not set for, each with its reason."""
        self._is_asking = False
        self._failure = ""
        """Why the account could not be read, as a person was last told."""
        self._ask_next: str | None = None
        """Why to ask once more when the snapshot that is on its way has come."""
        self._ask_again_at: int | None = None
        self._setting: set[AccountCommand] = set()
        self._set_at: int | None = None
        self._funding_since: int | None = None

    def poll(self, reason: str) -> None:
        """Ask as often as it must be while the private stream tells nothing."""
        if not self._is_asking:
            self._is_asking = True
            self._desk.send(TakeSnapshot(reason, is_poll=True))

    def ask(self, reason: str, *, anew: bool = False) -> None:
        """Ask for a snapshot, unless one is on its way; ``anew`` where that one may know too little: then after it."""
        if not self._is_asking:
            self._is_asking = True
            self._desk.send(TakeSnapshot(reason))
        elif anew:
            self._ask_next = reason

    def on_snapshot(self, event: SnapshotTaken) -> set[Slot]:
        """Make our records agree with the exchange; the slots to look at are returned."""
        self._is_asking, self._failure = False, ""
        is_first = self.snapshot is None
        self.snapshot = snapshot = event.snapshot
        self._take_account(snapshot.account, snapshot.taken_at)
        touched = self._reconcile(snapshot, is_first=is_first)
        crash_points.reached(Point.RECONCILED)
        self._set_up(snapshot)
        self._desk.standing.clear(Obstacle.STARTING)
        self._desk.standing.clear(Obstacle.STALE_SNAPSHOT)
        if is_first:
            self._fetch_funding()
        if self._ask_next is not None:
            reason, self._ask_next = self._ask_next, None
            self.ask(reason)
        if is_first:
            crash_points.reached(Point.STARTED)
        return touched

    def on_failed(self, event: CommandFailed) -> None:
        """A read that failed tells nothing (I16): the obstacle stays until one succeeds."""
        log.warning("%s failed: %s", type(event.command).__name__, event.reason)
        match event.command:
            case TakeSnapshot():
                self._is_asking = False
                self._ask_again_at = self._desk.clock.now_ms() + _ASK_AGAIN_MS
                if event.reason != self._failure and not self._desk.standing.has(Obstacle.REST):
                    self._failure = event.reason
                    self._desk.alert(f"the account could not be read: {event.reason}")
                if self.snapshot is None:
                    reason = f"starting: the account could not be read: {event.reason}"
                    self._desk.standing.raise_obstacle(Obstacle.STARTING, reason)
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                self._on_set_failed(event.command, event.reason)
            case _:
                pass  # what still matters is asked for again by the audit

    def on_news(self, event: AccountNews) -> Iterable[Slot]:
        """Whatever is told of the account; the slots it touched."""
        match event:
            case AccountUpdate():
                return self.on_update(event)
            case FundingFetched():
                self.on_funding(event)
            case AccountSet():
                self.on_set(event)
            case LeverageChanged():
                self.on_leverage(event)
            case MarginCall():
                names = ", ".join(symbol for symbol, _ in event.positions)
                self._desk.alert(f"the exchange warns of liquidation: {names}")
            case PaperKept():
                self._desk.store.set_state(PAPER_ACCOUNT, event.document)
            case _:
                assert_never(event)
        return ()

    def on_set(self, event: AccountSet) -> None:
        """The last of them done, the account is read back."""
        self._setting.discard(event.command)
        log.info("account set: %s", in_words(event.command))
        if not self._setting:
            self.ask("account set", anew=True)

    def _on_set_failed(self, command: AccountCommand, cause: str) -> None:
        """A mode, margin type or leverage the exchange refused: entries wait until it fits."""
        self._setting.discard(command)
        reason = f"the account could not be set as the settings want: {cause}"
        self._desk.standing.raise_obstacle(Obstacle.ACCOUNT, reason)
        self._desk.alert(reason)

    def on_update(self, update: AccountUpdate) -> set[Slot]:
        """Balances and positions that changed; what is not named is unchanged, not zero."""
        now_ms = self._desk.clock.now_ms()
        for balance in update.balances:
            if balance.asset == _QUOTE_ASSET and self._desk.account is not None:
                summary = replace(self._desk.account, wallet_balance=balance.wallet_balance)
                self._take_account(summary, now_ms)
        touched: set[Slot] = set()
        for change in update.positions:
            slot = change.position.symbol, change.position.position_side
            holding = self._desk.books.holding(slot)
            if change.position.is_open and update.changed_at >= max(holding.reported_at, holding.filled_at):
                self._orders.trail.on_report(holding, change.position.quantity)
                self._begin(holding, update.changed_at)
            holding.apply_report(change.position, update.changed_at, now_ms)
            holding.margin_type = change.margin_type or holding.margin_type
            touched.add(slot)
        if update.reason == _FUNDING_REASON:
            self._fetch_funding()
        if update.reason == _MARGIN_TYPE_REASON and not self._setting:
            self.ask("a margin type was changed", anew=True)
        return touched

    def on_refused(self, event: OrderRefused) -> None:
        """An order that does not fit the position mode: somebody has changed it."""
        if event.code in _MODE_CODES:
            self.ask("the position mode differs", anew=True)

    def on_leverage(self, event: LeverageChanged) -> None:
        """Another leverage than the settings count on keeps entries back until the account is set again (F36)."""
        wanted = self._desk.settings.symbols.get(event.symbol)
        if wanted is not None and wanted.leverage != event.leverage:
            self.untradable[event.symbol] = leverage_misfit(event.leverage, wanted)
            self.ask("the leverage was changed", anew=True)
        for (symbol, _), holding in self._desk.books.holdings.items():
            if symbol == event.symbol:
                holding.leverage = event.leverage

    def on_funding(self, event: FundingFetched) -> None:
        for income in event.incomes:
            self._funding_since = max(self._funding_since or 0, income.at)
            if income.is_funding and self._desk.store.record_funding(income):
                log.info("funding %s %s %s", income.symbol, income.amount, income.asset)
                self._desk.tell("account", {"funding": income.amount, "at": income.at}, income.symbol)

    def check_age(self, now_ms: int) -> None:
        """Entries wait for an account that was read lately; what was read too early is read again."""
        if self._ask_again_at is not None and now_ms >= self._ask_again_at:
            self._ask_again_at = None
            self.poll("a position differs")
        if self._orders.lack_snapshot(now_ms, self.snapshot):
            self.ask("an order is missing")
        in_doubt = any(each.is_flat_in_doubt for each in self._desk.books.holdings.values())
        if in_doubt and self._desk.may_ask("flat in doubt", _ASK_AGAIN_MS):
            self.ask("a position is gone by its trades alone")
        if self.snapshot is not None and now_ms - self.snapshot.taken_at > SNAPSHOT_FRESH_MS:
            reason = "the account has not been read for over a minute"
            self._desk.standing.raise_obstacle(Obstacle.STALE_SNAPSHOT, reason)

    def available_balance(self, bound_margin: Decimal) -> Decimal | None:
        """Wallet and open losses less what is bound or reserved; None until the wallet is known."""
        account = self._desk.account
        if account is None:
            return None
        return account.wallet_balance + min(self._desk.unrealized_pnl(), Decimal(0)) - bound_margin

    def _take_account(self, summary: AccountSummary, at: int) -> None:
        self._desk.account = summary
        self._desk.store.save_account(summary, at)

    def _reconcile(self, snapshot: Snapshot, *, is_first: bool) -> set[Slot]:
        books, now_ms = self._desk.books, self._desk.clock.now_ms()
        found = reconcile(books.orders.values(), books.holdings, books.foreign_orders, snapshot)
        if is_first:
            self._orders.trail.take_up(snapshot)
        for order_id in found.gone_foreign:
            books.foreign_orders.pop(order_id, None)
        if found.is_early:
            self._ask_again_at = now_ms + GRACE_MS
        touched = {self._orders.on_update(update, "snapshot") for update in found.updates}
        for order in found.doubtful:
            self._orders.doubt(order)
        is_explained = is_first or self._desk.standing.has(Obstacle.USER_STREAM)
        for holding, report in found.corrections:
            self._orders.trail.on_difference(holding, report, is_first=is_first)
            self._corrections.book(holding.position, report, is_explained=is_explained)
        self._orders.trail.on_untold(found.untold)
        for holding in found.vanished:
            holding.position, holding.touched_at = Position(*holding.slot), now_ms
            symbol, side = holding.slot
            self._desk.alert(f"position of {symbol} {side} is gone: the account's position mode has changed", symbol)
            touched.add(holding.slot)
        for report in found.reports:
            self._take_report(report, snapshot, now_ms)
            touched.add((report.symbol, report.position_side))
        return {slot for slot in touched if slot is not None}

    def _take_report(self, report: PositionReport, snapshot: Snapshot, now_ms: int) -> None:
        books, slot = self._desk.books, (report.symbol, report.position_side)
        if not report.quantity and slot not in books.holdings and report.symbol not in self._desk.settings.symbols:
            return
        holding = books.holding(slot)
        is_news = holding.position.quantity != report.quantity
        known_at = report.updated_at or (snapshot.asked_at if is_news else 0)
        if report.quantity:
            self._begin(holding, report.updated_at or snapshot.asked_at)
        reported_at = max(known_at, holding.reported_at, holding.filled_at)
        holding.apply_report(report.position, reported_at, now_ms if is_news else holding.touched_at)
        holding.describe(report)

    def _begin(self, holding: Holding, at: int) -> None:
        """A report shows something there: a new position, where the one we knew is surely gone."""
        if not holding.is_flat_in_doubt:
            conclude_flat(self._desk, holding, at)
        holding.begin(at)

    def _set_up(self, snapshot: Snapshot) -> None:
        self.untradable = untradable_symbols(self._desk.settings, snapshot)
        setup = plan_account_setup(self._desk.settings, snapshot)
        if setup.contradictions:
            self._desk.standing.raise_obstacle(Obstacle.ACCOUNT, "; ".join(setup.contradictions))
        elif not setup.commands:
            self._desk.standing.clear(Obstacle.ACCOUNT)
        elif self._desk.standing.has(Obstacle.CONSENT):
            self._desk.standing.raise_obstacle(Obstacle.ACCOUNT, "the account is set up once you have agreed")
        else:
            self._make_fit(setup.commands, snapshot.taken_at)

    def _make_fit(self, commands: Sequence[AccountCommand], now_ms: int) -> None:
        """Ask for what differs, but not again and again at the speed of the network."""
        self._desk.standing.raise_obstacle(Obstacle.ACCOUNT, "the account is being set as the settings want")
        if self._set_at is not None and now_ms - self._set_at < _SET_EVERY_MS:
            self._ask_again_at = self._set_at + _SET_EVERY_MS
            return
        self._set_at = now_ms
        self._setting = set(commands)
        for command in commands:
            self._desk.send(command)

    def _fetch_funding(self) -> None:
        """Since the last that is booked; before the first, since our oldest position or the first look."""
        if self._funding_since is None:
            opened = [each.opened_at for each in self._desk.books.open_holdings() if each.opened_at]
            seen_at = self.snapshot.asked_at if self.snapshot is not None else self._desk.clock.now_ms()
            self._funding_since = self._desk.store.last_funding_at() or min([*opened, seen_at])
        self._desk.send(FetchFunding(self._funding_since))
