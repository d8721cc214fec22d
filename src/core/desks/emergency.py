"""What may leave while the ledger cannot be written: all that protects, its intents kept in a file; no entry (F43)."""

import logging
from collections.abc import Iterable

from src.core.desks.desk import Desk
from src.core.standing import Obstacle
from src.database.emergency import Intent
from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import Command, SubmitOrder
from src.domain.orders import Order

log = logging.getLogger("hunter.trader")

_SLOW_MS = 1_000


class EmergencyDesk:
    """Stands in for the commit: an order leaves once its intent is in the ledger, or else on a disk in a file."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fault: str | None = None
        self._has_intents = False
        self._left = 0

    def restore(self) -> None:
        """Take into the ledger what left without it before a kill; each is asked about as any of the last run."""
        store = self._desk.store
        intents = store.emergency.intents()
        self._has_intents = bool(intents)
        for intent in intents:
            if store.load_order(intent.order.client_order_id) is None:
                intent.order.unresolved_since = self._desk.clock.now_ms()
                if intent.is_simulated == self._desk.is_simulated:  # what left on paper is no order of a real account
                    self._desk.books.add_order(intent.order)
                store.record_order(intent.order, simulated=intent.is_simulated, source="emergency")
        if intents:
            self._desk.alert(f"{len(intents)} orders had left while the database could not be written: they are booked")

    def prepare(self) -> None:
        """After the restore: room is taken for the next time."""
        if self._desk.store.fault is None:
            self._forget()
            self._desk.store.emergency.prepare()

    def look(self) -> None:
        """At the start of a transaction: say what has changed."""
        fault, before = self._desk.store.fault, self._fault
        self._fault = fault
        if fault == before:
            return
        if fault is None:
            self._desk.standing.clear(Obstacle.LEDGER)
            self._desk.alert(f"the database is written again, {self._left} orders that left without it are booked")
            self._left = 0
            return
        reason = f"the database cannot be written: {fault}"
        self._desk.standing.raise_obstacle(Obstacle.LEDGER, reason)
        log.critical("%s; no entry is made, protection and closing go on", reason)
        if before is None:
            self._desk.alert(f"{reason}; no entry was made meanwhile, protection and closing went on")

    def check_pace(self) -> None:
        """A database that is slow is about to fail (S5)."""
        slowest_ms = self._desk.store.take_slowest_ms()
        if slowest_ms > _SLOW_MS and self._desk.store.fault is None:
            self._desk.alert(f"the database took {slowest_ms / 1000:.1f} s for a write: look after its disk")

    def release(self) -> list[Command]:
        """What may leave after the transaction, whether it is committed or put off."""
        if self._desk.store.fault is None:
            self._forget()
            return self._desk.release()
        commands, self._desk.outbox = self._desk.outbox, []
        submits = {id(each): self._order_of(each) for each in commands if isinstance(each, SubmitOrder)}
        entries = {key: order for key, order in submits.items() if order.role is OrderRole.ENTRY}
        self._deny(entries.values())
        self._vouch([order for key, order in submits.items() if key not in entries])
        return [each for each in commands if id(each) not in entries]

    def _deny(self, entries: Iterable[Order]) -> None:
        """Their intents are not committed, so they have not happened."""
        for order in entries:
            order.advance(OrderStatus.REJECTED)
            order.reason = "the database could not be written: it was not sent"
            with self._desk.store.transaction():
                self._desk.store.update_order(order, "denied")
                self._desk.tell_order(order)

    def _vouch(self, orders: list[Order]) -> None:
        """A stop that no place can remember is sent all the same: without one, money is at stake at every tick."""
        if not orders:
            return
        self._has_intents = True
        self._left += len(orders)
        if not self._desk.store.emergency.add([Intent(order, self._desk.is_simulated) for order in orders]):
            names = ", ".join(order.client_order_id for order in orders)
            log.critical("sent without any record, for no disk takes one: %s", names)

    def _forget(self) -> None:
        if self._has_intents:
            self._desk.store.emergency.clear()
            self._has_intents = False

    def _order_of(self, command: SubmitOrder) -> Order:
        return self._desk.books.orders[command.request.client_order_id]
