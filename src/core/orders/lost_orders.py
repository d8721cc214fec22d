"""Decides when an order that the exchange does not know is lost: only after every other source was checked."""

from dataclasses import dataclass

from src.core.context import TraderContext
from src.domain.commands import FetchFills, FetchOrders
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.orders import Fill, Order, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Snapshot

REQUEST_LIFETIME_MS = 10_000
"""The exchange rejects a request that arrives later than this: its timestamp or nonce has expired."""
_MIN_NOT_FOUND = 3
_REQUEST_INTERVAL_MS = 3_000
_OVERLAP_MS = 60_000
ListedOrders = tuple[OrderUpdate | UnrecognizedOrder, ...]


@dataclass(slots=True)
class _History:
    """The newest lists of a symbol's orders and trades."""

    orders: OrdersFetched | None = None
    fills: FillsFetched | None = None


class LostOrders:
    """Collects the evidence: three not-found responses in ten seconds, order lists, trades and the position."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._histories: dict[str, _History] = {}

    def record(self, event: OrdersFetched | FillsFetched) -> None:
        history = self._histories.setdefault(event.symbol, _History())
        if isinstance(event, OrdersFetched):
            history.orders = event
        elif not event.is_incomplete:  # the trade that is left out may be the order's
            history.fills = event

    def is_confirmed_absent(self, order: Order, now_ms: int, snapshot: Snapshot | None) -> bool:
        """Whether no list, trade or snapshot shows the order, so that it can be considered lost."""
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
        """Whether an order that is due still needs a snapshot requested after its response was lost."""
        return any(
            snapshot is None or snapshot.requested_at <= (order.unresolved_since or 0) for order in self._due(now_ms)
        )

    def request_history(self, now_ms: int) -> None:
        """Request the order and trade lists that are still missing as evidence."""
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
        """Whether the snapshot does not list the order and shows its position unchanged."""
        if snapshot is None or snapshot.requested_at <= (order.unresolved_since or 0):
            return False
        key = order.key
        held = self._context.portfolio.tracked(key).position.quantity
        reports = [each for each in snapshot.positions if each.key == key]
        is_unchanged = all(report.quantity == held for report in reports)
        return is_unchanged and all(each.client_order_id != order.client_order_id for each in snapshot.listed_orders)


def is_due(order: Order, now_ms: int) -> bool:
    """Whether the order was not found often and long enough to spend request weight on the lists."""
    since = order.unresolved_since
    return (
        order.is_open
        and since is not None
        and order.not_found_count >= _MIN_NOT_FOUND
        and now_ms - since >= REQUEST_LIFETIME_MS
    )


def _covers_lifetime(read: OrdersFetched | FillsFetched | None, order: Order) -> bool:
    """Whether the list was read after the order's request had expired, and starts before the order was created."""
    since = order.unresolved_since or 0
    return read is not None and read.at - since >= REQUEST_LIFETIME_MS and read.since_ms <= order.created_at


def _reported_fills(history: _History) -> tuple[Fill, ...]:
    return history.fills.fills if history.fills is not None else ()


def _has_unattributed_fill(order: Order, history: _History) -> bool:
    return any(_may_belong_to(fill, order, history) for fill in _reported_fills(history))


def _may_belong_to(fill: Fill, order: Order, history: _History) -> bool:
    """Whether the trade matches the order's position and side and belongs to no listed order."""
    if history.orders is None or fill.traded_at < order.created_at - _OVERLAP_MS:
        return False
    is_same_side = (fill.side, fill.position_side) == (order.request.side, order.request.position_side)
    listed: ListedOrders = (*history.orders.orders, *history.orders.unrecognized)
    return is_same_side and all(each.order_id != fill.order_id for each in listed)
