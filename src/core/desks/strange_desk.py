"""What is told in words we do not know (I30): counted, said once, never guessed, and never taken for absent."""

import logging
from collections.abc import Callable, Container, Iterable, Sequence

from src.core.books import Slot
from src.core.desks.desk import Desk
from src.core.desks.order_desk import OrderDesk
from src.core.standing import Obstacle
from src.domain.enums import OrderStatus
from src.domain.messages import OrdersFetched
from src.domain.orders import Order
from src.domain.positions import Snapshot
from src.domain.strange import StrangeOrder, StrangePosition

log = logging.getLogger("hunter.account")

_ASK_EVERY_MS = 5_000
_MOST_TOLD = 100
_ENDED = frozenset(status.value for status in OrderStatus if status.is_terminal)


class StrangeDesk:
    """An order of somebody else counts as foreign in its symbol. One of ours counts as what we last knew of it, and is
    asked about: taken for gone, a stop loss would be placed anew each time it is read. A position nobody understands
    may bind any margin, so that entries wait for a person; protection needs no more than it has."""

    def __init__(self, desk: Desk, orders: OrderDesk, ask: Callable[..., None]) -> None:
        self._desk = desk
        self._orders = orders
        self._ask = ask
        self._told: set[tuple[str, str]] = set()
        self.count = 0
        """How many orders and positions were not understood since the start; each counts once."""

    def on_snapshot(self, snapshot: Snapshot) -> set[Slot]:
        """All that is open is listed; the slots of ours that are among it are returned."""
        known, self._desk.books.strange_orders = self._desk.books.strange_orders, {}
        slots = [self._note(order, known, is_listed_open=True) for order in snapshot.strange_orders]
        self._note_positions([each for each in snapshot.strange_positions if not each.is_flat])
        return {slot for slot in slots if slot is not None}

    def on_told(self, order: StrangeOrder) -> Iterable[Slot]:
        """By the private stream: what became of it REST may say in words we know; if not, that it is listed at all."""
        books = self._desk.books
        slot = self._note(order, books.strange_orders, is_listed_open=False)
        if slot is None and order.status in _ENDED:
            books.strange_orders.pop(order.key, None)
        self._ask_account()
        return () if slot is None else (slot,)

    def on_listed(self, event: OrdersFetched) -> None:
        """Among all orders of a symbol, ended ones too: ours that is named there has come to be."""
        for strange in event.strange:
            order = self._desk.books.orders.get(strange.client_order_id)
            if order is not None and order.is_open:
                self._note_ours(order, strange, is_listed_open=False)

    def _ask_account(self) -> None:
        """Something was told that only the account itself can make clear; not at the speed of the stream."""
        if self._desk.may_ask("strange words", _ASK_EVERY_MS):
            self._ask("an event is not understood", anew=True)

    def _note(self, strange: StrangeOrder, known: Container[tuple[str, int]], *, is_listed_open: bool) -> Slot | None:
        """The slot of an order of ours that is open for all we know; any other stands in the way of entries."""
        order = self._desk.books.orders.get(strange.client_order_id)
        if order is not None and order.is_open:
            return self._note_ours(order, strange, is_listed_open=is_listed_open)
        if strange.key not in known:
            self._tell_other(strange)
        self._desk.books.strange_orders[strange.key] = strange
        return None

    def _note_ours(self, order: Order, strange: StrangeOrder, *, is_listed_open: bool) -> Slot:
        before = order.status
        order.acknowledge(strange.order_id, is_listed_open=is_listed_open)
        self._orders.doubt(order)
        self._desk.store.update_order(order, "strange")
        if order.status is not before:
            self._desk.tell_order(order)
        if self._is_news(strange.client_order_id, strange.fault):
            self._count(strange.symbol, strange.client_order_id, strange.fault)
            self._desk.alarm(
                f"{order.role} {order.client_order_id} of {order.symbol} is told in words not known here "
                f"({strange.fault}): it counts as {order.status} and is asked about. Look at it on the exchange's site",
                order.symbol,
            )
        return order.symbol, order.request.position_side

    def _tell_other(self, strange: StrangeOrder) -> None:
        self._count(strange.symbol, strange.client_order_id, strange.fault)
        if self._is_news(strange.symbol, strange.fault):
            whose = "bears a name of the bot and is unknown here" if strange.is_ours else "is not the bot's"
            self._desk.alert(
                f"an order of {strange.symbol} {whose}, and is told in words not known here ({strange.fault}): it is "
                f"left alone, and no entry is made in {strange.symbol} while it is there",
                strange.symbol,
            )

    def _note_positions(self, positions: Sequence[StrangePosition]) -> None:
        told = [f"a position of {each.symbol} is told in words not known here ({each.fault})" for each in positions]
        reason = f"{'; '.join(told)}: look at it on the exchange's site" if told else None
        self._desk.standing.settle(Obstacle.STRANGE, reason)
        for each, sentence in zip(positions, told, strict=True):
            if self._is_news(each.symbol, each.fault):
                self._count(each.symbol, "position", each.fault)
                self._desk.alarm(f"{sentence}: entries wait, and what is the bot's stays protected", each.symbol)

    def _is_news(self, subject: str, fault: str) -> bool:
        """Said once; an account full of such orders must not fill the journal."""
        if (subject, fault) in self._told or len(self._told) >= _MOST_TOLD:
            return False
        self._told.add((subject, fault))
        return True

    def _count(self, symbol: str, name: str, fault: str) -> None:
        self.count += 1
        log.warning("not understood number=%s symbol=%s name=%s reason=%s", self.count, symbol, name, fault)
