"""The trader: owns all trading state, turns events into commands, and commits before a command leaves."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from src.core.books import Slot
from src.core.desks.account_desk import AccountDesk
from src.core.desks.closing import ClosingDesk
from src.core.desks.consent_desk import ConsentDesk
from src.core.desks.corrections import CorrectionDesk
from src.core.desks.desk import Desk
from src.core.desks.duty_desk import DutyDesk
from src.core.desks.emergency import EmergencyDesk
from src.core.desks.entries import EntryDesk, decision_on
from src.core.desks.foreign_desk import ForeignDesk
from src.core.desks.news import tell_liquidations
from src.core.desks.operator_desk import OperatorDesk
from src.core.desks.order_desk import OrderDesk
from src.core.desks.protection_desk import ProtectionDesk
from src.core.desks.refusals import RefusalDesk
from src.core.desks.restore import load_books
from src.core.desks.retired import recall_retired
from src.core.desks.rules_desk import RulesDesk
from src.core.desks.settings_desk import SettingsDesk
from src.core.desks.strange_desk import StrangeDesk
from src.core.desks.symbol_locks import SymbolLockDesk
from src.core.inbox import Backlog, Inbox, TraderEvent
from src.core.operator.consent_prompt import TermsTyped
from src.core.operator.operator_files import FileRequest, HaltSeen
from src.core.operator.settings_changed import SettingsChanged
from src.core.order_answered import OrderAnswered
from src.core.plans.situation import ApprovedPlan, Situation
from src.core.standing import Obstacle
from src.core.status import Identity, StatusDesk
from src.core.vitals import Vitals
from src.core.watch.access_watch import AccessWatch
from src.core.watch.crash_loop import CrashLoopDesk
from src.core.watch.rest_watch import RestWatch
from src.core.watch.standstill import StandstillDesk, StoodStill, Turns
from src.core.watch.stream_watch import StreamWatch
from src.domain.decisions import Decision, Gate, Skip
from src.domain.enums import OrderRole, OrderType
from src.domain.looks import PositionsChecked
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.messages import (
    AccessGranted,
    AccessRefused,
    AccountSet,
    AccountUpdate,
    CancelRefused,
    Command,
    CommandFailed,
    Due,
    Duty,
    FillsFetched,
    FundingFetched,
    InstrumentsFetched,
    LeverageChanged,
    MarginCall,
    OperatorCommand,
    OrderNotFound,
    OrderRefused,
    OrdersFetched,
    OrderUnresolved,
    SnapshotTaken,
    Stream,
    StreamDown,
    StreamUp,
)
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.paper import PaperKept
from src.domain.strange import StrangeOrder

log = logging.getLogger("hunter.trader")

_IDLE_SECONDS = 0.5


class Trader:
    """One thread, one entry: ``handle(events)`` gives the commands that follow."""

    def __init__(self, desk: Desk, identity: Identity, read_vitals: Callable[[], Vitals]) -> None:
        self._desk = desk
        self._emergency = EmergencyDesk(desk)
        symbol_locks = SymbolLockDesk(desk)
        self._orders = OrderDesk(desk, symbol_locks)
        self._account = AccountDesk(desk, self._orders, CorrectionDesk(desk, symbol_locks))
        self._entries = EntryDesk(desk, self._account, read_vitals)
        self._closing = ClosingDesk(desk)
        self._rules = RulesDesk(desk, self._closing)
        self._refusals = RefusalDesk(desk, self._orders, self._rules, self._account, self._closing)
        self._strange = StrangeDesk(desk, self._orders, self._account.ask)
        self._access = AccessWatch(desk)
        self._consent = ConsentDesk(desk, identity, self._account.ask)
        self._operator = OperatorDesk(desk, self._closing, symbol_locks, self._orders.second_bot, self._consent)
        self._settings = SettingsDesk(desk, self._entries, self._account, self._consent, self._operator)
        self._watch = StreamWatch(desk, self._account.ask)
        self._standstill = StandstillDesk(desk, self._account.ask)
        self._rest = RestWatch(desk, self._watch, self._account, self._orders)
        self._status = StatusDesk(desk, self._entries, self._watch, identity, read_vitals)
        self._protection = ProtectionDesk(desk, self._closing, self._status)
        self._backlog: Callable[[], Backlog] = Backlog
        self._duties = DutyDesk(
            desk=desk,
            orders=self._orders,
            account=self._account,
            operator=self._operator,
            rules=self._rules,
            access=self._access,
            foreign=ForeignDesk(desk, self._orders.fills),
            watch=self._watch,
            rest=self._rest,
            status=self._status,
            emergency=self._emergency,
            crash_loop=CrashLoopDesk(desk),
            read_vitals=read_vitals,
            look_after=self._look_after,
            read_backlog=lambda: self._backlog(),
        )
        self.entries_gone = threading.Event()
        """Set once a stop was asked for and no entry can fill any more."""

    def restore(self) -> int:
        """Take up what the database holds; the number of the last operator command carried out is returned."""
        with self._desk.store.transaction():
            self._emergency.restore()
            load_books(self._desk)
            recall_retired(self._desk)
            self._desk.store.prepare()
            self._entries.restore()
            last_command = self._operator.restore()
            self._consent.restore(assume_yes=self._desk.assume_yes)
            self._watch.start()
            self._status.publish()
        self._emergency.prepare()
        return last_command

    def run(self, inbox: Inbox, submit: Callable[[Sequence[Command]], None], beat: Callable[[], None]) -> None:
        """Until a stop is asked for: drain, handle, commit, let the commands leave."""
        self._backlog = lambda: inbox.backlog
        submit(self.handle([Due(Duty.RECONCILE, self._desk.clock.now_ms())]))
        turns = Turns(self._desk.clock)
        while not inbox.is_closed:
            beat()
            events = inbox.drain(_IDLE_SECONDS)
            stood_still = turns.stood_still()
            if stood_still is not None:
                submit(self.handle([stood_still]))  # before anything that waited meanwhile
            submit(self.handle(events))

    def handle(self, events: Sequence[TraderEvent]) -> list[Command]:
        """Apply a batch in one transaction; its commands may leave because it is committed, or vouched for (F43)."""
        facts = [event for event in events if not self._note_price(event)]
        if not facts:
            return []
        with self._desk.store.transaction():
            self._emergency.look()
            for event in facts:
                self._apply(event)
            self._apply_liquidations([event for event in facts if isinstance(event, Liquidation)])
            self._status.tell_standing()
        if self._desk.standing.has(Obstacle.STOPPING) and not self._desk.books.open_orders(role=OrderRole.ENTRY):
            self.entries_gone.set()
        return self._emergency.release()

    def evaluate_trade(self, liquidation: Liquidation) -> Decision | None:
        """The verdict on a liquidation, its entry placed where it passed; None for a symbol not configured."""
        settings = self._desk.settings.symbols.get(liquidation.symbol)
        if settings is None:
            return None
        situation, verdict = self._entries.judge(liquidation, settings)
        if isinstance(verdict, Skip):
            if verdict.gate is Gate.FRESH_QUOTE:
                self._desk.ask_quote(liquidation.symbol)
            return decision_on(situation, verdict)
        return decision_on(situation, None, self.place_order(verdict, situation))

    def place_order(self, approved: ApprovedPlan, situation: Situation) -> str:
        """Record the entry and let it leave after the commit; its client order id."""
        plan = approved.plan
        request = OrderRequest(
            client_order_id=self._desk.new_entry_id(),
            symbol=plan.symbol,
            side=plan.side,
            position_side=plan.position_side,
            type=OrderType.LIMIT,
            quantity=plan.quantity,
            price=plan.price,
            time_in_force=plan.time_in_force,
        )
        not_after = situation.now_ms + situation.settings.max_event_age_ms
        self._desk.place(request, OrderRole.ENTRY, parent=None, not_after=not_after)
        self._entries.act_upon(situation)
        log.info("entry %s %s %s at %s, %.2f USDT", plan.symbol, plan.side, plan.quantity, plan.price, plan.notional)
        return request.client_order_id

    def place_tp_sl_orders(self, slot: Slot) -> None:
        """Make what stands behind a position what should stand there; safe to call at any time, any number of times."""
        holding = self._desk.books.holding(slot)
        if not holding.position.is_open:
            self._closing.settle_flat(holding)
            return
        settings = self._desk.symbol_settings(holding.position.symbol)
        instrument = self._desk.instruments.get(holding.position.symbol)
        entry = self._desk.books.entry_of(holding)
        if entry is None or settings is None or instrument is None:
            self._status.save(holding)
        else:
            self._protection.renew(holding, entry, settings, instrument)
        self._closing.work(holding)

    def _apply_liquidations(self, liquidations: Sequence[Liquidation]) -> None:
        """Store them all, then judge each in order of arrival."""
        if not liquidations:
            return
        self._entries.catch_up()
        row_ids = self._desk.store.insert_liquidations(liquidations)
        verdicts: list[tuple[int, Decision]] = []
        for row_id, liquidation in zip(row_ids, liquidations, strict=True):
            self._entries.count(liquidation)
            decision = self.evaluate_trade(liquidation)
            if decision is not None:
                verdicts.append((row_id, decision))
        self._desk.store.record_decisions(verdicts)
        tell_liquidations(self._desk, liquidations, verdicts)

    def _apply(self, event: TraderEvent) -> None:
        self._watch.listen(event)
        if isinstance(event, OrderAnswered):
            event = event.update
        match event:
            case Quote() | MarkPrice() | Liquidation():
                pass  # prices were noted before, liquidations are judged after all else
            case OrdersFetched():
                self._strange.on_listed(event)
                self._look_after(self._orders.on_news(event, self._account.snapshot))
            case OrderUpdate() | OrderUnresolved() | CancelRefused() | OrderNotFound() | FillsFetched():
                self._look_after(self._orders.on_news(event, self._account.snapshot))
            case StrangeOrder():
                self._look_after(self._strange.on_told(event))
            case InstrumentsFetched():
                self._look_after(self._rules.on_fetched(event))
            case AccessRefused():
                if self._access.on_refused(event):
                    self._account.ask("access was refused")
            case AccessGranted():
                self._access.on_granted(event)
            case OrderRefused():
                self._look_after(self._refusals.on_refused(event))
            case AccountUpdate() | FundingFetched() | AccountSet() | LeverageChanged() | MarginCall() | PaperKept():
                self._look_after(self._account.on_news(event))
            case SnapshotTaken():
                self._on_snapshot(event)
            case PositionsChecked():
                self._rest.on_checked(event)
            case CommandFailed():
                self._rules.on_failed(event)
                self._account.on_failed(event)
                self._rest.on_failed(event)
            case StreamUp() | StreamDown():
                self._watch.on_change(event)
            case Due():
                self._duties.on_due(event)
            case OperatorCommand() | HaltSeen() | FileRequest() | TermsTyped():
                self._operator.on_wish(event)
            case SettingsChanged():
                self._settings.on_changed(event)
            case StoodStill():
                self._standstill.on_woken(event)
            case _:
                assert_never(event)

    def _look_after(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            self.place_tp_sl_orders(slot)

    def _note_price(self, event: TraderEvent) -> bool:
        """Prices are state, not history: kept in memory, written with the positions once a second."""
        match event:
            case Quote():
                self._desk.quotes[event.symbol] = event
            case MarkPrice():
                self._desk.marks[event.symbol] = event
                self._watch.hear(Stream.MARKET, event.received_at)
            case _:
                return False
        return True

    def _on_snapshot(self, event: SnapshotTaken) -> None:
        self._access.on_answered()
        self._look_after(self._strange.on_snapshot(event.snapshot))
        self._rest.on_snapshot(event.snapshot)
        self._look_after(self._account.on_snapshot(event))
        self._watch.on_snapshot(event.snapshot)
        self._standstill.on_snapshot(event.snapshot)
