"""Our orders and positions, as the trader knows them: state and look-ups, no decisions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType
from src.domain.orders import Fill, Order, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Position, PositionKey, PositionReport

ZERO = Decimal(0)
_EVENT_TIME_TOLERANCE_MS = 100
"""How far apart the account and the order may tell of one trade."""
_STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET})


@dataclass(frozen=True, slots=True)
class OwnershipCheck:
    """Whose a position is that is not as we left it: its trades are being read."""

    started_at: int
    """Monotonic."""
    close_reason: str | None = None
    """Why it was to be closed when the last run ended: of the position that it knew."""


@dataclass(slots=True)
class TrackedPosition:
    """One position slot and what surrounds it. The trader owns it."""

    position: Position
    leverage: int = 1
    margin_type: MarginType = MarginType.CROSSED
    liquidation_price: Decimal | None = None
    entry_order_id: str | None = None
    """Client order id of the entry of ours that last enlarged it; None where it is not ours."""
    opened_at: int = 0
    reported_at: int = 0
    """Exchange time of the newest absolute report: older fills are already in it."""
    filled_at: int = 0
    """Exchange time of the newest trade: a report that knows less is outdated."""
    updated_locally_at: int = 0
    """Our time of the last change: a snapshot asked for before it knows less."""
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    unexplained_quantity: Decimal = ZERO
    """How far its quantity is from what the trades that are booked since it began add up to."""
    is_unverified: bool = False
    """As the last run left it; the exchange has not shown it yet."""
    has_unseen_trades: bool = False
    """It has changed, and no trade that we know of tells how."""
    ownership_check: OwnershipCheck | None = None
    close_reason: str | None = None
    """Why it must be closed, until it is flat."""
    rejections: dict[OrderRole, int] = field(default_factory=dict)
    """Definite refusals of protective orders since the last that was accepted, and closing orders in a row that were
    refused or expired without a fill."""
    external_cancels: int = 0
    """How often its protection was cancelled by somebody else."""
    quantity_order_until: dict[OrderRole, int] = field(default_factory=dict)
    """Roles for which the exchange had no room for an order that closes all, and the monotonic time until which none is
    tried."""
    stop_triggered_at: int = 0
    """Monotonic time at which a stop of it was first seen to have fired; 0 while none has."""
    is_stop_ended: bool = False
    """That stop has ended, and a part of the position is still there."""
    unprotected_since: int | None = None
    """Monotonic time at which it had no stop and the exchange said that it knows none; None while one stands."""
    close_failure_alerted: bool = False
    """A person was told that it cannot be closed."""
    awaits_filters_until: int = 0
    """Monotonic time until which no protective order is placed: the exchange's rules are being read."""
    next_close_at: int = 0
    """Monotonic time before which no further closing order is tried."""
    next_stop_at: int = 0
    """Monotonic time before which no stop loss is tried that was refused before."""

    @property
    def key(self) -> PositionKey:
        return self.position.symbol, self.position.position_side

    @property
    def is_managed(self) -> bool:
        return self.entry_order_id is not None

    @property
    def is_ownership_open(self) -> bool:
        """It may not be ours: it is not closed before that is known."""
        return self.is_unverified or self.ownership_check is not None

    def fills_explain(self, quantity: Decimal) -> bool:
        """The trades of this position that are booked add up to so much: of several trades in a report's instant we
        cannot know which it held."""
        return self._is_ahead_of_report and self.position.quantity - self.unexplained_quantity == quantity

    @property
    def is_flat_unconfirmed(self) -> bool:
        """It is gone by our reckoning alone: where a trade of somebody else was not told, it stands all the same."""
        return self._is_ahead_of_report and not self.position.is_open

    @property
    def _is_ahead_of_report(self) -> bool:
        """Of ours, and no report has told it since its last trade."""
        return self.is_managed and bool(self.opened_at) and self.filled_at > self.reported_at

    def is_flipped_by(self, quantity: Decimal) -> bool:
        """A report shows it the other way round, or there although our trades had ended it: it was flat in between."""
        is_turned = self.position.quantity * quantity < 0 or (self.is_flat_unconfirmed and bool(quantity))
        return self.is_managed and is_turned

    def confirm_ownership(self) -> None:
        """It is ours, by its trades or by a person's word."""
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
        """Roles that get an order of the position's size now; ``now_ms`` is monotonic."""
        return frozenset(role for role, until in self.quantity_order_until.items() if now_ms < until)

    def open(self, at: int) -> None:
        """The slot is filled anew, where it was empty."""
        if self.opened_at:
            self.opened_at = min(self.opened_at, at)
        else:
            self.opened_at = at
            self.realized_pnl = self.commission = ZERO

    def apply_fill(self, fill: Fill, now_ms: int, *, only_reduces: bool) -> None:
        """Book a trade; the quantity moves only where no later report holds it already, and an exit never past flat."""
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
        """Take over an absolute report; an older one than the last, or than the last trade, changes nothing."""
        if reported_at >= max(self.reported_at, self.filled_at):
            self.unexplained_quantity += position.quantity - self.position.quantity
            self.position, self.reported_at, self.updated_locally_at = position, reported_at, now_ms

    def update_details(self, report: PositionReport) -> None:
        """Take over what only a full report tells."""
        self.leverage, self.margin_type = report.leverage, report.margin_type or self.margin_type
        self.liquidation_price = report.liquidation_price or None

    def reset(self) -> None:
        """It is flat: what belonged to that position is history."""
        self.entry_order_id, self.close_reason, self.liquidation_price = None, None, None
        self.opened_at = self.external_cancels = self.next_close_at = self.next_stop_at = 0
        self.stop_triggered_at = self.awaits_filters_until = 0
        self.is_stop_ended = self.close_failure_alerted = False
        self.unprotected_since = self.ownership_check = None
        self.unexplained_quantity, self.is_unverified, self.has_unseen_trades = ZERO, False, False
        self.rejections.clear()
        self.quantity_order_until.clear()


class Portfolio:
    """All orders of ours that matter still, all positions, and the orders of others."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.tracked_positions: dict[PositionKey, TrackedPosition] = {}
        self.external_orders: dict[int, OrderUpdate] = {}
        self.unrecognized_orders: dict[tuple[str, int], UnrecognizedOrder] = {}
        """Open orders of which nobody knows what they do: others', and what has our name and is unknown here."""

    def add_order(self, order: Order) -> None:
        self.orders[order.client_order_id] = order

    def tracked(self, key: PositionKey) -> TrackedPosition:
        """The slot's holding, made where there was none."""
        found = self.tracked_positions.get(key)
        if found is None:
            found = self.tracked_positions[key] = TrackedPosition(Position(*key))
        return found

    def order_for_fill(self, fill: Fill) -> Order | None:
        """The order a fill belongs to; a trade list names it by exchange id alone."""
        found = self.orders.get(fill.client_order_id)
        if found is not None:
            return found
        order_key = fill.symbol, fill.order_id  # numbers of orders are unique within a symbol only
        return next((each for each in self.orders.values() if (each.symbol, each.order_id) == order_key), None)

    def entry_order_for(self, tracked: TrackedPosition) -> str | None:
        """Whose the position is; where its beginning was told in an order that lost that, an entry of ours that has
        filled since then."""
        if tracked.entry_order_id is None:
            opened = [order for order in self.orders.values() if _has_opened(order, tracked)]
            tracked.assign_entry(max(opened, key=lambda order: order.event_at).client_order_id if opened else None)
        return tracked.entry_order_id

    def open_orders(self, symbol: str | None = None, role: OrderRole | None = None) -> list[Order]:
        """Orders of ours that may still fill."""
        return [
            order
            for order in self.orders.values()
            if order.is_open and symbol in (None, order.symbol) and role in (None, order.role)
        ]

    def pending_entries(self) -> list[Order]:
        """Entries that may still fill, or whose fills are not all in a position yet."""
        return [
            order
            for order in self.orders.values()
            if order.role is OrderRole.ENTRY and (order.is_open or order.has_missing_fills)
        ]

    def orders_for(self, key: PositionKey) -> list[Order]:
        """Orders of ours that belong to a slot and may still fill, or have fills we have not seen."""
        return [
            order
            for order in self.orders.values()
            if (order.symbol, order.request.position_side) == key and (order.is_open or order.has_missing_fills)
        ]

    def count_stops(self, key: PositionKey) -> int:
        """Stop losses that stand at the exchange for a slot, ours and those of others."""
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
        """Drop orders that ended long ago and lack nothing: late fills are still found in the database."""
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
    """What an entry may still add to its position: filled or not, until its trades are booked."""
    open_quantity = (order.request.quantity or ZERO) if order.is_open else order.filled_quantity
    return max(ZERO, open_quantity - order.recorded_quantity) * (order.request.price or order.average_price)


def entry_margin(orders: Iterable[Order], leverage: int) -> Decimal:
    """Margin that entries which may still fill would bind."""
    return sum(map(reserved_notional, orders), ZERO) / leverage
