"""When an order the exchange does not know may be believed gone: once everything has been asked (§4, ABSENT)."""

from dataclasses import dataclass

from src.core.context import TraderContext
from src.domain.commands import FetchFills, FetchOrders
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.orders import Fill, Order, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Snapshot

_REQUEST_LIFETIME_MS = 10_000
"""A request is refused when it arrives later than this: neither a timestamp nor a nonce is good for longer."""
_MIN_NOT_FOUND = 3
_REQUEST_INTERVAL_MS = 3_000
_OVERLAP_MS = 60_000
ListedOrders = tuple[OrderUpdate | UnrecognizedOrder, ...]


@dataclass(slots=True)
class _History:
    """What the exchange last told of a symbol's orders and trades."""

    orders: OrdersFetched | None = None
    fills: FillsFetched | None = None


class LostOrders:
    """Collects the evidence: three answers over ten seconds, open orders, all orders, trades, the position."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._histories: dict[str, _History] = {}

    def record(self, event: OrdersFetched | FillsFetched) -> None:
        history = self._histories.setdefault(event.symbol, _History())
        if isinstance(event, OrdersFetched):
            history.orders = event
        else:
            history.fills = event

    def is_confirmed_absent(self, order: Order, now_ms: int, snapshot: Snapshot | None) -> bool:
        """Nothing anywhere shows it."""
        history = self._histories.get(order.symbol, _History())
        if (
            not is_due(order, now_ms)
            or not _covers_lifetime(history.orders, order)
            or not _covers_lifetime(history.fills, order)
        ):
            return False
        return self._is_missing_in(snapshot, order) and not any(
            _may_belong_to(fill, order, history) for fill in _reported_fills(history)
        )

    def needs_snapshot(self, now_ms: int, snapshot: Snapshot | None) -> bool:
        """All that is left for an order is a snapshot that does not show it."""
        return any(
            snapshot is None or snapshot.requested_at <= (order.unresolved_since or 0) for order in self._due(now_ms)
        )

    def request_history(self, now_ms: int) -> None:
        """Have the lists read that are missing yet."""
        for order in self._due(now_ms):
            history = self._histories.get(order.symbol, _History())
            if (
                _covers_lifetime(history.orders, order)
                and _covers_lifetime(history.fills, order)
                and not _has_unattributed_fill(order, history)
            ):
                continue
            if self._context.may_request(f"lists {order.symbol}", _REQUEST_INTERVAL_MS):
                since_ms = order.created_at - _OVERLAP_MS
                self._context.queue_command(FetchOrders(order.symbol, since_ms))
                self._context.queue_command(FetchFills(order.symbol, since_ms))

    def _due(self, now_ms: int) -> list[Order]:
        return [order for order in self._context.portfolio.orders.values() if is_due(order, now_ms)]

    def _is_missing_in(self, snapshot: Snapshot | None, order: Order) -> bool:
        """It is not among the open orders, and the position is as we know it without the order."""
        if snapshot is None or snapshot.requested_at <= (order.unresolved_since or 0):
            return False
        key = order.symbol, order.request.position_side
        held = self._context.portfolio.tracked(key).position.quantity
        reports = [each for each in snapshot.positions if (each.symbol, each.position_side) == key]
        is_unchanged = all(report.quantity == held for report in reports)
        listed: ListedOrders = (*snapshot.open_orders, *snapshot.unrecognized_orders)
        return is_unchanged and all(shown.client_order_id != order.client_order_id for shown in listed)


def is_due(order: Order, now_ms: int) -> bool:
    """Denied often and long enough that the lists are worth their weight."""
    since = order.unresolved_since
    return (
        order.is_open
        and since is not None
        and order.not_found_count >= _MIN_NOT_FOUND
        and now_ms - since >= _REQUEST_LIFETIME_MS
    )


def _covers_lifetime(read: OrdersFetched | FillsFetched | None, order: Order) -> bool:
    """It was read when the order could not come to be any more, and reaches back to before it."""
    since = order.unresolved_since or 0
    return read is not None and read.at - since >= _REQUEST_LIFETIME_MS and read.since_ms <= order.created_at


def _reported_fills(history: _History) -> tuple[Fill, ...]:
    return history.fills.fills if history.fills is not None else ()


def _has_unattributed_fill(order: Order, history: _History) -> bool:
    return any(_may_belong_to(fill, order, history) for fill in _reported_fills(history))


def _may_belong_to(fill: Fill, order: Order, history: _History) -> bool:
    """A trade in its slot and direction whose own order the list of orders does not name."""
    if history.orders is None or fill.traded_at < order.created_at - _OVERLAP_MS:
        return False
    is_same_side = (fill.side, fill.position_side) == (order.request.side, order.request.position_side)
    listed: ListedOrders = (*history.orders.orders, *history.orders.unrecognized)
    return is_same_side and all(each.order_id != fill.order_id for each in listed)
