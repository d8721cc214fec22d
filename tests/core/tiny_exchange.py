"""An exchange of one symbol, small enough to be obviously right: what the trader's model test plays against."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from src.domain.clock import ManualClock
from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, PositionSide, Side
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.market import Quote
from src.domain.messages import (
    AccountSet,
    AccountUpdate,
    CancelOrder,
    CancelRefused,
    Command,
    Event,
    FetchFills,
    FetchFunding,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    FillsFetched,
    FundingFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    PositionChange,
    QueryOrder,
    SnapshotTaken,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import Balance, Position
from tests.builders import a_fill, a_quote, a_report, a_snapshot, an_instrument, an_update
from tests.core.rig import role_of

D = Decimal
ZERO = D(0)
PRICE = D(50_000)
SLOTS = (PositionSide.LONG, PositionSide.SHORT)
WALLET = Balance("USDT", D(1000), D(1000))


@dataclass
class Standing:
    """One order as the exchange knows it."""

    request: OrderRequest
    order_id: int
    at: int
    status: OrderStatus = OrderStatus.NEW
    filled: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    @property
    def rest(self) -> Decimal:
        return (self.request.quantity or D(0)) - self.filled


@dataclass
class TinyExchange:
    """Its word is the truth. What it tells by its stream waits in ``stream`` until it is delivered, or lost."""

    clock: ManualClock
    orders: dict[str, Standing] = field(default_factory=dict)
    positions: dict[PositionSide, tuple[Position, int]] = field(default_factory=dict)
    trades: list[Fill] = field(default_factory=list)
    stream: list[tuple[Event, ...]] = field(default_factory=list)

    def execute(self, command: Command) -> list[Event]:
        """Do it; what the answer says."""
        self.clock.advance(1)
        now = self.clock.now_ms()
        match command:
            case SubmitOrder(request):
                return [self._submit(request)]
            case CancelOrder(symbol, name):
                return [self._cancel(symbol, name)]
            case QueryOrder(symbol, name):
                found = self.orders.get(name)
                return [OrderNotFound(symbol, name, now) if found is None else self.told(found)]
            case FetchFills(symbol, since):
                fills = tuple(replace(each, client_order_id="") for each in self.trades if each.traded_at >= since)
                return [FillsFetched(symbol, fills, now, since)]
            case FetchOrders(symbol, since):
                orders = tuple(self.told(each) for each in self.orders.values() if each.at >= since)
                return [OrdersFetched(symbol, orders, since, now)]
            case FetchInstruments():
                return [InstrumentsFetched((an_instrument(),), now)]
            case FetchFunding():
                return [FundingFetched((), now)]
            case FetchQuote():
                return [self.quote()]
            case TakeSnapshot(reason):
                return [self._snapshot(reason)]
            case CheckPositions():
                return [PositionsChecked(self._snapshot("").snapshot.positions, now)]
            case _:
                return [AccountSet(command, now)]

    def open_orders(self, *roles: OrderRole) -> list[Standing]:
        return [each for each in self.orders.values() if each.is_open and role_of(each.request) in roles]

    def position(self, side: PositionSide) -> Position:
        return self.positions[side][0] if side in self.positions else Position("BTCUSDT", side)

    def trade(self, order: Standing, quantity: Decimal) -> None:
        """Fill some of an order at its price, and tell it by the stream."""
        self.clock.advance(1)
        request, now = order.request, self.clock.now_ms()
        before = self.position(request.position_side)
        after, pnl = before.after(request.side, quantity, request.price or request.stop_price or PRICE)
        order.filled += quantity
        order.at = now
        is_whole = request.close_position or not order.rest
        order.status = OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED
        self.positions[request.position_side] = after, now
        fill = a_fill(
            request,
            trade_id=len(self.trades) + 1,
            order_id=order.order_id,
            quantity=quantity,
            price=request.price or request.stop_price or PRICE,
            realized_pnl=pnl,
            traded_at=now,
        )
        self.trades.append(fill)
        change = PositionChange(after, MarginType.ISOLATED, D(0))
        self.stream.append((AccountUpdate("ORDER", (WALLET,), (change,), now), replace(self.told(order), fill=fill)))

    def trigger(self, order: Standing) -> None:
        """A stop loss or take profit fires: it closes whatever is there, or nothing."""
        held = abs(self.position(order.request.position_side).quantity)
        if held:
            self.trade(order, held)
        else:
            self._end(order, OrderStatus.EXPIRED)

    def told(self, order: Standing) -> OrderUpdate:
        return an_update(
            order.request,
            order_id=order.order_id,
            status=order.status,
            filled_quantity=order.filled,
            average_price=order.request.price or PRICE,
            event_at=order.at,
        )

    def quote(self) -> Quote:
        now = self.clock.now_ms()
        return a_quote(at=now, received_at=now)

    def _submit(self, request: OrderRequest) -> OrderUpdate:
        assert request.client_order_id not in self.orders, "an intent was sent twice"
        assert request.side is self._side_of(request), "an order that would open what it should close"
        order = Standing(request, 1000 + len(self.orders), self.clock.now_ms())
        self.orders[request.client_order_id] = order
        self.stream.append((self.told(order),))
        if request.type is OrderType.MARKET:
            held = abs(self.position(request.position_side).quantity)
            if held:
                self.trade(order, min(held, order.rest))
            if order.is_open:
                self._end(order, OrderStatus.EXPIRED)
        return self.told(order)

    def _cancel(self, symbol: str, name: str) -> OrderUpdate | CancelRefused:
        order = self.orders.get(name)
        if order is None or not order.is_open:
            return CancelRefused(symbol, name, -2011, "unknown order", self.clock.now_ms())
        self._end(order, OrderStatus.CANCELED)
        return self.told(order)

    def _end(self, order: Standing, status: OrderStatus) -> None:
        order.status, order.at = status, self.clock.now_ms()
        self.stream.append((self.told(order),))

    def _side_of(self, request: OrderRequest) -> Side:
        opening = Side.BUY if request.position_side is PositionSide.LONG else Side.SELL
        return opening if role_of(request) is OrderRole.ENTRY else opening.opposite

    def _snapshot(self, reason: str) -> SnapshotTaken:
        now = self.clock.now_ms()
        reports = []
        for side in SLOTS:
            position, at = self.positions.get(side, (Position("BTCUSDT", side), 0))
            reports.append(a_report(position.quantity, position.entry_price, position_side=side, updated_at=at))
        shown = tuple(self.told(each) for each in self.orders.values() if each.is_open)
        self.clock.advance(1)
        snapshot = a_snapshot(asked_at=now, taken_at=now + 1, positions=tuple(reports), open_orders=shown)
        return SnapshotTaken(snapshot, reason)
