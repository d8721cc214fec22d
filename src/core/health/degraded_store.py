"""What may leave while the ledger cannot be written: all that protects, its intents kept in a file; no entry (F43)."""

import logging
from collections.abc import Iterable

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.database.intent_log import Intent
from src.domain.commands import Command, SubmitOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.orders import Order

log = logging.getLogger("hunter.trader")

_SLOW_MS = 1_000


class DegradedStore:
    """Stands in for the commit: an order leaves once its intent is in the ledger, or else on a disk in a file."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._error: str | None = None
        self._has_intents = False
        self._unrecorded = 0

    def restore(self) -> None:
        """Take into the ledger what left without it before a kill; each is asked about as any of the last run."""
        store = self._context.store
        intents = store.intent_log.intents()
        self._has_intents = bool(intents)
        for intent in intents:
            if store.load_order(intent.order.client_order_id) is None:
                intent.order.unresolved_since = self._context.clock.now_ms()
                if (
                    intent.is_simulated == self._context.is_simulated
                ):  # what left on paper is no order of a real account
                    self._context.portfolio.add_order(intent.order)
                store.record_order(intent.order, simulated=intent.is_simulated, source="emergency")
        if intents:
            self._context.warn(
                f"{len(intents)} orders had left while the database could not be written: they are booked"
            )

    def prepare(self) -> None:
        """After the restore: room is taken for the next time."""
        if self._context.store.error is None:
            self._clear_intents()
            self._context.store.intent_log.preallocate()

    def check_store(self) -> None:
        """At the start of a transaction: say what has changed."""
        error, before = self._context.store.error, self._error
        self._error = error
        if error == before:
            return
        if error is None:
            self._context.trading_status.clear(EntryBlock.DATABASE)
            self._context.warn(
                f"the database is written again, {self._unrecorded} orders that left without it are booked"
            )
            self._unrecorded = 0
            return
        reason = f"the database cannot be written: {error}"
        self._context.trading_status.block(EntryBlock.DATABASE, reason)
        log.critical("%s; no entry is made, protection and closing go on", reason)
        if before is None:
            self._context.warn(f"{reason}; no entry was made meanwhile, protection and closing went on")

    def check_write_latency(self) -> None:
        """A database that is slow is about to fail (S5)."""
        slowest_ms = self._context.store.take_slowest_ms()
        if slowest_ms > _SLOW_MS and self._context.store.error is None:
            self._context.warn(f"the database took {slowest_ms / 1000:.1f} s for a write: look after its disk")

    def take_commands(self) -> list[Command]:
        """What may leave after the transaction, whether it is committed or put off."""
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
        """Their intents are not committed, so they have not happened."""
        for order in entries:
            order.advance(OrderStatus.REJECTED)
            order.reason = "the database could not be written: it was not sent"
            with self._context.store.transaction():
                self._context.store.update_order(order, "denied")
                self._context.journal_order(order)

    def _log_intents(self, orders: list[Order]) -> None:
        """A stop that no place can remember is sent all the same: without one, money is at stake at every tick."""
        if not orders:
            return
        self._has_intents = True
        self._unrecorded += len(orders)
        if not self._context.store.intent_log.add([Intent(order, self._context.is_simulated) for order in orders]):
            names = ", ".join(order.client_order_id for order in orders)
            log.critical("sent without any record, for no disk takes one: %s", names)

    def _clear_intents(self) -> None:
        if self._has_intents:
            self._context.store.intent_log.clear()
            self._has_intents = False

    def _order_for(self, command: SubmitOrder) -> Order:
        return self._context.portfolio.orders[command.request.client_order_id]
