"""The trader's in-memory orders and positions: state and lookups, no decisions."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from src.domain.clock import MINUTE_MS
from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, Side
from src.domain.instrument import Price
from src.domain.numbers import ZERO
from src.domain.orders import Fill, Order, OrderNumber, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Position, PositionKey, PositionReport

STAMP_TOLERANCE_MS = 100
"""Largest difference between the times that an account event and an order event state for the same trade."""
ASK_AFTER_MS = 30_000
"""How long the exchange's trades may take to explain a position before a person is asked."""
_FIRST_READ_MS = 1_000
_MAX_PAUSE_MS = 10 * MINUTE_MS
_MAX_DOUBLINGS = 10
_UNPROTECTED_MS = 5_000
_STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET})


@dataclass(slots=True)
class TradeSearch:
    """The exchange's trades of a position, read until the bot's explain it. Times are monotonic, in milliseconds."""

    started_at: int
    read_at: int = 0
    """When they were last requested; 0 before the first request."""
    reads: int = 0
    is_answered: bool = False
    """A list of all its trades has arrived since."""

    def is_due(self, now_ms: int) -> bool:
        """Whether to request them, with growing pauses: the order event may arrive shortly after the account event."""
        pause_ms = min(_FIRST_READ_MS << min(self.reads, _MAX_DOUBLINGS), _MAX_PAUSE_MS)
        return now_ms - max(self.started_at, self.read_at) >= pause_ms

    def is_over(self, now_ms: int) -> bool:
        """Whether what its trades do not explain is not the bot's doing."""
        return self.is_answered and now_ms - self.started_at >= ASK_AFTER_MS


@dataclass(slots=True)
class Unexplained(TradeSearch):
    """An open position that the bot's trades do not explain; a person is asked once the search is over."""

    failures: int = 0
    """How often the list of its trades could not be read although the account could."""
    asked_at: int | None = None
    """When a person was first asked, ms UTC."""


@dataclass(slots=True)
class EndedPosition(TradeSearch):
    """A closed position of the bot whose trades do not add up to flat."""

    opened_at: int = 0
    """ms UTC."""
    other_side_trades: frozenset[int] = frozenset()
    """Trades on the other side of its symbol, in hedge mode: the income history does not tell them apart."""


@dataclass(slots=True)
class PositionTrades:
    """What the trades of a position say, since it was opened."""

    own_quantity: Decimal = ZERO
    """Signed sum of the bot's fills, the exchange's forced orders included."""
    accepted_quantity: Decimal = ZERO
    """Signed quantity of other trades that a person, or the adoption setting, has given to the bot."""
    accepted_at: int = 0
    """When that was decided, ms UTC: other trades before it need no explanation any more."""
    has_others: bool = False
    """The exchange may have, or has, trades in it that are not the bot's, although the quantities agree."""
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    """Fees in dollars; fees of unknown value are left out."""

    @property
    def quantity(self) -> Decimal:
        """The quantity that the position should have: the bot's fills, and what was given to the bot."""
        return self.own_quantity + self.accepted_quantity


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Why a position is being closed."""

    reason: str
    is_protective: bool = False
    """It is closed because no stop loss protects it, as its stop loss would have done."""


@dataclass(slots=True)
class ExitState:
    """What is known about the orders that protect and close a position. It ends with the position."""

    rejections: dict[OrderRole, int] = field(default_factory=dict)
    """By role: rejections of protective orders since the last accepted one, and consecutive close orders that were
    rejected or expired without a fill."""
    external_cancels: int = 0
    """How often its protective orders were cancelled externally."""
    tightened_stop: Price | None = None
    """Price of its stop loss just before the liquidation price, if that is nearer than the stop of the settings."""
    liquidation_warning: str | None = None
    """Why its symbol has no entries: it would be liquidated before its stop loss triggers."""
    to_replace: set[OrderRole] = field(default_factory=set)
    """Roles of which an order was cancelled externally, and none has been accepted since."""
    quantity_order_until: dict[OrderRole, int] = field(default_factory=dict)
    """Roles that use an order with a quantity because another closePosition order already exists, with the monotonic
    time until which they do."""
    amended_at: dict[OrderRole, int] = field(default_factory=dict)
    """By role: monotonic time of the last protective order that was placed to replace an open one."""
    stop_triggered_at: int = 0
    """Monotonic time at which its stop was first seen triggered; 0 before that."""
    is_stop_ended: bool = False
    """The triggered stop has ended and part of the position is still open."""
    unprotected_since: int | None = None
    """Monotonic time since when it has no working stop; None while it has one or needs none."""
    close_failure_alerted: bool = False
    """The alert that the position cannot be closed has been sent."""
    awaits_filters_until: int = 0
    """Monotonic time until which no protective order is placed, because the symbol filters are being refreshed."""
    next_close_at: int = 0
    """Monotonic time before which no further close order is sent."""
    next_stop_at: int = 0
    """Monotonic time before which a rejected stop loss is not retried."""


@dataclass(slots=True)
class TrackedPosition:
    """The position of one symbol and side with its bookkeeping. Owned and mutated by the trader."""

    position: Position
    leverage: int = 1
    margin_type: MarginType = MarginType.CROSSED
    liquidation_price: Decimal | None = None
    """As the exchange reported it at ``liquidation_read_at``; None if it reported none."""
    entry_order_id: str | None = None
    """Client order id of the bot's entry that last increased it; None for an external position."""
    opened_at: int = 0
    liquidation_read_at: int = 0
    """When the liquidation price was read, ms UTC."""
    reported_at: int = 0
    """Exchange time of the newest account report; fills up to this time are already included."""
    reported_until: int = 0
    """Later than ``reported_at`` for a report without a time stamp: it was made at some time between the two."""
    filled_at: int = 0
    """Exchange time of the newest trade; older account reports are outdated."""
    updated_locally_at: int = 0
    """Local time of the last change; snapshots requested earlier are outdated."""
    trades: PositionTrades = field(default_factory=PositionTrades)
    unexplained: Unexplained | None = None
    """Set while the bot's fills do not explain it."""
    mismatched_since: int | None = None
    """Monotonic time of the first account event since the last accepted one that was not believed."""
    closing: CloseRequest | None = None
    """Set while the position is being closed, until it is flat."""
    exits: ExitState = field(default_factory=ExitState)

    @property
    def key(self) -> PositionKey:
        return self.position.key

    @property
    def is_managed(self) -> bool:
        return self.entry_order_id is not None

    @property
    def is_unexplained(self) -> bool:
        """Part of it may be the bot's, and the bot's fills do not explain it: see `PositionCloser.may_close`."""
        if not self.is_managed or not self.position.is_open:
            return False
        return self.trades.has_others or self.position.quantity != self.trades.quantity

    @property
    def close_reason(self) -> str | None:
        """Why it is being closed; None if it is not."""
        return None if self.closing is None else self.closing.reason

    @property
    def is_protective_close(self) -> bool:
        return self.closing is not None and self.closing.is_protective

    def unprotected_ms(self, now_ms: int) -> int:
        """For how long it has had no working stop; ``now_ms`` is monotonic."""
        return 0 if self.exits.unprotected_since is None else now_ms - self.exits.unprotected_since

    def is_unprotected(self, now_ms: int) -> bool:
        """Whether it has had no working stop for five seconds (I8); ``now_ms`` is monotonic."""
        return self.unprotected_ms(now_ms) >= _UNPROTECTED_MS

    @property
    def is_asked(self) -> bool:
        """A person has been asked whose it is, and has not answered."""
        return self.unexplained is not None and self.unexplained.asked_at is not None

    @property
    def is_flat_unconfirmed(self) -> bool:
        """Flat according to its fills only; an external trade that was not reported may have left it open."""
        is_ahead = self.is_managed and bool(self.opened_at) and self.filled_at > self.reported_at
        return is_ahead and not self.position.is_open

    def accept(self, at: int) -> None:
        """Treat all of it as the bot's: what its fills do not explain was given to the bot at ``at``, ms UTC."""
        self.trades.accepted_quantity, self.trades.accepted_at = self.position.quantity - self.trades.own_quantity, at
        self.trades.has_others, self.unexplained = False, None

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
        return frozenset(role for role, until in self.exits.quantity_order_until.items() if now_ms < until)

    def open(self, at: int) -> None:
        """Start a new position at ``at``; for one that is already open only an earlier time counts."""
        if self.opened_at:
            self.opened_at = min(self.opened_at, at)
        else:
            self.opened_at, self.trades = at, PositionTrades()

    def apply_fill(self, fill: Fill, now_ms: int, *, only_reduces: bool) -> None:
        """Record one of the bot's trades; an exit never goes past flat.

        The quantity changes by what no account report has included yet. A report that is clearly newer includes the
        trade. Within the tolerance of the time stamps the quantities decide: as far as the report went beyond the
        trades known so far, it has included this one.
        """
        self.trades.realized_pnl += fill.realized_pnl
        self.trades.commission += fill.fee or ZERO
        self.updated_locally_at, self.filled_at = now_ms, max(self.filled_at, fill.traded_at)
        change = fill.side.sign * fill.quantity
        moved = change - self._already_reported(fill, change)
        if only_reduces:
            held = max(ZERO, -fill.side.sign * self.position.quantity)
            moved = fill.side.sign * min(abs(moved), held)
        if moved:
            self.position, _ = self.position.apply_trade(fill.side, abs(moved), fill.price)
        if self.position.is_entry_unknown and fill.side is self.position.side:
            self.position = replace(self.position, entry_price=fill.price)  # reported before its trade, without a price
        if self.opened_at and fill.traded_at >= self.opened_at:
            self.trades.own_quantity += change
        if self.position.quantity == self.trades.quantity and moved != change:
            self.reported_at, self.mismatched_since = max(self.reported_at, fill.traded_at), None

    def _already_reported(self, fill: Fill, change: Decimal) -> Decimal:
        """The signed part of a trade that the position contains already."""
        if fill.traded_at > max(self.reported_at, self.reported_until) + STAMP_TOLERANCE_MS:
            return ZERO
        if fill.traded_at < self.reported_at - STAMP_TOLERANCE_MS or fill.traded_at < self.opened_at:
            return change
        gap = self.position.quantity - self.trades.quantity
        return fill.side.sign * min(abs(change), abs(gap)) if gap * change > 0 else ZERO

    def believes(self, quantity: Decimal, at: int) -> bool:
        """Whether an account event of ``at`` is believed: it is the newest, or it adds up with the bot's trades.

        The time stamps of an account event and an order event of one trade differ by some milliseconds either way.
        An event that is not believed is checked by reading the account.
        """
        adds_up = quantity == self.trades.quantity and at >= self.reported_at - STAMP_TOLERANCE_MS
        return adds_up or at >= max(self.reported_at, self.filled_at)

    def apply_report(self, position: Position, reported_at: int, now_ms: int) -> None:
        """Adopt an account report."""
        self.position = position.with_known_entry(self.position)
        self.updated_locally_at, self.mismatched_since = now_ms, None
        self.reported_at = max(self.reported_at, reported_at)
        if position.quantity == self.trades.quantity:
            self.reported_at = max(self.reported_at, self.filled_at)

    def update_details(self, report: PositionReport) -> None:
        """Adopt the fields that only a REST position report contains."""
        self.leverage, self.margin_type = report.leverage, report.margin_type or self.margin_type
        self.liquidation_price = report.liquidation_price or None

    def reset(self) -> None:
        """Clear the bookkeeping of a position that is flat."""
        self.entry_order_id = self.liquidation_price = self.unexplained = self.mismatched_since = self.closing = None
        self.opened_at, self.trades, self.exits = 0, PositionTrades(), ExitState()


class Portfolio:
    """The bot's current orders, all positions, and external open orders."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.tracked_positions: dict[PositionKey, TrackedPosition] = {}
        self.external_orders: dict[OrderNumber, OrderUpdate | UnrecognizedOrder] = {}
        """Open orders that are not the bot's, or that it cannot recognize as its own."""

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
            if order.is_open and (symbol is None or symbol == order.symbol) and (role is None or role is order.role)
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
            order for order in self.orders.values() if order.key == key and (order.is_open or order.has_missing_fills)
        ]

    def stop_sides(self, key: PositionKey) -> list[Side]:
        """The side of each stop order open at the exchange for a position key, external ones included."""
        ours = [order for order in self.orders_for(key) if order.role is OrderRole.STOP_LOSS and order.order_id]
        others = [
            update
            for update in self.external_orders.values()
            if isinstance(update, OrderUpdate)
            and (update.symbol, update.position_side) == key
            and update.original_type in _STOP_TYPES
        ]
        return [*(order.request.side for order in ours), *(update.side for update in others)]

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
    if order.role is not OrderRole.ENTRY or order.key != tracked.key:
        return False
    is_filled = order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)
    is_same_side = order.request.side is tracked.position.side
    return is_filled and is_same_side and order.event_at >= tracked.opened_at - STAMP_TOLERANCE_MS


def reserved_quantity(order: Order) -> Decimal:
    """Quantity an entry may still add to its position: the unfilled part plus fills not recorded yet."""
    open_quantity = (order.request.quantity or ZERO) if order.is_open else order.filled_quantity
    return max(ZERO, open_quantity - order.recorded_quantity)


def reserved_price(order: Order) -> Decimal:
    """The price at which an entry may still add to its position."""
    return order.request.price or order.average_price


def reserved_notional(order: Order) -> Decimal:
    """Notional an entry may still add to its position."""
    return reserved_quantity(order) * reserved_price(order)


def entry_margin(orders: Iterable[Order], leverage: int) -> Decimal:
    """Initial margin required by the given entries if they fill completely."""
    return sum(map(reserved_notional, orders), ZERO) / leverage
