"""Plans protective orders: one stop loss, then one take profit; a new order before the old is cancelled. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.orders import Order, OrderRequest
from src.domain.positions import Position, Protection
from src.settings.config import SymbolSettings
from src.settings.exits import protection_prices

UNCONFIRMED_STOP_GRACE_MS = 2_000
"""How long a stop without a response counts as working. The check runs every second, so another is placed within
three seconds (I11): two stops are harmless, none is not."""
_MAX_UNCONFIRMED_GRACE_MS = 30_000
"""The grace doubles with each unanswered stop up to this limit, to spare an unresponsive exchange (F19)."""

MAX_TAKE_PROFIT_REJECTIONS = 2
WOULD_TRIGGER_CODES = frozenset({-2021, -4142})
ONE_CLOSING_STOP_CODE = -4130
"""A closePosition order of this type and direction already exists: a Binance rule that Aster may share (I10)."""
_ROLE_TYPES = {OrderRole.STOP_LOSS: OrderType.STOP_MARKET, OrderRole.TAKE_PROFIT: OrderType.TAKE_PROFIT_MARKET}


@dataclass(frozen=True, slots=True)
class ProtectionRules:
    """The settings and limits that a protection plan must follow."""

    settings: SymbolSettings
    instrument: Instrument
    now_ms: int
    take_profit_rejections: int = 0
    with_quantity: frozenset[OrderRole] = frozenset()
    """Roles that use an order with a quantity for now, because the exchange rejects a closePosition order."""
    tightened_stop: Price | None = None
    """Replaces the stop price of the settings, which is beyond the liquidation price."""

    def quantity(self, role: OrderRole, position: Position) -> Quantity | None:
        """Quantity of the protective order; None for a closePosition order."""
        size = self.size(position)
        return size if role in self.with_quantity and size else None

    def size(self, position: Position) -> Quantity:
        return self.instrument.market_quantity(abs(position.quantity))


@dataclass(frozen=True, slots=True)
class ProtectionPlan:
    """Orders to submit and cancel so that the position is protected according to the settings."""

    state: Protection
    submits: tuple[tuple[OrderRole, Price], ...] = ()
    cancels: tuple[Order, ...] = ()
    stop_loss_price: Price | None = None
    take_profit_price: Price | None = None


def plan_protection(position: Position, orders: Sequence[Order], rules: ProtectionRules) -> ProtectionPlan:
    """Compare existing protective orders with the required ones; the take profit waits for a working stop loss."""
    wanted = protection_prices(position, rules.settings, rules.instrument)
    stop, take = rules.tightened_stop or wanted[OrderRole.STOP_LOSS], wanted[OrderRole.TAKE_PROFIT]
    stops = _Existing.of(_Target(OrderRole.STOP_LOSS, stop, position, rules), orders)
    takes = _Existing.of(_Target(OrderRole.TAKE_PROFIT, take, position, rules), orders)
    submits = [] if stops.is_requested or stop is None else [(OrderRole.STOP_LOSS, stop)]
    is_stopped = stop is None or stops.is_live
    may_take = is_stopped and rules.take_profit_rejections <= MAX_TAKE_PROFIT_REJECTIONS
    if take is not None and not takes.is_requested and may_take:
        submits.append((OrderRole.TAKE_PROFIT, take))
    return ProtectionPlan(
        state=_state(stop, stops),
        submits=tuple(submits),
        cancels=(*stops.obsolete, *takes.obsolete),
        stop_loss_price=stops.live_price,
        take_profit_price=takes.live_price,
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """One protective order that the position should have."""

    role: OrderRole
    price: Price | None
    position: Position
    rules: ProtectionRules

    def is_satisfied_by(self, order: Order) -> bool:
        """Whether ``order`` has the target price and trigger, and covers the whole position."""
        request, settings = order.request, self.rules.settings
        is_whole = request.close_position or request.quantity == self.rules.size(self.position)
        trigger = request.working_type or WorkingType.CONTRACT_PRICE  # the exchange's default (New Order, workingType)
        has_trigger = (trigger, request.price_protect) == (settings.working_type, settings.price_protect)
        return request.stop_price == self.price and is_whole and has_trigger and reduces(order, self.position)

    @property
    def accepts_quantity_order(self) -> bool:
        """Whether the target has a quantity; otherwise such an order only bridges until a closePosition order works."""
        return self.rules.quantity(self.role, self.position) is not None


@dataclass(frozen=True, slots=True)
class _Existing:
    """The existing orders of one role, compared with the target order."""

    is_requested: bool
    """A matching order is working or has been sent."""
    is_live: bool
    """A matching order is confirmed by the exchange."""
    live_price: Price | None
    """Trigger price of a confirmed order, matching or not."""
    obsolete: tuple[Order, ...]

    @classmethod
    def of(cls, target: _Target, orders: Sequence[Order]) -> "_Existing":
        ours = [order for order in orders if order.role is target.role and order.is_open]
        matching = [order for order in ours if target.is_satisfied_by(order)]
        confirmed = [order for order in ours if is_working(order)]
        # Keep a closePosition order over one with a quantity, else the oldest.
        live = sorted(filter(is_working, matching), key=lambda order: not order.request.close_position)
        wanted = [order for order in matching if order.request.close_position or target.accepts_quantity_order]
        # Cancel an old order only when its replacement is working, or when none is wanted.
        surplus = [order for order in confirmed if order not in live[:1]] if live or target.price is None else []
        protecting = [order for order in confirmed if reduces(order, target.position)]
        prices = [order.request.stop_price for order in (*live, *protecting)]
        return cls(
            is_requested=any(map(is_working, wanted)) or _is_in_flight(wanted, target.rules.now_ms),
            is_live=bool(live),
            live_price=prices[0] if prices else None,
            obsolete=tuple(surplus),
        )


def is_working(order: Order) -> bool:
    """Whether the exchange has confirmed the order as open, and nothing since then leaves it in doubt."""
    return order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED) and order.uncertain_since is None


def reduces(order: Order, position: Position) -> bool:
    """Whether the order trades against the position; one left from before it changed sides does not (I9)."""
    return order.request.side is position.side.opposite


def has_working_stop(orders: Iterable[Order], position: Position) -> bool:
    """Whether a confirmed stop loss among the orders protects the position."""
    stops = (order for order in orders if order.role is OrderRole.STOP_LOSS)
    return any(is_working(order) and reduces(order, position) for order in stops)


def _is_in_flight(orders: Sequence[Order], now_ms: int) -> bool:
    """Whether an order was sent, or came into doubt, so recently that its answer may still arrive."""
    pending = [order for order in orders if order.status is OrderStatus.PENDING_NEW]
    doubtful = [order.uncertain_since for order in orders if order.uncertain_since is not None and order not in pending]
    if any(order.unresolved_since is None for order in pending):
        return True
    unanswered = sum(not order.not_found_count for order in pending)  # no response: the exchange may be unreachable
    grace_ms = min(UNCONFIRMED_STOP_GRACE_MS * 2 ** min(max(unanswered - 1, 0), 10), _MAX_UNCONFIRMED_GRACE_MS)
    since = [order.unresolved_since for order in pending if order.unresolved_since is not None]
    return any(now_ms - each < grace_ms for each in since) or any(
        now_ms - each < UNCONFIRMED_STOP_GRACE_MS for each in doubtful
    )


def _state(stop: Price | None, stops: _Existing) -> Protection:
    if stop is None:
        return Protection.DISABLED
    if stops.live_price is not None:
        return Protection.OK
    return Protection.PENDING


def protective_request(
    client_order_id: str, role: OrderRole, price: Price, position: Position, rules: ProtectionRules
) -> OrderRequest:
    """A closePosition order, which covers the whole position whatever its size (New Order, closePosition).

    If the exchange accepts none, a reduce-only order with the position's quantity.
    """
    quantity = rules.quantity(role, position)
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=position.symbol,
        side=position.side.opposite,
        position_side=position.position_side,
        type=_ROLE_TYPES[role],
        quantity=quantity,
        stop_price=price,
        reduce_only=quantity is not None and position.position_side is PositionSide.BOTH,
        close_position=quantity is None,
        working_type=rules.settings.working_type,
        price_protect=rules.settings.price_protect,
    )


def close_request(
    client_order_id: str, position: Position, quantity: Decimal, instrument: Instrument | None, collar: Decimal | None
) -> OrderRequest | None:
    """A reduce-only order: MARKET, or LIMIT IOC at ``collar`` after a market order was rejected (I12).

    None if the quantity is too small for any order. Without trading rules a market order of exactly this quantity.
    """
    if instrument is None:
        rounded, collar = Quantity(quantity), None
    else:
        rounded = instrument.market_quantity(quantity) if collar is None else instrument.quantity(quantity)
    if rounded <= 0:
        return None
    side = position.side.opposite
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=position.symbol,
        side=side,
        position_side=position.position_side,
        type=OrderType.MARKET if collar is None else OrderType.LIMIT,
        quantity=rounded,
        price=None if collar is None or instrument is None else instrument.price(collar, _closing_rounding(side)),
        time_in_force=None if collar is None else TimeInForce.IOC,
        reduce_only=position.position_side is PositionSide.BOTH,
    )


def collar_price(side: Side, mark_price: Decimal, instrument: Instrument) -> Decimal:
    """The most aggressive price for a closing limit order: 90 % of the distance to the exchange's price limit."""
    bound = min(instrument.multiplier_up - 1, 1 - instrument.multiplier_down, instrument.market_take_bound) * Decimal(
        "0.9"
    )
    return mark_price * (1 + side.sign * bound)


def _closing_rounding(side: Side) -> str:
    return ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
