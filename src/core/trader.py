"""The trader: owns the trading state, turns events into commands, and commits before a command is sent."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from src.core.account.account_sync import AccountEvent, AccountSync
from src.core.account.instruments import InstrumentRefresher, load_removed_symbols, save_symbol_settings
from src.core.account.reconciliation import CorrectionLog
from src.core.context import TraderContext
from src.core.entries.entry_context import ApprovedPlan
from src.core.entries.evaluator import EntryEvaluator
from src.core.event_queue import EventQueue
from src.core.events import (
    ConsentTyped,
    DatabaseChecked,
    ExchangeHealth,
    Fact,
    FileCommand,
    HaltFileChanged,
    InternalEvent,
    OrderResponse,
    ProcessStalled,
    SettingsChanged,
    SettingsRefused,
    TraderEvent,
)
from src.core.health.auth_health import AuthHealth
from src.core.health.degraded_store import DegradedStore
from src.core.health.rest_health import RestHealth
from src.core.health.stall import CrashLoopGuard, StallDetector, StallGuard
from src.core.health.status import BotInfo, StatusPublisher
from src.core.health.stream_health import StreamHealth
from src.core.health.symbol_problems import SymbolProblems
from src.core.health.unreadable import UnreadableLog
from src.core.limits.live_consent import LiveConsent
from src.core.limits.symbol_locks import SymbolLocks
from src.core.operator.commands import OperatorCommands
from src.core.operator.stopping import GracefulStop
from src.core.orders.order_manager import OrderManager
from src.core.orders.unrecognized import UnrecognizedOrders
from src.core.positions.closing import PositionCloser
from src.core.positions.lifecycle import restore_portfolio
from src.core.positions.ownership import PositionOwnership
from src.core.positions.protection import ProtectionManager
from src.core.positions.unprotected import UnprotectedPositions
from src.core.scheduled_tasks import ScheduledTasks
from src.domain.commands import Command, OperatorCommand
from src.domain.decisions import Decision, Gate
from src.domain.enums import OrderRole, OrderType
from src.domain.events import (
    AuthFailed,
    AuthRecovered,
    BracketsFetched,
    CancelRejected,
    CommandFailed,
    FillsFetched,
    InstrumentsFetched,
    MarketEvent,
    OrderNotFound,
    OrderRejected,
    OrdersFetched,
    OrderUnresolved,
    PositionsChecked,
    SnapshotTaken,
    StreamDown,
    StreamUp,
    Task,
    TaskDue,
    UnreadableMessages,
)
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import OrderRequest, OrderUpdate, UnrecognizedOrder
from src.domain.positions import PositionKey

log = logging.getLogger("hunter.trader")

_IDLE_SECONDS = 0.5
_LOG_SECONDS = 0.01
"""Lines that wait are written after so long without an event."""


class Trader:
    """Owns the trading state in one thread: ``handle`` applies a batch of events and returns the commands to send."""

    def __init__(
        self, context: TraderContext, identity: BotInfo, read_exchange_health: Callable[[], ExchangeHealth]
    ) -> None:
        self._context = context
        self._degraded_store = DegradedStore(context)
        symbol_locks = SymbolLocks(context)
        self._orders = OrderManager(context, symbol_locks)
        corrections = CorrectionLog(context, symbol_locks)
        self._account = AccountSync(context, self._orders, corrections)
        self._ownership = PositionOwnership(context, self._orders.fills, corrections, self._account.income)
        self._entries = EntryEvaluator(context, self._account, read_exchange_health)
        self._closing = PositionCloser(context)
        self._instruments = InstrumentRefresher(context, self._closing)
        self._unrecognized = UnrecognizedOrders(context, self._orders)
        self._unreadable = UnreadableLog(context, self._unrecognized)
        self._auth = AuthHealth(context)
        self._live_consent = LiveConsent(context, identity)
        self._operator = OperatorCommands(
            context, self._closing, symbol_locks, self._orders.identity, self._live_consent, self._ownership
        )
        self._streams = StreamHealth(context)
        self._stall_guard = StallGuard(context)
        self._rest = RestHealth(context, self._streams, self._orders)
        health = read_exchange_health
        self._status = StatusPublisher(context, self._entries, self._streams, identity, health, self._ownership)
        self._protection = ProtectionManager.create(context, self._closing, self._status)
        self.graceful_stop = GracefulStop(context)
        self._unprotected = UnprotectedPositions(context, self._closing)
        self._tasks = ScheduledTasks(
            context=context,
            graceful_stop=self.graceful_stop,
            orders=self._orders,
            account=self._account,
            operator=self._operator,
            instruments=self._instruments,
            auth=self._auth,
            ownership=self._ownership,
            streams=self._streams,
            symbol_problems=SymbolProblems(context),
            rest=self._rest,
            degraded_store=self._degraded_store,
            unprotected=self._unprotected,
            crash_loop=CrashLoopGuard(context),
            read_exchange_health=read_exchange_health,
        )

    def restore(self) -> int:
        """Load the state from the database; returns the id of the last operator command that was executed."""
        with self._context.store.transaction():
            self._degraded_store.restore()
            restore_portfolio(self._context)
            load_removed_symbols(self._context)
            self._context.store.load_last_ids()
            self._account.restore()
            self._entries.restore()
            last_command = self._operator.restore()
            self._live_consent.restore(assume_yes=self._context.assume_yes)
            save_symbol_settings(self._context)
            self._streams.start()
            self._status.publish()
        self._degraded_store.prepare()
        return last_command

    def run(
        self, event_queue: EventQueue, submit: Callable[[Sequence[Command]], None], heartbeat: Callable[[], None]
    ) -> None:
        """Handle batches and submit their commands until the queue is closed."""
        try:
            submit(self.handle([TaskDue(Task.RECONCILE, self._context.clock.now_ms())]))
            stall_detector = StallDetector(self._context.clock)
            while not event_queue.is_closed:
                heartbeat()
                events = event_queue.take_batch(_LOG_SECONDS if self._context.has_log_lines else _IDLE_SECONDS)
                self._context.queue_stats = event_queue.stats
                stall = stall_detector.check()
                if stall is not None:
                    submit(self.handle([stall]))  # before the events that were queued meanwhile
                submit(self.handle(events))
                if all(isinstance(event, Quote | MarkPrice) for event in events):  # in a busy market some always arrive
                    self._context.write_log()
                if not event_queue.stats.waiting:
                    self._context.store.maintenance.run()
        finally:
            self._context.write_log()

    def handle(self, events: Sequence[TraderEvent]) -> list[Command]:
        """Apply a batch in one transaction and return the commands that may be sent, now that it is committed.

        Prices are applied first, then facts in order of arrival, then liquidations: an entry is decided on what is
        known at the end of the batch. Without a commit only protective and closing orders are sent (F43).
        """
        for event in events:
            self._update_price(event)
        facts = [event for event in events if not isinstance(event, MarketEvent)]
        liquidations = [event for event in events if isinstance(event, Liquidation)]
        if not facts and not liquidations:
            return []
        with self._context.store.transaction():
            self._degraded_store.check_store()
            self._apply_facts(facts)
            self._apply_liquidations(liquidations)
            self._status.publish_trading_status()
        self.graceful_stop.check()
        return self._degraded_store.take_commands()

    def evaluate_trade(self, liquidation: Liquidation) -> Decision | None:
        """Decide on a liquidation and place its entry if every gate passes; None if the symbol is not configured."""
        settings = self._context.settings.symbols.get(liquidation.symbol)
        if settings is None:
            return None
        decision, approved = self._entries.evaluate(liquidation, settings)
        if approved is not None:
            return replace(decision, client_order_id=self.place_order(approved))
        if decision.gate is Gate.FRESH_QUOTE:
            self._context.request_quote(liquidation.symbol)
        return decision

    def place_order(self, approved: ApprovedPlan) -> str:
        """Record the entry and queue it to be sent after the commit; returns its client order id."""
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
        self._context.submit_order(request, OrderRole.ENTRY, entry_client_order_id=None, not_after=plan.not_after)
        self._context.log_later(
            "entry placed symbol=%s side=%s quantity=%s price=%s notional=%.2f",
            *(plan.symbol, plan.side, plan.quantity, plan.price, plan.notional),
        )
        return request.client_order_id

    def place_tp_sl_orders(self, key: PositionKey) -> None:
        """Place, replace or cancel the take profit and stop loss of a position as the settings say; idempotent."""
        tracked = self._context.portfolio.tracked(key)
        if not tracked.position.is_open:
            self._unprotected.observe(tracked)
            self._closing.on_flat(tracked)
            return
        settings = self._context.symbol_settings(tracked.position.symbol)
        instrument = self._context.instruments.get(tracked.position.symbol)
        entry = self._context.portfolio.entry_order_for(tracked)
        if entry is None or settings is None or instrument is None or tracked.position.is_entry_unknown:
            self._status.save_position(tracked)
        else:
            self._protection.update(tracked, entry, settings, instrument)
        self._unprotected.observe(tracked)
        self._closing.advance(tracked)

    def _apply_facts(self, facts: Sequence[Fact]) -> None:
        """Apply each fact, then update the protection of every position they touched, once each."""
        touched: dict[PositionKey, None] = {}
        for fact in facts:
            for key in self._apply(fact):
                if self._context.portfolio.tracked(key).position.is_open:
                    touched[key] = None
                else:
                    # Now, not after the batch: a later fact may open the next position under this key, and the
                    # orders that protected the closed one must be cancelled before they meet it (I14).
                    self.place_tp_sl_orders(key)
        for key in touched:
            self.place_tp_sl_orders(key)
        if any(isinstance(fact, TaskDue) and fact.task is Task.EVERY_SECOND for fact in facts):
            self._tasks.audit()
            self._unreadable.audit()
            self._status.publish()

    def _apply_liquidations(self, liquidations: Sequence[Liquidation]) -> None:
        """Store them all, then evaluate each in order of arrival."""
        if not liquidations:
            return
        self._entries.refill_if_stale()
        row_ids = self._context.store.insert_liquidations(liquidations)
        decisions: list[tuple[int, Decision]] = []
        for row_id, liquidation in zip(row_ids, liquidations, strict=True):
            self._streams.on_market_event(liquidation)
            self._entries.add_to_window(liquidation)
            decision = self.evaluate_trade(liquidation)
            if decision is not None:
                decisions.append((row_id, decision))
        self._context.store.record_decisions(decisions)
        self._context.journal_liquidations(liquidations, [decision for _, decision in decisions])

    def _apply(self, event: Fact) -> Iterable[PositionKey]:
        """Apply one fact; returns the positions it touched."""
        self._streams.observe(event)
        if isinstance(event, OrderResponse):
            event = event.update
        if isinstance(event, AccountEvent):
            return self._account.handle(event)
        match event:
            case OrdersFetched():
                self._unrecognized.on_order_list(event)
                return self._orders.handle(event, self._account.snapshot)
            case OrderUpdate() | OrderUnresolved() | CancelRejected() | OrderNotFound():
                return self._orders.handle(event, self._account.snapshot)
            case FillsFetched():
                return self._on_fills(event)
            case UnrecognizedOrder():
                return self._unrecognized.on_report(event)
            case InstrumentsFetched():
                return self._instruments.on_fetched(event)
            case BracketsFetched():
                self._instruments.brackets.on_fetched(event)
            case OrderRejected():
                return self._on_order_rejected(event)
            case SnapshotTaken():
                return self._on_snapshot(event)
            case PositionsChecked():
                return self._on_checked(event)
            case CommandFailed():
                self._on_command_failed(event)
            case AuthFailed():
                self._auth.on_auth_failed(event)
            case AuthRecovered():
                self._auth.on_auth_recovered(event)
            case StreamUp() | StreamDown():
                self._streams.on_connection_change(event)
            case UnreadableMessages():
                self._unreadable.on_messages(event)
            case _:
                return self._apply_internal(event)
        return ()

    def _apply_internal(self, event: InternalEvent) -> Iterable[PositionKey]:
        """Apply what comes from the bot itself or from a person, not from the exchange."""
        match event:
            case TaskDue():
                return self._tasks.on_due(event)
            case OperatorCommand() | HaltFileChanged() | FileCommand() | ConsentTyped():
                self._operator.handle(event)
                return [tracked.key for tracked in self._context.portfolio.open_positions()]
            case SettingsChanged():
                self._operator.apply_settings(event, self._entries)
            case SettingsRefused():
                self._operator.refuse_settings(event)
            case ProcessStalled():
                self._stall_guard.on_resumed(event)
            case DatabaseChecked():
                self._degraded_store.on_checked(event)
            case _:
                assert_never(event)
        return ()

    def _update_price(self, event: TraderEvent) -> None:
        """Keep the newest price of each symbol in memory; the database gets it with the positions, once a second."""
        match event:
            case Quote():
                self._context.quotes[event.symbol] = event
            case MarkPrice():
                self._context.mark_prices[event.symbol] = event
            case _:
                return
        self._streams.on_market_event(event)

    def _on_fills(self, event: FillsFetched) -> Iterable[PositionKey]:
        touched = self._orders.handle(event, self._account.snapshot)
        self._ownership.on_fills(event)
        return touched

    def _on_checked(self, event: PositionsChecked) -> Iterable[PositionKey]:
        self._rest.on_checked(event)
        return self._protection.liquidation.on_reports(event.positions, event.at)

    def _on_command_failed(self, event: CommandFailed) -> None:
        self._instruments.on_failed(event)
        self._account.on_failed(event)
        self._ownership.on_failed(event)
        self._rest.on_failed(event)

    def _on_snapshot(self, event: SnapshotTaken) -> Iterable[PositionKey]:
        self._auth.on_response()
        self._auth.on_snapshot(event.snapshot.api_wallet)
        unrecognized = self._unrecognized.on_snapshot(event.snapshot)
        self._rest.on_snapshot(event.snapshot)
        touched = [*self._account.on_snapshot(event), *self._unrecognized.end_unlisted(event.snapshot)]
        self._unprotected.on_snapshot(event.snapshot)
        touched += self._protection.liquidation.on_reports(event.snapshot.positions, event.snapshot.taken_at)
        self._streams.on_snapshot(event.snapshot)
        self._stall_guard.on_snapshot(event.snapshot)
        return [*unrecognized, *touched]

    def _on_order_rejected(self, event: OrderRejected) -> Iterable[PositionKey]:
        """Returns the position to protect again; an order that was never sent is retried by the next check."""
        order = self._orders.on_rejected(event)
        if order is None:
            return ()
        self._instruments.on_rejected(order, event)
        self._account.on_rejected(event)
        if order.role is OrderRole.ENTRY:
            return ()
        key = order.key
        self._closing.on_rejected(self._context.portfolio.tracked(key), order, event)
        if order.role is OrderRole.CLOSE:
            self._context.request_snapshot("a close was rejected", repeat_if_pending=True)
        return (key,) if event.is_order_rejection else ()
