"""When an order the exchange does not know may be believed gone: once everything has been asked (§4, ABSENT)."""

from dataclasses import dataclass

from src.core.desks.desk import Desk
from src.domain.messages import FetchFills, FetchOrders, FillsFetched, OrdersFetched
from src.domain.orders import Fill, Order, OrderUpdate
from src.domain.positions import Snapshot
from src.domain.strange import StrangeOrder

_AFTER_MS = 10_000
"""A request is refused when it arrives later than this: neither a timestamp nor a nonce is good for longer."""
_ANSWERS = 3
_ASK_EVERY_MS = 3_000
_OVERLAP_MS = 60_000
Listed = tuple[OrderUpdate | StrangeOrder, ...]


@dataclass(slots=True)
class _Lists:
    """What the exchange last told of a symbol's orders and trades."""

    orders: OrdersFetched | None = None
    fills: FillsFetched | None = None


class AbsenceDesk:
    """Collects the evidence: three answers over ten seconds, open orders, all orders, trades, the position."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lists: dict[str, _Lists] = {}

    def note(self, event: OrdersFetched | FillsFetched) -> None:
        lists = self._lists.setdefault(event.symbol, _Lists())
        if isinstance(event, OrdersFetched):
            lists.orders = event
        else:
            lists.fills = event

    def is_proven(self, order: Order, now_ms: int, snapshot: Snapshot | None) -> bool:
        """Nothing anywhere shows it."""
        lists = self._lists.get(order.symbol, _Lists())
        if not is_ripe(order, now_ms) or not _covers(lists.orders, order) or not _covers(lists.fills, order):
            return False
        return self._is_missing_in(snapshot, order) and not any(_may_be_of(fill, order, lists) for fill in _told(lists))

    def lacks_snapshot(self, now_ms: int, snapshot: Snapshot | None) -> bool:
        """All that is left for an order is a snapshot that does not show it."""
        return any(
            snapshot is None or snapshot.asked_at <= (order.unresolved_since or 0) for order in self._ripe(now_ms)
        )

    def ask(self, now_ms: int) -> None:
        """Have the lists read that are missing yet."""
        for order in self._ripe(now_ms):
            lists = self._lists.get(order.symbol, _Lists())
            if _covers(lists.orders, order) and _covers(lists.fills, order) and not _is_doubted(order, lists):
                continue
            if self._desk.may_ask(f"lists {order.symbol}", _ASK_EVERY_MS):
                since_ms = order.created_at - _OVERLAP_MS
                self._desk.send(FetchOrders(order.symbol, since_ms))
                self._desk.send(FetchFills(order.symbol, since_ms))

    def _ripe(self, now_ms: int) -> list[Order]:
        return [order for order in self._desk.books.orders.values() if is_ripe(order, now_ms)]

    def _is_missing_in(self, snapshot: Snapshot | None, order: Order) -> bool:
        """It is not among the open orders, and the position is as we know it without the order."""
        if snapshot is None or snapshot.asked_at <= (order.unresolved_since or 0):
            return False
        slot = order.symbol, order.request.position_side
        held = self._desk.books.holding(slot).position.quantity
        reports = [each for each in snapshot.positions if (each.symbol, each.position_side) == slot]
        is_unchanged = all(report.quantity == held for report in reports)
        listed: Listed = (*snapshot.open_orders, *snapshot.strange_orders)
        return is_unchanged and all(shown.client_order_id != order.client_order_id for shown in listed)


def is_ripe(order: Order, now_ms: int) -> bool:
    """Denied often and long enough that the lists are worth their weight."""
    since = order.unresolved_since
    return order.is_open and since is not None and order.not_found >= _ANSWERS and now_ms - since >= _AFTER_MS


def _covers(read: OrdersFetched | FillsFetched | None, order: Order) -> bool:
    """It was read when the order could not come to be any more, and reaches back to before it."""
    since = order.unresolved_since or 0
    return read is not None and read.at - since >= _AFTER_MS and read.since_ms <= order.created_at


def _told(lists: _Lists) -> tuple[Fill, ...]:
    return lists.fills.fills if lists.fills is not None else ()


def _is_doubted(order: Order, lists: _Lists) -> bool:
    return any(_may_be_of(fill, order, lists) for fill in _told(lists))


def _may_be_of(fill: Fill, order: Order, lists: _Lists) -> bool:
    """A trade in its slot and direction whose own order the list of orders does not name."""
    if lists.orders is None or fill.traded_at < order.created_at - _OVERLAP_MS:
        return False
    is_alike = (fill.side, fill.position_side) == (order.request.side, order.request.position_side)
    listed: Listed = (*lists.orders.orders, *lists.orders.strange)
    return is_alike and all(each.order_id != fill.order_id for each in listed)
