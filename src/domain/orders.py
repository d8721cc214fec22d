"""Orders: requests, updates, fills, client order ids, and the state of each order."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.assets import dollar_value
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import InvariantError
from src.domain.instrument import Price, Quantity
from src.domain.numbers import ZERO

_OURS = re.compile(r"^lh-(?P<entry>[0-9a-z]{6,20})-(?P<letter>[etsc])(?P<number>\d{0,4})$")
_ROLES = {role.letter: role for role in OrderRole}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS = 8
"""Digits of the current time, milliseconds in base 36."""
_RANDOM_DIGITS = 5


@dataclass(frozen=True, slots=True)
class ClientOrderId:
    """``lh-<entry>-<role letter>[<number>]``: shows owner, entry and role without the database.

    The entry token contains the time of the decision and the bot's tag (``new_entry_token``).
    Within Aster's ``^[\\.A-Z\\:/a-z0-9_-]{1,36}$`` (New Order, newClientOrderId).
    """

    entry: str
    role: OrderRole
    number: int = 0

    @property
    def decided_at(self) -> int:
        """When the entry was decided, by the clock of the bot that made it; ms UTC."""
        return int(self.entry[:_TIME_DIGITS], 36)

    @property
    def bot_tag(self) -> str:
        """The tag of the bot that made the entry (I4); empty for ids without one."""
        return self.entry[_TIME_DIGITS:-_RANDOM_DIGITS]

    def __str__(self) -> str:
        return f"lh-{self.entry}-{self.role.letter}{self.number or ''}"

    @classmethod
    def parse(cls, text: str) -> "ClientOrderId | None":
        """Parse one of the bot's ids; None for an external order."""
        match = _OURS.match(text)
        if match is None:
            return None
        return cls(match["entry"], _ROLES[match["letter"]], int(match["number"] or 0))


def new_entry_token(now_ms: int, bot_tag: str, random_below: Callable[[int], int]) -> str:
    """Return a unique token for an entry: time in base 36, the bot's tag, random digits."""
    return _base36(now_ms).rjust(_TIME_DIGITS, "0") + bot_tag + random_digits(_RANDOM_DIGITS, random_below)


def random_digits(count: int, random_below: Callable[[int], int]) -> str:
    """Return random digits of base 36; ``random_below(n)`` returns 0 … n-1."""
    return "".join(_DIGITS[random_below(36)] for _ in range(count))


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to be placed (New Order). Fields that are None are not sent."""

    client_order_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    type: OrderType
    quantity: Quantity | None = None
    price: Price | None = None
    stop_price: Price | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    close_position: bool = False
    working_type: WorkingType | None = None
    price_protect: bool = False


FORCED_ORDER_PREFIXES = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""Client order ids of orders by which the exchange closes positions: liquidation, auto-deleveraging, settlement."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one of our orders, identified by symbol and trade id."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    """In ``commission_asset``; positive is a cost."""
    commission_asset: str
    is_maker: bool
    traded_at: int
    commission_value: Decimal | None = None
    """The commission in dollars, by the mark price when it was recorded; None if that is not known (yet)."""

    @property
    def fee(self) -> Decimal | None:
        """The commission in dollars; None if it was paid in another asset whose price is unknown."""
        if self.commission_value is not None:
            return self.commission_value
        return dollar_value(self.commission_asset, self.commission, lambda _: None)


OrderNumber = tuple[str, int]
"""Symbol and exchange order id, which is unique only within a symbol."""


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order as the exchange reports it, by stream or response."""

    symbol: str
    client_order_id: str
    order_id: int
    side: Side
    position_side: PositionSide
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal
    price: Decimal
    stop_price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool
    close_position: bool
    working_type: WorkingType
    price_protect: bool
    original_type: OrderType
    event_at: int
    """Exchange time of the event, or of the order's last change if queried; ms UTC."""
    fill: Fill | None = None

    @property
    def number(self) -> OrderNumber:
        return self.symbol, self.order_id

    @property
    def is_ours(self) -> bool:
        return ClientOrderId.parse(self.client_order_id) is not None

    def to_request(self) -> OrderRequest:
        """The request that must have led to this order."""
        is_limit, is_conditional = self.original_type is OrderType.LIMIT, self.original_type.is_conditional
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            position_side=self.position_side,
            type=self.original_type,
            quantity=None if self.close_position else Quantity(self.quantity),
            price=Price(self.price) if is_limit else None,
            stop_price=Price(self.stop_price) if is_conditional else None,
            time_in_force=self.time_in_force if is_limit else None,
            reduce_only=self.reduce_only,
            close_position=self.close_position,
            working_type=self.working_type if is_conditional else None,
            price_protect=self.price_protect,
        )


_S = OrderStatus
_WORKING = frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED})
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.PENDING_NEW: _WORKING | {_S.REJECTED, _S.PENDING_CANCEL},
    _S.NEW: _WORKING | {_S.REJECTED, _S.PENDING_CANCEL},
    _S.PARTIALLY_FILLED: _WORKING - {_S.NEW} | {_S.PENDING_CANCEL},
    _S.PENDING_CANCEL: _WORKING | {_S.REJECTED},
    _S.FILLED: frozenset({_S.FILLED}),
    # Fills can be reported late: a cancelled or expired order changes only by a fill.
    _S.CANCELED: frozenset({_S.CANCELED, _S.PARTIALLY_FILLED, _S.FILLED}),
    _S.EXPIRED: frozenset({_S.EXPIRED, _S.PARTIALLY_FILLED, _S.FILLED}),
    # Considered lost or ended, then found open after all.
    _S.REJECTED: _WORKING | {_S.REJECTED},
}
_OPEN_STATUSES = frozenset({_S.NEW.value, _S.PARTIALLY_FILLED.value})


@dataclass(slots=True)
class Order:
    """The state of one of our orders. Only the trader changes it."""

    request: OrderRequest
    role: OrderRole
    created_at: int
    entry_client_order_id: str | None = None
    """Client order id of the entry that a protective or closing order belongs to."""
    status: OrderStatus = OrderStatus.PENDING_NEW
    order_id: int | None = None
    filled_quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    sent_at: int | None = None
    event_at: int = 0
    reason: str | None = None
    """Why it was rejected, or why its response is missing."""
    unresolved_since: int | None = None
    """Since when its outcome is unknown; ms UTC, None once the exchange has reported it."""
    not_found_count: int = 0
    """How many queries since then found no such order."""
    uncertain_since: int | None = None
    """Since when the exchange neither lists it as open nor reports a status that we know; ms UTC, None if no doubt."""
    unknown_status: str = ""
    """The last status reported that we do not know; empty if the last report was understood."""
    trade_ids: set[int] = field(default_factory=set)
    recorded_quantity: Decimal = ZERO
    """Total quantity of the fills in ``trade_ids``; less than ``filled_quantity`` while one is missing."""

    is_open: bool = field(init=False)
    """Whether it may still fill."""
    client_order_id: str = field(init=False)
    symbol: str = field(init=False)
    key: tuple[str, PositionSide] = field(init=False)
    """The position it opens, protects or closes."""

    def __post_init__(self) -> None:
        request = self.request
        self.client_order_id, self.symbol = request.client_order_id, request.symbol
        self.key = request.symbol, request.position_side
        self.is_open = not self.status.is_terminal

    @property
    def remaining_quantity(self) -> Decimal:
        return (self.request.quantity or ZERO) - self.filled_quantity

    def advance(self, status: OrderStatus) -> None:
        """Change the status. Raises InvariantError if ``TRANSITIONS`` does not allow it."""
        if status not in TRANSITIONS[self.status]:
            raise InvariantError(f"order {self.client_order_id} cannot go from {self.status} to {status}")
        self.status = status
        self.is_open = not status.is_terminal

    def apply(self, update: OrderUpdate) -> bool:
        """Merge an update; False if it is older than the known state.

        The filled quantity never decreases, and an ended order changes only by a fill. PENDING_CANCEL stays until
        the order is closed, or until a query answers for a missing response.
        """
        if not self._is_newer(update):
            return False
        self.order_id = update.order_id
        self.event_at = max(self.event_at, update.event_at)
        if update.filled_quantity > self.filled_quantity:
            self.filled_quantity = update.filled_quantity
            self.average_price = update.average_price
        was_unresolved = self.unresolved_since is not None
        self.unresolved_since, self.not_found_count = None, 0
        self.uncertain_since, self.unknown_status = None, ""
        if self.status is not OrderStatus.PENDING_CANCEL or update.status.is_terminal or was_unresolved:
            self._take_status(update)
        return True

    def _take_status(self, update: OrderUpdate) -> None:
        """Advance to the status of an update; one that cannot follow is asked about if the order is open.

        An order that has ended keeps its end, whatever other end a later update with more fills has.
        """
        if update.status in TRANSITIONS[self.status]:
            self.advance(update.status)
        elif self.is_open:
            self.unresolved_since = update.event_at

    def acknowledge(self, report: "UnrecognizedOrder", now_ms: int, *, is_listed_open: bool) -> None:
        """Take over a report with unrecognized values (I30).

        The order counts as open while the exchange lists it or gives it a status that we know as open. Any other
        status makes it doubtful, except the one under which it was listed last.
        """
        word = report.status or report.problem
        is_known_word = word == self.unknown_status and self.uncertain_since is None
        self.order_id, self.not_found_count, self.unknown_status = report.order_id, 0, word
        if is_listed_open or word in _OPEN_STATUSES:
            is_cancel_over = self.status is OrderStatus.PENDING_CANCEL and self.unresolved_since is not None
            self.uncertain_since = self.unresolved_since = None
            if is_cancel_over or self.status in (OrderStatus.PENDING_NEW, OrderStatus.REJECTED):
                self.advance(OrderStatus.PARTIALLY_FILLED if self.filled_quantity else OrderStatus.NEW)
        elif not is_known_word:
            self.mark_uncertain(now_ms)

    def mark_uncertain(self, now_ms: int) -> None:
        """Note that it may have ended: the exchange does not list it, or reports a status that we do not know."""
        self.uncertain_since = self.uncertain_since or now_ms

    def end_uncertain(self) -> None:
        """Take it as ended: the exchange does not list it. It is open again if it is listed later."""
        self.advance(OrderStatus.EXPIRED if self.filled_quantity else OrderStatus.REJECTED)
        self.reason = "the exchange gives no answer about it and does not list it"
        if self.unknown_status:
            self.reason = f"the exchange ended it with the unknown status {self.unknown_status!r}"
        self.uncertain_since = self.unresolved_since = None

    def add_fill(self, fill: Fill) -> bool:
        """Count a fill once; False if its trade id is known."""
        if fill.trade_id in self.trade_ids:
            return False
        self.trade_ids.add(fill.trade_id)
        self.recorded_quantity += fill.quantity
        return True

    @property
    def has_missing_fills(self) -> bool:
        """Whether the exchange reports a larger filled quantity than our fills add up to."""
        return self.recorded_quantity < self.filled_quantity

    def _is_newer(self, update: OrderUpdate) -> bool:
        if update.filled_quantity > self.filled_quantity:
            return True
        if update.filled_quantity < self.filled_quantity or update.status not in TRANSITIONS[self.status]:
            return False
        # A query returns the time of the last change, which is earlier than the time of the event about it.
        is_query_response = self.unresolved_since is not None or self.uncertain_since is not None
        return update.event_at >= self.event_at or update.status.is_terminal or is_query_response


def order_payload(order: Order | OrderUpdate) -> dict[str, object]:
    """An order as the journal and the dashboard show it, ours or an external one."""
    details = order.request if isinstance(order, Order) else order
    payload: dict[str, object] = {
        "client_order_id": details.client_order_id,
        "order_id": order.order_id,
        "side": details.side,
        "position_side": details.position_side,
        "quantity": details.quantity,
        "price": details.price,
        "stop_price": details.stop_price,
        "status": order.status,
    }
    if isinstance(order, OrderUpdate):
        return payload | {"type": order.original_type, "symbol": order.symbol}
    ours = {"type": order.request.type, "role": order.role, "reason": order.reason}
    return payload | ours | {"filled_quantity": order.filled_quantity}


@dataclass(frozen=True, slots=True)
class UnrecognizedOrder:
    """An order with a value we do not recognize. Only its ids are reliable; the rest is kept to be shown."""

    symbol: str
    client_order_id: str
    order_id: int
    problem: str
    """Which value is not recognized."""
    side: str = ""
    position_side: str = ""
    type: str = ""
    status: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None

    @property
    def number(self) -> OrderNumber:
        return self.symbol, self.order_id

    @property
    def is_ours(self) -> bool:
        return ClientOrderId.parse(self.client_order_id) is not None


@dataclass(frozen=True, slots=True)
class UnrecognizedPosition:
    """A position report with a value we do not recognize: its side or quantity is unknown."""

    symbol: str
    problem: str
    is_flat: bool
    """Whether the position is certainly flat."""
