"""What became of our orders: answers, stream events and fills, merged into the books and the database."""

import logging
from collections.abc import Iterable
from typing import assert_never

from src.core.books import Holding, Slot
from src.core.desks.absence import AbsenceDesk
from src.core.desks.cancels import CancelTries
from src.core.desks.desk import Desk
from src.core.desks.fill_desk import ASK_EVERY_MS, FillDesk
from src.core.desks.forced import ForcedDesk, deed_of
from src.core.desks.second_bot import SecondBotDesk
from src.core.desks.symbol_locks import SymbolLockDesk
from src.core.desks.trail_desk import TrailDesk
from src.core.plans.recall import request_of
from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import (
    CancelRefused,
    FillsFetched,
    OrderNotFound,
    OrderRefused,
    OrdersFetched,
    OrderUnresolved,
    QueryOrder,
)
from src.domain.orders import ClientOrderId, Order, OrderUpdate
from src.domain.positions import Snapshot

log = logging.getLogger("hunter.orders")

_VERDICT_MS = 5_000
_MANY_REMOVALS = 3
_ACCEPTED = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)

OrderNews = OrderUpdate | OrderUnresolved | CancelRefused | OrderNotFound | FillsFetched | OrdersFetched


class OrderDesk:
    """Merges what is told of orders. Each method returns the slot it touched, None where nothing changed."""

    def __init__(self, desk: Desk, locks: SymbolLockDesk) -> None:
        self._desk = desk
        self._forced = ForcedDesk(desk, locks)
        self._absence = AbsenceDesk(desk)
        self.second_bot = SecondBotDesk(desk)
        self.fills = FillDesk(desk, self._forced)
        self.trail = TrailDesk(desk, self.fills, self.second_bot)

    def on_update(self, update: OrderUpdate, source: str = "exchange") -> Slot | None:
        """An order as the stream, an answer or a query tells it."""
        self._desk.books.strange_orders.pop((update.symbol, update.order_id), None)
        order = self._desk.books.orders.get(update.client_order_id) or self._recall(update)
        if order is None:
            self._forced.note(update)
            self._note_foreign(update)
            return self.fills.on_fill(update.fill) if update.fill else None
        before, filled_before = order.status, order.filled_quantity
        if order.apply(update):
            self._desk.store.update_order(order, source)
            self._note_fired(order, update)
            if (order.status, order.filled_quantity) != (before, filled_before):
                self._on_change(order, before)
        if update.fill is not None:
            self.fills.on_fill(update.fill)
        elif order.filled_quantity > filled_before:
            self.fills.ask_for(order)
        return order.symbol, order.request.position_side

    def _on_change(self, order: Order, before: OrderStatus) -> None:
        self._desk.tell_order(order)
        log.info("order %s %s %s %s", order.symbol, order.role, order.client_order_id, order.status)
        holding = self._desk.books.holding((order.symbol, order.request.position_side))
        self._count(order, before, holding)
        if before is OrderStatus.REJECTED:
            self._note_late(order)
        if order.status is OrderStatus.CANCELED and before is not OrderStatus.PENDING_CANCEL:
            self._note_removed(order, holding)
        if order.role is OrderRole.ENTRY and order.lacks_fills:
            holding.entry = order.client_order_id  # what it filled is in the position, whoever tells of that first
        if order.client_order_id in self._desk.unwanted:
            self._desk.cancel(order)

    def _note_late(self, order: Order) -> None:
        """Given up, and seen after all: what rests of an entry has lost its reason, what filled is protected."""
        name = f"{order.role} {order.client_order_id}"
        self._desk.alert(f"late order: {name} was given up, and stands after all ({order.status})", order.symbol)
        if order.role is OrderRole.ENTRY:
            self._desk.cancel(order)

    def _count(self, order: Order, before: OrderStatus, holding: Holding) -> None:
        """A protective order has done its part once it stands, a closing one only once it fills (I12)."""
        if order.role is not OrderRole.CLOSE:
            if before is OrderStatus.PENDING_NEW and order.status in _ACCEPTED:
                holding.refusals.pop(order.role, None)
        elif order.filled_quantity:
            holding.refusals.pop(order.role, None)
        elif order.status is OrderStatus.EXPIRED:
            holding.refusals[order.role] = holding.refusals.get(order.role, 0) + 1
            self._desk.alert(f"{order.role} of {order.symbol} expired without a fill", order.symbol)

    def _note_fired(self, order: Order, update: OrderUpdate) -> None:
        """A stop whose price was reached is a market order from then on, and may fail as one (§4, TRIGGERED)."""
        holding = self._desk.books.holding((order.symbol, order.request.position_side))
        has_fired = order.role is OrderRole.STOP_LOSS and update.type is not update.original_type
        if has_fired and holding.position.is_open and order.status is not OrderStatus.FILLED:
            holding.fired_at = holding.fired_at or self._desk.clock.monotonic_ms()
            holding.is_stop_spent = order.status.is_terminal

    def _note_removed(self, order: Order, holding: Holding) -> None:
        """Protection that somebody else took away is replaced at once; a person is told each time."""
        if order.role is OrderRole.ENTRY or not holding.position.is_open:
            return
        holding.removals += 1
        often = "" if holding.removals < _MANY_REMOVALS else f", {holding.removals} times by now: find out who does it"
        self._desk.alert(f"{order.role} of {order.symbol} was cancelled, not by the bot: it is replaced{often}")

    def on_news(self, event: OrderNews, snapshot: Snapshot | None) -> Iterable[Slot]:
        """Whatever is told of orders; the slots it touched."""
        match event:
            case OrderUpdate():
                slot = self.on_update(event)
            case OrderUnresolved():
                slot = self.on_unresolved(event)
            case CancelRefused():
                slot = self.on_cancel_refused(event)
            case OrderNotFound():
                slot = self.on_not_found(event, snapshot)
            case FillsFetched():
                self._absence.note(event)
                return self.fills.on_fills(event) | self.trail.on_fills(event)
            case OrdersFetched():
                return self.on_orders(event)
            case _:
                assert_never(event)
        return () if slot is None else (slot,)

    def on_orders(self, event: OrdersFetched) -> set[Slot]:
        """All orders of a symbol: those we wait for, and whatever is open or was forced upon us."""
        self._absence.note(event)
        self.trail.note(event)
        known = self._desk.books.orders
        news = [each for each in event.orders if each.client_order_id in known or not _is_history(each)]
        touched = {self.on_update(update, "all orders") for update in news}
        return {slot for slot in touched if slot is not None}

    def on_refused(self, event: OrderRefused) -> Order | None:
        """A submit that did not happen and will not."""
        order = self._desk.books.orders.get(event.client_order_id)
        if order is None or order.status is not OrderStatus.PENDING_NEW:
            return None
        order.advance(OrderStatus.REJECTED)
        order.reason = event.reason if event.code is None else f"{event.reason} ({event.code})"
        self._desk.store.update_order(order, "refused")
        self._desk.tell_order(order)
        log.warning("order refused %s %s: %s", order.symbol, order.role, order.reason)
        return order

    def on_unresolved(self, event: OrderUnresolved) -> Slot | None:
        """The answer was lost: the order stays pending, and is asked for, never repeated (I2)."""
        order = self._desk.books.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        if order.unresolved_since is None:
            order.unresolved_since = event.at
            order.reason = event.reason
            self._desk.store.update_order(order, "unresolved")
            self._desk.alert(f"the answer to {order.role} {order.client_order_id} was lost: asking", order.symbol)
        self._ask(order)
        return order.symbol, order.request.position_side

    def on_cancel_refused(self, event: CancelRefused) -> Slot | None:
        """Never taken for an end: what the order is now, only a query tells."""
        order = self._desk.books.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        tries = self._desk.cancels.setdefault(order.client_order_id, CancelTries())
        tries.reason = event.reason if event.code is None else f"{event.reason} ({event.code})"
        log.warning("cancel refused %s %s: %s", order.symbol, order.client_order_id, tries.reason)
        order.unresolved_since = order.unresolved_since or event.at
        self._ask(order)
        return order.symbol, order.request.position_side

    def on_not_found(self, event: OrderNotFound, snapshot: Snapshot | None) -> Slot | None:
        """-2013: believed only when nothing else shows the order either (§4, ABSENT)."""
        order = self._desk.books.orders.get(event.client_order_id)
        if order is None or not order.is_open:
            return None
        order.unresolved_since = order.unresolved_since or event.at
        order.not_found += 1
        if not self._absence.is_proven(order, event.at, snapshot):
            return None
        order.advance(OrderStatus.REJECTED if order.status is OrderStatus.PENDING_NEW else OrderStatus.CANCELED)
        order.reason = "the exchange knows no such order"
        self._desk.store.update_order(order, "absent")
        self._desk.tell_order(order)
        return order.symbol, order.request.position_side

    def lack_snapshot(self, now_ms: int, snapshot: Snapshot | None) -> bool:
        """All that is left before an order counts as absent is a snapshot that does not show it."""
        return self._absence.lacks_snapshot(now_ms, snapshot)

    def ask_for_missing(self, now_ms: int) -> None:
        """Ask again for every lost answer and every fill we have not seen, and who has filled a position."""
        for order in self._desk.books.orders.values():
            if order.is_open and (order.unresolved_since is not None or self._is_overdue(order, now_ms)):
                self.doubt(order)
            elif order.lacks_fills:
                self.fills.ask_for(order)
            elif order.status is OrderStatus.REJECTED and self._may_have_filled(order):
                self._ask(order)
        for order in self._desk.books.open_orders(role=OrderRole.ENTRY):
            if order.client_order_id in self._desk.unwanted:
                self._desk.cancel(order)
        self._absence.ask(now_ms)
        self.trail.check()

    def doubt(self, order: Order) -> None:
        """What we know of it may be outdated: ask."""
        order.unresolved_since = order.unresolved_since or self._desk.clock.now_ms()
        self._ask(order)

    def _is_overdue(self, order: Order, now_ms: int) -> bool:
        """No verdict where one is due: of an order or a cancel that left long ago, or of an entry whose slot has
        filled."""
        if order.status is OrderStatus.PENDING_NEW:
            return now_ms - (order.sent_at or order.created_at) >= _VERDICT_MS
        tries = self._desk.cancels.get(order.client_order_id)
        if order.status is OrderStatus.PENDING_CANCEL and tries and tries.is_overdue(self._desk.clock.monotonic_ms()):
            return True
        return self._may_have_filled(order)

    def _may_have_filled(self, order: Order) -> bool:
        """A position stands in an entry's slot, and nobody knows whose it is."""
        holding = self._desk.books.holding((order.symbol, order.request.position_side))
        return order.role is OrderRole.ENTRY and holding.position.is_open and not holding.is_ours

    def _ask(self, order: Order) -> None:
        if self._desk.may_ask(order.client_order_id, ASK_EVERY_MS):
            self._desk.send(QueryOrder(order.symbol, order.client_order_id))

    def _recall(self, update: OrderUpdate) -> Order | None:
        """An order of ours the books have let go, or the database has lost: taken up again."""
        known = ClientOrderId.parse(update.client_order_id)
        if known is None:
            return None
        order = self._desk.store.load_order(update.client_order_id)
        is_known = order is not None or self._desk.store.fault is not None  # one that cannot be read denies nothing
        if not is_known and self.second_bot.is_its(update, known):
            self.second_bot.note(update, known)
            return None
        if order is None:
            parent = None if known.role is OrderRole.ENTRY else str(ClientOrderId(known.entry, OrderRole.ENTRY))
            order = Order(request_of(update), known.role, created_at=update.event_at, parent=parent)
            self._desk.store.record_order(order, simulated=self._desk.is_simulated)
            self._desk.alert(f"an order of ours was unknown here: {update.client_order_id}", update.symbol)
        self._desk.note_id(update.client_order_id)
        self._desk.books.add_order(order)
        holding = self._desk.books.holding((update.symbol, update.position_side))
        holding.entry = holding.entry or order.parent  # our protection stands there, so the position is ours
        return order

    def _note_foreign(self, update: OrderUpdate) -> None:
        if update.status.is_terminal:
            self._desk.books.foreign_orders.pop(update.order_id, None)
        else:
            self._desk.books.foreign_orders[update.order_id] = update


def _is_history(update: OrderUpdate) -> bool:
    """It has ended, and was no order that the exchange forced upon us."""
    return update.status.is_terminal and deed_of(update.client_order_id) is None
