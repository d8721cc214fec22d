"""The trader's in-memory orders and positions: state and lookups, no decisions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType
from src.domain.numbers import ZERO
from src.domain.orders import Fill, Order, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Position, PositionKey, PositionReport

_EVENT_TIME_TOLERANCE_MS = 100
"""Largest difference between the event times of an account update and an order update for the same trade."""
_STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET})


@dataclass(frozen=True, slots=True)
class OwnershipCheck:
    """A pending check whether a position that changed unexpectedly is still the bot's; its trades are being fetched."""

    started_at: int
    """Monotonic time."""
    close_reason: str | None = None
    """Close request inherited from the last run; it applied to the position as that run knew it."""


@dataclass(slots=True)
class TrackedPosition:
    """The position of one symbol and side with its bookkeeping. Owned and mutated by the trader."""

    position: Position
    leverage: int = 1
    margin_type: MarginType = MarginType.CROSSED
    liquidation_price: Decimal | None = None
    entry_order_id: str | None = None
    """Client order id of the bot's entry that last increased it; None for an external position."""
    opened_at: int = 0
    reported_at: int = 0
    """Exchange time of the newest account report; fills up to this time are already included."""
    filled_at: int = 0
    """Exchange time of the newest trade; older account reports are outdated."""
    updated_locally_at: int = 0
    """Local time of the last change; snapshots requested earlier are outdated."""
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    unexplained_quantity: Decimal = ZERO
    """Difference between its quantity and the sum of the trades recorded since it was opened."""
    is_unverified: bool = False
    """Loaded from the last run and not yet confirmed by an exchange snapshot."""
    has_unseen_trades: bool = False
    """It has traded, and the trades have not been received yet."""
    ownership_check: OwnershipCheck | None = None
    close_reason: str | None = None
    """Why the position is being closed; kept until it is flat."""
    rejections: dict[OrderRole, int] = field(default_factory=dict)
    """By role: rejections of protective orders since the last accepted one, and consecutive close orders that were
    rejected or expired without a fill."""
    external_cancels: int = 0
    """How often its protective orders were cancelled externally."""
    quantity_order_until: dict[OrderRole, int] = field(default_factory=dict)
    """Roles that use an order with a quantity because another closePosition order already exists, with the monotonic
    time until which they do."""
    stop_triggered_at: int = 0
    """Monotonic time at which its stop was first seen triggered; 0 before that."""
    is_stop_ended: bool = False
    """The triggered stop has ended and part of the position is still open."""
    unprotected_since: int | None = None
    """Monotonic time since when it has no stop and the exchange confirmed that none exists; None while protected."""
    close_failure_alerted: bool = False
    """The alert that the position cannot be closed has been sent."""
    awaits_filters_until: int = 0
    """Monotonic time until which no protective order is placed, because the symbol filters are being refreshed."""
    next_close_at: int = 0
    """Monotonic time before which no further close order is sent."""
    next_stop_at: int = 0
    """Monotonic time before which a rejected stop loss is not retried."""

    @property
    def key(self) -> PositionKey:
        return self.position.symbol, self.position.position_side

    @property
    def is_managed(self) -> bool:
        return self.entry_order_id is not None

    @property
    def is_ownership_open(self) -> bool:
        """Whether the position is still the bot's is unknown; it must not be closed until that is settled."""
        return self.is_unverified or self.ownership_check is not None

    def fills_explain(self, quantity: Decimal) -> bool:
        """Whether the recorded trades add up to ``quantity``.

        A report may carry the same timestamp as several trades and include only some of them.
        """
        return self._is_ahead_of_report and self.position.quantity - self.unexplained_quantity == quantity

    @property
    def is_flat_unconfirmed(self) -> bool:
        """Flat according to its fills only; an external trade that was not reported may have left it open."""
        return self._is_ahead_of_report and not self.position.is_open

    @property
    def _is_ahead_of_report(self) -> bool:
        """A managed position with a newest trade that no account report has confirmed yet."""
        return self.is_managed and bool(self.opened_at) and self.filled_at > self.reported_at

    def is_flipped_by(self, quantity: Decimal) -> bool:
        """Whether a reported ``quantity`` implies that the position was flat in between.

        True for the opposite direction, and for an open position that the fills had closed.
        """
        is_flipped = self.position.quantity * quantity < 0 or (self.is_flat_unconfirmed and bool(quantity))
        return self.is_managed and is_flipped

    def confirm_ownership(self) -> None:
        """Settle that the position is the bot's, as shown by its trades or confirmed by the operator."""
        self.is_unverified, self.ownership_check = False, None

    @property
    def margin(self) -> Decimal:
        """Initial margin at the entry price, in the quote asset."""
        return abs(self.position.quantity) * self.position.entry_price / self.leverage

    def assign_entry(self, client_order_id: str | None) -> None:
        """Manage the position under this entry: its protective and closing orders take their ids from it.

        The entry that last opened or enlarged the position wins. None changes nothing; only ``reset`` clears it.
        """
        self.entry_order_id = client_order_id or self.entry_order_id

    def quantity_order_roles(self, now_ms: int) -> frozenset[OrderRole]:
        """Roles that currently use an order with a quantity; ``now_ms`` is monotonic."""
        return frozenset(role for role, until in self.quantity_order_until.items() if now_ms < until)

    def open(self, at: int) -> None:
        """Start a new position at ``at``; for one that is already open only an earlier time counts."""
        if self.opened_at:
            self.opened_at = min(self.opened_at, at)
        else:
            self.opened_at = at
            self.realized_pnl = self.commission = ZERO

    def apply_fill(self, fill: Fill, now_ms: int, *, only_reduces: bool) -> None:
        """Record a trade.

        The quantity changes only if no later report already includes the trade; an exit never goes past flat.
        """
        self.realized_pnl += fill.realized_pnl
        self.commission += fill.commission
        self.updated_locally_at, self.filled_at = now_ms, max(self.filled_at, fill.traded_at)
        before = self.position.quantity
        quantity = fill.quantity if fill.traded_at > self.reported_at else ZERO
        if only_reduces:
            quantity = min(quantity, max(ZERO, -fill.side.sign * before))
        if quantity:
            self.position, _ = self.position.apply_trade(fill.side, quantity, fill.price)
        if fill.traded_at >= self.opened_at:
            self.unexplained_quantity += self.position.quantity - before - fill.side.sign * fill.quantity

    def apply_report(self, position: Position, reported_at: int, now_ms: int) -> None:
        """Adopt an account report; one older than the last report or trade is ignored."""
        if reported_at >= max(self.reported_at, self.filled_at):
            self.unexplained_quantity += position.quantity - self.position.quantity
            self.position, self.reported_at, self.updated_locally_at = position, reported_at, now_ms

    def update_details(self, report: PositionReport) -> None:
        """Adopt the fields that only a REST position report contains."""
        self.leverage, self.margin_type = report.leverage, report.margin_type or self.margin_type
        self.liquidation_price = report.liquidation_price or None

    def reset(self) -> None:
        """Clear the bookkeeping of a position that is flat."""
        self.entry_order_id, self.close_reason, self.liquidation_price = None, None, None
        self.opened_at = self.external_cancels = self.next_close_at = self.next_stop_at = 0
        self.stop_triggered_at = self.awaits_filters_until = 0
        self.is_stop_ended = self.close_failure_alerted = False
        self.unprotected_since = self.ownership_check = None
        self.unexplained_quantity, self.is_unverified, self.has_unseen_trades = ZERO, False, False
        self.rejections.clear()
        self.quantity_order_until.clear()


class Portfolio:
    """The bot's current orders, all positions, and external open orders."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.tracked_positions: dict[PositionKey, TrackedPosition] = {}
        self.external_orders: dict[int, OrderUpdate] = {}
        self.unrecognized_orders: dict[tuple[str, int], UnrecognizedOrder] = {}
        """Open orders with values the bot does not know, by symbol and client order id."""

    def add_order(self, order: Order) -> None:
        self.orders[order.client_order_id] = order

    def tracked(self, key: PositionKey) -> TrackedPosition:
        """The tracked position of this key, created if missing."""
        found = self.tracked_positions.get(key)
        if found is None:
            found = self.tracked_positions[key] = TrackedPosition(Position(*key))
        return found

    def order_for_fill(self, fill: Fill) -> Order | None:
        """The order a fill belongs to; fills from a trade list carry only the exchange order id."""
        found = self.orders.get(fill.client_order_id)
        if found is not None:
            return found
        order_key = fill.symbol, fill.order_id  # order ids are unique per symbol only
        return next((each for each in self.orders.values() if (each.symbol, each.order_id) == order_key), None)

    def entry_order_for(self, tracked: TrackedPosition) -> str | None:
        """The entry order that owns the position, or None.

        Falls back to the newest entry filled since the position was opened, because updates may arrive out of order.
        """
        if tracked.entry_order_id is None:
            opened = [order for order in self.orders.values() if _has_opened(order, tracked)]
            tracked.assign_entry(max(opened, key=lambda order: order.event_at).client_order_id if opened else None)
        return tracked.entry_order_id

    def open_orders(self, symbol: str | None = None, role: OrderRole | None = None) -> list[Order]:
        """The bot's orders that may still fill."""
        return [
            order
            for order in self.orders.values()
            if order.is_open and symbol in (None, order.symbol) and role in (None, order.role)
        ]

    def pending_entries(self) -> list[Order]:
        """Entries that may still fill, or have fills that are not recorded yet."""
        return [
            order
            for order in self.orders.values()
            if order.role is OrderRole.ENTRY and (order.is_open or order.has_missing_fills)
        ]

    def orders_for(self, key: PositionKey) -> list[Order]:
        """The bot's orders of a position key that may still fill, or have fills that are not recorded yet."""
        return [
            order
            for order in self.orders.values()
            if (order.symbol, order.request.position_side) == key and (order.is_open or order.has_missing_fills)
        ]

    def count_stops(self, key: PositionKey) -> int:
        """Number of stop losses open at the exchange for a position key, external ones included."""
        ours = [order for order in self.orders_for(key) if order.role is OrderRole.STOP_LOSS and order.order_id]
        others = [
            update
            for update in self.external_orders.values()
            if (update.symbol, update.position_side) == key and update.original_type in _STOP_TYPES
        ]
        return len(ours) + len(others)

    def open_positions(self) -> list[TrackedPosition]:
        return [tracked for tracked in self.tracked_positions.values() if tracked.position.is_open]

    def positions_for(self, symbol: str) -> list[TrackedPosition]:
        return [tracked for tracked in self.open_positions() if tracked.position.symbol == symbol]

    def drop_closed_orders(self, before_ms: int) -> None:
        """Forget complete orders closed before ``before_ms``; late fills still find them in the database."""
        for key, order in list(self.orders.items()):
            if not order.is_open and not order.has_missing_fills and max(order.event_at, order.created_at) < before_ms:
                del self.orders[key]


def _has_opened(order: Order, tracked: TrackedPosition) -> bool:
    if order.role is not OrderRole.ENTRY or (order.symbol, order.request.position_side) != tracked.key:
        return False
    is_filled = order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)
    is_same_side = order.request.side is tracked.position.side
    return is_filled and is_same_side and order.event_at >= tracked.opened_at - _EVENT_TIME_TOLERANCE_MS


def reserved_notional(order: Order) -> Decimal:
    """Notional an entry may still add to its position: unfilled quantity plus fills not recorded yet."""
    open_quantity = (order.request.quantity or ZERO) if order.is_open else order.filled_quantity
    return max(ZERO, open_quantity - order.recorded_quantity) * (order.request.price or order.average_price)


def entry_margin(orders: Iterable[Order], leverage: int) -> Decimal:
    """Initial margin required by the given entries if they fill completely."""
    return sum(map(reserved_notional, orders), ZERO) / leverage
