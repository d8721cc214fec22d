"""The trader's scheduled tasks: the audit every second, cleanup, reconciliation, pruning, and stopping."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from src.core.account.account_sync import AccountSync
from src.core.account.instruments import InstrumentRefresher
from src.core.context import TraderContext
from src.core.events import ExchangeHealth
from src.core.health.auth_health import AuthHealth
from src.core.health.degraded_store import DegradedStore
from src.core.health.rest_health import RestHealth
from src.core.health.stall import CrashLoopGuard
from src.core.health.stream_health import StreamHealth
from src.core.health.symbol_problems import SymbolProblems
from src.core.operator.commands import OperatorCommands
from src.core.operator.stopping import GracefulStop
from src.core.order_cleanup import expired_entries, orphaned_protection
from src.core.orders.order_manager import OrderManager
from src.core.positions.ownership import PositionOwnership
from src.core.positions.unprotected import UnprotectedPositions
from src.core.trading_status import EntryBlock
from src.database.tables.market import Cutoffs
from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.events import Task, TaskDue
from src.domain.orders import Order
from src.domain.positions import PositionKey
from src.settings.global_settings import GlobalSettings

log = logging.getLogger("hunter.trader")

_KEEP_CLOSED_ORDERS_MS = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTasks:
    """Runs the periodic work of the other managers."""

    context: TraderContext
    orders: OrderManager
    account: AccountSync
    operator: OperatorCommands
    graceful_stop: GracefulStop
    instruments: InstrumentRefresher
    auth: AuthHealth
    ownership: PositionOwnership
    streams: StreamHealth
    symbol_problems: SymbolProblems
    rest: RestHealth
    degraded_store: DegradedStore
    unprotected: UnprotectedPositions
    crash_loop: CrashLoopGuard
    read_exchange_health: Callable[[], ExchangeHealth]

    def on_due(self, event: TaskDue) -> Iterable[PositionKey]:
        """Run the task; returns the positions to protect."""
        match event.task:
            case Task.EVERY_SECOND:
                self.ownership.check()
                return list(self.context.portfolio.tracked_positions)
            case Task.CHECK_POSITIONS:
                self.rest.poll()
            case Task.CLEANUP:
                self._clean_up()
            case Task.RECONCILE:
                self.context.request_snapshot("reconcile")
            case Task.REFRESH_INSTRUMENTS:
                self.instruments.request()
            case Task.PRUNE:
                self.context.store.maintenance.prune_before(
                    history_cutoffs(self.context.settings.globals_, self.context.clock.now_ms())
                )
            case Task.CHECKPOINT:
                if not self.context.queue_stats.waiting:  # only while the trader has caught up
                    self.context.after_commit.append(self.context.store.checkpoint)
            case Task.STOP:
                self.context.trading_status.block(EntryBlock.STOPPING, "the bot is stopping")
                self.operator.cancel_entries()
            case Task.STOP_TIMEOUT:
                self.graceful_stop.report()
            case _:
                assert_never(event.task)
        return ()

    def audit(self) -> None:
        """Once a second, after every position was protected: query what is uncertain, update the entry blocks (I9)."""
        now_ms = self.context.clock.now_ms()
        exchange_health = self.read_exchange_health()
        self.unprotected.check()
        self.operator.enforce()
        self.instruments.check()
        self.symbol_problems.check()
        self.auth.check()
        self._cancel(expired_entries(self.context.portfolio.orders.values(), self.context.settings.globals_, now_ms))
        self.orders.query_unresolved(now_ms)
        self.account.check_staleness(now_ms)
        self.account.configurator.audit()
        self.rest.check(exchange_health)
        self.streams.check_user_stream()
        self.streams.check_market(now_ms)
        self.streams.check_clock(exchange_health)
        self._check_ban(exchange_health)
        self.streams.check_backlog(self.context.queue_stats)
        self.degraded_store.check_write_latency()
        self.crash_loop.check()

    def _check_ban(self, exchange_health: ExchangeHealth) -> None:
        """Report an IP ban: nothing can be sent or read, so only orders already on the exchange protect (I29)."""
        until = datetime.fromtimestamp(exchange_health.blocked_until / 1000, UTC).strftime("%H:%M:%S")
        reason = f"IP banned by the exchange until {until} UTC: nothing can be sent, stop losses stay open"
        if exchange_health.is_banned and not self.context.trading_status.has(EntryBlock.IP_BANNED):
            self.context.warn(reason)
        self.context.trading_status.set_or_clear(EntryBlock.IP_BANNED, reason if exchange_health.is_banned else None)

    def _clean_up(self) -> None:
        context = self.context
        now_ms = context.clock.now_ms()
        self._cancel(orphaned_protection(context.portfolio.orders.values(), context.portfolio.tracked_positions))
        context.portfolio.drop_closed_orders(now_ms - _KEEP_CLOSED_ORDERS_MS)
        self.streams.forget_closed_orders()
        context.entries_to_cancel &= context.portfolio.orders.keys()
        context.cancel_attempts = {
            name: attempts for name, attempts in context.cancel_attempts.items() if name in context.portfolio.orders
        }

    def _cancel(self, stale: Iterable[Order]) -> None:
        """Cancel orders that should no longer be open; unconfirmed ones as soon as the exchange reports them."""
        for order in stale:
            if self.context.cancel_order(order):
                log.info(
                    "order cancelled as stale symbol=%s role=%s id=%s", order.symbol, order.role, order.client_order_id
                )


def history_cutoffs(settings: GlobalSettings, now_ms: int) -> Cutoffs:
    """The instants before which history of each kind is deleted."""
    return Cutoffs(
        liquidations=now_ms - settings.keep_liquidations_days * DAY_MS,
        journal=now_ms - settings.keep_journal_days * DAY_MS,
        equity=now_ms - settings.keep_equity_days * DAY_MS,
    )
