"""The trader: owns all trading state, turns events into commands, and commits before a command leaves."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from src.core.account.account_sync import AccountSync
from src.core.account.instruments import InstrumentRefresher, load_removed_symbols
from src.core.account.reconciliation import CorrectionLog
from src.core.context import TraderContext
from src.core.entries.entry_context import ApprovedPlan, EntryContext
from src.core.entries.evaluator import EntryEvaluator, make_decision
from src.core.event_queue import EventQueue, QueueStats
from src.core.events import (
    ConsentTyped,
    ExchangeHealth,
    FileCommand,
    HaltFileChanged,
    InternalEvent,
    OrderResponse,
    ProcessStalled,
    SettingsChanged,
    TraderEvent,
)
from src.core.health.auth_health import AuthHealth
from src.core.health.degraded_store import DegradedStore
from src.core.health.rest_health import RestHealth
from src.core.health.stall import CrashLoopGuard, StallDetector, StallGuard
from src.core.health.status import BotInfo, StatusPublisher
from src.core.health.stream_health import StreamHealth
from src.core.limits.live_consent import LiveConsent
from src.core.limits.symbol_locks import SymbolLocks
from src.core.operator.commands import OperatorCommands
from src.core.orders.order_manager import OrderManager
from src.core.orders.unrecognized import UnrecognizedOrders
from src.core.positions.closing import PositionCloser
from src.core.positions.external_positions import ExternalPositions
from src.core.positions.lifecycle import journal_liquidations, restore_portfolio
from src.core.positions.protection import ProtectionManager
from src.core.scheduled_tasks import ScheduledTasks
from src.core.trading_status import EntryBlock
from src.domain.commands import Command, OperatorCommand
from src.domain.decisions import Decision, Gate, Skip
from src.domain.enums import OrderRole, OrderType
from src.domain.events import (
    AccountConfigured,
    AccountUpdate,
    AuthFailed,
    AuthRecovered,
    CancelRejected,
    CommandFailed,
    FillsFetched,
    FundingFetched,
    InstrumentsFetched,
    LeverageChanged,
    MarginCall,
    OrderNotFound,
    OrderRejected,
    OrdersFetched,
    OrderUnresolved,
    PaperAccountSaved,
    PositionsChecked,
    SnapshotTaken,
    Stream,
    StreamDown,
    StreamUp,
    Task,
    TaskDue,
)
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import OrderRequest, OrderUpdate, UnrecognizedOrder
from src.domain.positions import PositionKey

log = logging.getLogger("hunter.trader")

_IDLE_SECONDS = 0.5


class Trader:
    """One thread, one entry: ``handle(events)`` gives the commands that follow."""

    def __init__(
        self, context: TraderContext, identity: BotInfo, read_exchange_health: Callable[[], ExchangeHealth]
    ) -> None:
        self._context = context
        self._degraded_store = DegradedStore(context)
        symbol_locks = SymbolLocks(context)
        self._orders = OrderManager(context, symbol_locks)
        self._account = AccountSync(context, self._orders, CorrectionLog(context, symbol_locks))
        self._entries = EntryEvaluator(context, self._account, read_exchange_health)
        self._closing = PositionCloser(context)
        self._instruments = InstrumentRefresher(context, self._closing)
        self._unrecognized = UnrecognizedOrders(context, self._orders, self._account.request_snapshot)
        self._auth = AuthHealth(context)
        self._live_consent = LiveConsent(context, identity, self._account.request_snapshot)
        self._operator = OperatorCommands(
            context, self._closing, symbol_locks, self._orders.other_bot, self._live_consent
        )
        self._streams = StreamHealth(context, self._account.request_snapshot)
        self._stall_guard = StallGuard(context, self._account.request_snapshot)
        self._rest = RestHealth(context, self._streams, self._account, self._orders)
        self._status = StatusPublisher(context, self._entries, self._streams, identity, read_exchange_health)
        self._protection = ProtectionManager(context, self._closing, self._status)
        self._read_queue_stats: Callable[[], QueueStats] = QueueStats
        self._tasks = ScheduledTasks(
            context=context,
            orders=self._orders,
            account=self._account,
            operator=self._operator,
            instruments=self._instruments,
            auth=self._auth,
            external_positions=ExternalPositions(context, self._orders.fills),
            streams=self._streams,
            rest=self._rest,
            status=self._status,
            degraded_store=self._degraded_store,
            crash_loop=CrashLoopGuard(context),
            read_exchange_health=read_exchange_health,
            update_protection=self._update_protection,
            read_queue_stats=lambda: self._read_queue_stats(),
        )
        self.entries_cancelled = threading.Event()
        """Set once a stop was asked for and no entry can fill any more."""

    def restore(self) -> int:
        """Take up what the database holds; the number of the last operator command carried out is returned."""
        with self._context.store.transaction():
            self._degraded_store.restore()
            restore_portfolio(self._context)
            load_removed_symbols(self._context)
            self._context.store.load_last_ids()
            self._entries.restore()
            last_command = self._operator.restore()
            self._live_consent.restore(assume_yes=self._context.assume_yes)
            self._streams.start()
            self._status.publish()
        self._degraded_store.prepare()
        return last_command

    def run(
        self, event_queue: EventQueue, submit: Callable[[Sequence[Command]], None], heartbeat: Callable[[], None]
    ) -> None:
        """Until a stop is asked for: drain, handle, commit, let the commands leave."""
        self._read_queue_stats = lambda: event_queue.stats
        submit(self.handle([TaskDue(Task.RECONCILE, self._context.clock.now_ms())]))
        turns = StallDetector(self._context.clock)
        while not event_queue.is_closed:
            heartbeat()
            events = event_queue.take_batch(_IDLE_SECONDS)
            stood_still = turns.check()
            if stood_still is not None:
                submit(self.handle([stood_still]))  # before anything that waited meanwhile
            submit(self.handle(events))

    def handle(self, events: Sequence[TraderEvent]) -> list[Command]:
        """Apply a batch in one transaction; its commands may leave because it is committed, or vouched for (F43)."""
        remaining = [event for event in events if not self._update_price(event)]
        if not remaining:
            return []
        with self._context.store.transaction():
            self._degraded_store.check_store()
            for event in remaining:
                self._apply(event)
            self._apply_liquidations([event for event in remaining if isinstance(event, Liquidation)])
            self._status.publish_trading_status()
        if self._context.trading_status.has(EntryBlock.STOPPING) and not self._context.portfolio.open_orders(
            role=OrderRole.ENTRY
        ):
            self.entries_cancelled.set()
        return self._degraded_store.take_commands()

    def evaluate_trade(self, liquidation: Liquidation) -> Decision | None:
        """The verdict on a liquidation, its entry placed where it passed; None for a symbol not configured."""
        settings = self._context.settings.symbols.get(liquidation.symbol)
        if settings is None:
            return None
        entry_context, outcome = self._entries.evaluate(liquidation, settings)
        if isinstance(outcome, Skip):
            if outcome.gate is Gate.FRESH_QUOTE:
                self._context.request_quote(liquidation.symbol)
            return make_decision(entry_context, outcome)
        return make_decision(entry_context, None, self.place_order(outcome, entry_context))

    def place_order(self, approved: ApprovedPlan, entry_context: EntryContext) -> str:
        """Record the entry and let it leave after the commit; its client order id."""
        plan = approved.plan
        request = OrderRequest(
            client_order_id=self._context.new_entry_id(),
            symbol=plan.symbol,
            side=plan.side,
            position_side=plan.position_side,
            type=OrderType.LIMIT,
            quantity=plan.quantity,
            price=plan.price,
            time_in_force=plan.time_in_force,
        )
        not_after = entry_context.now_ms + entry_context.settings.max_event_age_ms
        self._context.submit_order(request, OrderRole.ENTRY, entry_client_order_id=None, not_after=not_after)
        self._entries.mark_traded(entry_context)
        log.info("entry %s %s %s at %s, %.2f USDT", plan.symbol, plan.side, plan.quantity, plan.price, plan.notional)
        return request.client_order_id

    def place_tp_sl_orders(self, key: PositionKey) -> None:
        """Make what stands behind a position what should stand there; safe to call at any time, any number of times."""
        tracked = self._context.portfolio.tracked(key)
        if not tracked.position.is_open:
            self._closing.on_flat(tracked)
            return
        settings = self._context.symbol_settings(tracked.position.symbol)
        instrument = self._context.instruments.get(tracked.position.symbol)
        entry = self._context.portfolio.entry_order_for(tracked)
        if entry is None or settings is None or instrument is None:
            self._status.save_position(tracked)
        else:
            self._protection.update(tracked, entry, settings, instrument)
        self._closing.advance(tracked)

    def _apply_liquidations(self, liquidations: Sequence[Liquidation]) -> None:
        """Store them all, then judge each in order of arrival."""
        if not liquidations:
            return
        self._entries.refill_if_stale()
        row_ids = self._context.store.insert_liquidations(liquidations)
        decisions: list[tuple[int, Decision]] = []
        for row_id, liquidation in zip(row_ids, liquidations, strict=True):
            self._entries.add_to_window(liquidation)
            decision = self.evaluate_trade(liquidation)
            if decision is not None:
                decisions.append((row_id, decision))
        self._context.store.record_decisions(decisions)
        journal_liquidations(self._context, liquidations, decisions)

    def _apply(self, event: TraderEvent) -> None:
        self._streams.observe(event)
        if isinstance(event, OrderResponse):
            event = event.update
        match event:
            case Quote() | MarkPrice() | Liquidation():
                pass  # prices were noted before, liquidations are judged after all else
            case OrdersFetched():
                self._unrecognized.on_order_list(event)
                self._update_protection(self._orders.handle(event, self._account.snapshot))
            case OrderUpdate() | OrderUnresolved() | CancelRejected() | OrderNotFound() | FillsFetched():
                self._update_protection(self._orders.handle(event, self._account.snapshot))
            case UnrecognizedOrder():
                self._update_protection(self._unrecognized.on_stream_event(event))
            case InstrumentsFetched():
                self._update_protection(self._instruments.on_fetched(event))
            case AuthFailed():
                if self._auth.on_auth_failed(event):
                    self._account.request_snapshot("access was refused")
            case AuthRecovered():
                self._auth.on_auth_recovered(event)
            case OrderRejected():
                self._update_protection(self._on_order_rejected(event))
            case (
                AccountUpdate()
                | FundingFetched()
                | AccountConfigured()
                | LeverageChanged()
                | MarginCall()
                | PaperAccountSaved()
            ):
                self._update_protection(self._account.handle(event))
            case SnapshotTaken():
                self._on_snapshot(event)
            case PositionsChecked():
                self._rest.on_checked(event)
            case CommandFailed():
                self._instruments.on_failed(event)
                self._account.on_failed(event)
                self._rest.on_failed(event)
            case StreamUp() | StreamDown():
                self._streams.on_connection_change(event)
            case _:
                self._apply_internal(event)

    def _apply_internal(self, event: InternalEvent) -> None:
        """What comes from the bot itself or from a person, not from the exchange."""
        match event:
            case TaskDue():
                self._tasks.on_due(event)
            case OperatorCommand() | HaltFileChanged() | FileCommand() | ConsentTyped():
                self._operator.handle(event)
            case SettingsChanged():
                self._operator.apply_settings(event, self._entries, self._account)
            case ProcessStalled():
                self._stall_guard.on_resumed(event)
            case _:
                assert_never(event)

    def _update_protection(self, keys: Iterable[PositionKey]) -> None:
        for key in keys:
            self.place_tp_sl_orders(key)

    def _update_price(self, event: TraderEvent) -> bool:
        """Prices are state, not history: kept in memory, written with the positions once a second."""
        match event:
            case Quote():
                self._context.quotes[event.symbol] = event
            case MarkPrice():
                self._context.mark_prices[event.symbol] = event
                self._streams.record_activity(Stream.MARKET, event.received_at)
            case _:
                return False
        return True

    def _on_snapshot(self, event: SnapshotTaken) -> None:
        self._auth.on_response()
        self._update_protection(self._unrecognized.on_snapshot(event.snapshot))
        self._rest.on_snapshot(event.snapshot)
        self._update_protection(self._account.on_snapshot(event))
        self._streams.on_snapshot(event.snapshot)
        self._stall_guard.on_snapshot(event.snapshot)

    def _on_order_rejected(self, event: OrderRejected) -> Iterable[PositionKey]:
        """The positions to protect again now; an order that never left is retried by the next check."""
        order = self._orders.on_rejected(event)
        if order is None:
            return ()
        self._instruments.on_rejected(order, event)
        self._account.on_rejected(event)
        if order.role is OrderRole.ENTRY:
            return ()
        key = order.symbol, order.request.position_side
        self._closing.on_rejected(self._context.portfolio.tracked(key), order, event)
        if order.role is OrderRole.CLOSE:
            self._account.request_snapshot("a close was rejected", repeat_if_pending=True)
        return (key,) if event.is_order_rejection else ()
