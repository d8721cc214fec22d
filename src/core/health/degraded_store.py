"""Operation while the database cannot be written: entries are rejected, other orders logged to a file (F43)."""

import logging
from collections.abc import Iterable

from src.core.context import TraderContext
from src.core.events import DatabaseChecked
from src.core.trading_status import EntryBlock
from src.database.intent_log import Intent
from src.domain.commands import Command, SubmitOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.orders import Order

log = logging.getLogger("hunter.trader")

_SLOW_MS = 1_000
UNCHECKED = "the last run did not end cleanly: no entries until the database is checked, positions are protected"


class DegradedStore:
    """Releases commands after a transaction: an order is sent once its intent is in the database or the intent log."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._error: str | None = None
        self._has_intents = False
        self._unrecorded = 0

    def restore(self) -> None:
        """Record orders from the intent log that the last run sent without the database; their status is queried."""
        store = self._context.store
        intents = store.intent_log.intents()
        self._has_intents = bool(intents)
        for intent in intents:
            if store.load_order(intent.order.client_order_id) is None:
                intent.order.unresolved_since = self._context.clock.now_ms()
                if intent.is_simulated == self._context.is_simulated:
                    self._context.portfolio.add_order(intent.order)
                store.record_order(intent.order, simulated=intent.is_simulated, source="intent_log")
        if intents:
            self._context.warn(f"{len(intents)} orders sent while the database was unavailable are now recorded")

    def prepare(self) -> None:
        """Preallocate the intent log after the restore."""
        if self._context.store.error is None:
            self._clear_intents()
            self._context.store.intent_log.preallocate()

    def check_store(self) -> None:
        """Called at the start of a transaction: report a change of the database's state."""
        error, before = self._context.store.error, self._error
        self._error = error
        if error == before:
            return
        if error is None:
            self._context.trading_status.clear(EntryBlock.DATABASE)
            self._context.warn(
                f"the database can be written again; {self._unrecorded} orders sent meanwhile are now recorded"
            )
            self._unrecorded = 0
            return
        reason = f"the database cannot be written: {error}"
        self._context.trading_status.block(EntryBlock.DATABASE, reason)
        log.critical("%s; entries are blocked, protection and closing go on", reason)
        if before is None:
            self._context.warn(f"{reason}; entries were blocked, protection and closing went on")

    def on_checked(self, event: DatabaseChecked) -> None:
        """End the wait for the check; a damaged database blocks entries until the next start has moved it aside."""
        if event.damage is None:
            self._context.trading_status.clear(EntryBlock.DATABASE_CHECK)
            return
        reason = (
            f"the database is damaged ({event.damage}): no entries, positions stay protected. Restart the bot: it "
            "moves the file aside and begins a new one"
        )
        self._context.trading_status.block(EntryBlock.DATABASE_CHECK, reason)
        self._context.alert(reason)

    def check_write_latency(self) -> None:
        """Warn about slow writes: they often precede a failing disk."""
        slowest_ms = self._context.store.take_slowest_ms()
        if slowest_ms > _SLOW_MS and self._context.store.error is None:
            self._context.warn(f"a database write took {slowest_ms / 1000:.1f} s: check the disk")

    def take_commands(self) -> list[Command]:
        """Commands that may be sent after the transaction, committed or deferred."""
        if self._context.store.error is None:
            self._clear_intents()
            return self._context.take_commands()
        commands, self._context.outbox = self._context.outbox, []
        submits = {id(each): self._order_for(each) for each in commands if isinstance(each, SubmitOrder)}
        entries = {key: order for key, order in submits.items() if order.role is OrderRole.ENTRY}
        self._reject_entries(entries.values())
        self._log_intents([order for key, order in submits.items() if key not in entries])
        return [each for each in commands if id(each) not in entries]

    def _reject_entries(self, entries: Iterable[Order]) -> None:
        """Reject entries that could not be committed, without sending them."""
        for order in entries:
            order.advance(OrderStatus.REJECTED)
            order.reason = "not sent: the database could not be written"
            with self._context.store.transaction():
                self._context.store.update_order(order, "denied")
                self._context.journal_order(order)

    def _log_intents(self, orders: list[Order]) -> None:
        """Log protective orders to the intent log; they are sent even if that fails, as a missing stop is worse."""
        if not orders:
            return
        self._has_intents = True
        self._unrecorded += len(orders)
        if not self._context.store.intent_log.add([Intent(order, self._context.is_simulated) for order in orders]):
            names = ", ".join(order.client_order_id for order in orders)
            log.critical("sent without a record: no disk is writable: %s", names)

    def _clear_intents(self) -> None:
        if self._has_intents:
            self._context.store.intent_log.clear()
            self._has_intents = False

    def _order_for(self, command: SubmitOrder) -> Order:
        return self._context.portfolio.orders[command.request.client_order_id]
