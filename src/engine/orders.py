"""Orders of an account as the exchange stores them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import Rejected
from src.domain.numbers import ZERO
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.engine.margin import next_id

LIQUIDATION_ID_PREFIX = "autoclose-"
"""Prefix of the client order id of liquidation orders (Event: Order Update)."""


@dataclass(slots=True)
class EngineOrder:
    """One accepted order; ``type`` and ``quantity`` change when a conditional order triggers."""

    order_id: int
    request: OrderRequest
    type: OrderType
    quantity: Decimal
    created_at: int
    event_at: int
    status: OrderStatus = OrderStatus.NEW
    filled_quantity: Decimal = ZERO
    cost: Decimal = ZERO
    ahead: Decimal = ZERO
    """Quantity ahead of it in the queue at its price, while it is open in the book."""

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def price(self) -> Decimal:
        return self.request.price or ZERO

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    @property
    def is_resting(self) -> bool:
        """Whether it is open in the order book."""
        return self.type is OrderType.LIMIT and self.is_open

    @property
    def is_liquidation(self) -> bool:
        return self.request.client_order_id.startswith(LIQUIDATION_ID_PREFIX)

    @property
    def only_reduces(self) -> bool:
        return only_reduces(self.request)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.filled_quantity if self.filled_quantity else ZERO

    @property
    def time_in_force(self) -> TimeInForce:
        return self.request.time_in_force or TimeInForce.GTC

    @property
    def working_type(self) -> WorkingType:
        return self.request.working_type or WorkingType.CONTRACT_PRICE

    def add_fill(self, quantity: Decimal, price: Decimal, at: int) -> None:
        self.filled_quantity += quantity
        self.cost += quantity * price
        self.status = OrderStatus.PARTIALLY_FILLED if self.remaining else OrderStatus.FILLED
        self.event_at = at

    def close(self, status: OrderStatus, at: int) -> None:
        self.status = status
        self.event_at = at

    def to_update(self, fill: Fill | None = None) -> OrderUpdate:
        """Return the current order as the exchange reports it."""
        request = self.request
        return OrderUpdate(
            symbol=request.symbol,
            client_order_id=request.client_order_id,
            order_id=self.order_id,
            side=request.side,
            position_side=request.position_side,
            type=self.type,
            status=self.status,
            quantity=self.quantity,
            filled_quantity=self.filled_quantity,
            average_price=self.average_price,
            price=self.price,
            stop_price=request.stop_price or ZERO,
            time_in_force=self.time_in_force,
            reduce_only=request.reduce_only,
            close_position=request.close_position,
            working_type=self.working_type,
            price_protect=request.price_protect,
            original_type=request.type,
            event_at=self.event_at,
            fill=fill,
        )


def only_reduces(request: OrderRequest) -> bool:
    """Whether the order can only reduce a position: by its flags, or by its side in hedge mode."""
    closing = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}.get(request.position_side)
    return request.reduce_only or request.close_position or request.side is closing


class Orders:
    """All orders of an account, indexed by symbol, id and client order id."""

    def __init__(self) -> None:
        self._all: dict[str, dict[int, EngineOrder]] = {}
        self._open: dict[str, dict[int, EngineOrder]] = {}
        self._by_client_id: dict[tuple[str, str], EngineOrder] = {}
        self.last_id = 0
        self.last_trade_id = 0

    def create(self, request: OrderRequest, at: int) -> EngineOrder:
        """Return a new order with an id, not yet added. Assigns a client order id if the request has none."""
        self.last_id = next_id(self.last_id, at)
        client_order_id = request.client_order_id or f"auto_{self.last_id}"
        quantity = request.quantity or ZERO
        return EngineOrder(
            self.last_id, replace(request, client_order_id=client_order_id), request.type, quantity, at, at
        )

    def next_trade_id(self, at: int) -> int:
        self.last_trade_id = next_id(self.last_trade_id, at)
        return self.last_trade_id

    def add(self, order: EngineOrder) -> None:
        self._all.setdefault(order.symbol, {})[order.order_id] = order
        self._open.setdefault(order.symbol, {})[order.order_id] = order
        self._by_client_id[order.symbol, order.request.client_order_id] = order

    @contextmanager
    def without(self, order: EngineOrder) -> Iterator[None]:
        """Hide an open order temporarily."""
        orders = self._open[order.symbol]
        self._open[order.symbol] = {order_id: each for order_id, each in orders.items() if each is not order}
        try:
            yield
        finally:
            self._open[order.symbol] = orders

    def drop_closed(self, order: EngineOrder) -> None:
        """Remove an order from the open orders if it has closed."""
        if not order.is_open:
            orders = self._open[order.symbol]
            orders.pop(order.order_id, None)
            if not orders:
                del self._open[order.symbol]

    def find(self, symbol: str, order_id: int | None, client_order_id: str | None, code: int) -> EngineOrder:
        """Find an order by id, else by client order id; raise ``Rejected`` with ``code`` if there is none.

        A client order id that was used again refers to the newest order.
        """
        if order_id is not None:
            order = self._all.get(symbol, {}).get(order_id)
        else:
            order = self._by_client_id.get((symbol, client_order_id or ""))
        if order is None:
            raise Rejected(code, "unknown order")
        return order

    def has_open_client_id(self, symbol: str, client_order_id: str) -> bool:
        order = self._by_client_id.get((symbol, client_order_id))
        return order is not None and order.is_open

    def open_for(self, symbol: str) -> tuple[EngineOrder, ...]:
        orders = self._open.get(symbol)
        return tuple(orders.values()) if orders else ()

    def has_open(self, symbol: str) -> bool:
        return symbol in self._open

    @property
    def open_symbols(self) -> tuple[str, ...]:
        return tuple(self._open)

    def all_for(self, symbol: str) -> Iterable[EngineOrder]:
        return self._all.get(symbol, {}).values()
