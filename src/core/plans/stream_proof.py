"""What the exchange has told by REST and the private stream has not told yet: silence is no health (I27)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from src.core.books import Slot
from src.domain.enums import OrderStatus
from src.domain.messages import AccountUpdate
from src.domain.orders import OrderUpdate
from src.domain.positions import PositionReport

TELL_WITHIN_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Debt:
    """Something the stream must tell."""

    subject: OrderUpdate | PositionReport
    seen_at: int
    """Monotonic."""


class StreamProof:
    """Holds what a connection has told against what it should have. What happened before it began is not its debt."""

    def __init__(self) -> None:
        self._since = 0
        self._told_orders: dict[str, OrderUpdate] = {}
        self._told_slots: dict[Slot, int] = {}
        self._debts: dict[str | Slot, _Debt] = {}

    def begin(self, since_ms: int) -> None:
        """A new connection tells what happens from this instant of the exchange on."""
        self._since = since_ms
        self._told_orders.clear()
        self._told_slots.clear()
        self._debts.clear()

    def hear_order(self, update: OrderUpdate) -> None:
        """The stream tells of an order; of several events in disorder the one that says most counts."""
        name = update.client_order_id
        known = self._told_orders.get(name)
        if known is None or not _covers(known, update):
            self._told_orders[name] = update
        debt = self._debts.get(name)
        if debt is not None and isinstance(debt.subject, OrderUpdate) and _covers(update, debt.subject):
            del self._debts[name]
        if update.fill is not None:
            self._hear_slot((update.symbol, update.position_side), update.event_at)

    def hear_account(self, update: AccountUpdate) -> None:
        for change in update.positions:
            self._hear_slot((change.position.symbol, change.position.position_side), update.event_at)

    def see_order(self, update: OrderUpdate, now_ms: int) -> None:
        """REST tells of an order of ours; ``now_ms`` is monotonic."""
        told = self._told_orders.get(update.client_order_id)
        if update.event_at > self._since and (told is None or not _covers(told, update)):
            self._debts[update.client_order_id] = _Debt(update, self._owed_since(update.client_order_id, now_ms))

    def see_position(self, report: PositionReport, now_ms: int) -> None:
        """REST tells of a position that is not as we know it."""
        slot = report.symbol, report.position_side
        if report.updated_at > max(self._since, self._told_slots.get(slot, 0)):
            self._debts[slot] = _Debt(report, self._owed_since(slot, now_ms))

    def overdue(self, now_ms: int) -> str | None:
        """What the stream should have told by now, in words; None where it owes nothing."""
        late = [debt.subject for debt in self._debts.values() if now_ms - debt.seen_at >= TELL_WITHIN_MS]
        return _named(late[0]) if late else None

    def forget(self, but: Collection[str]) -> None:
        """Orders that matter no more."""
        self._told_orders = {name: update for name, update in self._told_orders.items() if name in but}

    def _owed_since(self, key: str | Slot, now_ms: int) -> int:
        return self._debts[key].seen_at if key in self._debts else now_ms

    def _hear_slot(self, slot: Slot, event_at: int) -> None:
        self._told_slots[slot] = max(event_at, self._told_slots.get(slot, 0))
        debt = self._debts.get(slot)
        if debt is not None and isinstance(debt.subject, PositionReport) and debt.subject.updated_at <= event_at:
            del self._debts[slot]


def _covers(told: OrderUpdate, seen: OrderUpdate) -> bool:
    """Who was told this knows all that was seen."""
    if told.filled_quantity < seen.filled_quantity:
        return False
    return told.status in (seen.status, *_LATER.get(seen.status, ())) or told.status.is_terminal


_LATER: dict[OrderStatus, Iterable[OrderStatus]] = {OrderStatus.NEW: (OrderStatus.PARTIALLY_FILLED,)}


def _named(subject: OrderUpdate | PositionReport) -> str:
    if isinstance(subject, OrderUpdate):
        return f"order {subject.client_order_id} is {subject.status}"
    return f"the position of {subject.symbol} {subject.position_side} is {subject.quantity}"
