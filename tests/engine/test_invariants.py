"""Random markets, orders and account settings: wallets, positions and orders always stay consistent."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import Rejected
from src.domain.market import MarkPrice, Quote
from src.domain.orders import Order, OrderRequest, OrderUpdate
from src.domain.positions import Position, PositionKey
from src.engine.engine import Engine
from src.engine.margin import Fees, round_amount
from src.engine.state import EngineEvent
from tests.builders import NOW
from tests.engine.harness import BRACKETS, BTC, ETH, INSTRUMENTS, D

SYMBOLS = st.sampled_from([BTC, ETH])
SIDES = st.sampled_from(list(Side))
SIZES = st.decimals("0.001", "0.5", places=3)
OFFSETS = st.decimals("-0.06", "0.06", places=4)
NEAR = st.decimals("-0.01", "0.01", places=4)
TYPES = st.sampled_from(
    [
        *[OrderType.LIMIT, OrderType.MARKET] * 3,
        *[each for each in OrderType if each is not OrderType.TRAILING_STOP_MARKET],
    ]
)


class RandomTrading(RuleBasedStateMachine):
    """BTCUSDT is crossed, ETHUSDT isolated; positions and PnL are also computed from the events alone."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.deposited = D(0)
        self.middle = {BTC: D(50_000), ETH: D(50_000)}
        self.positions: dict[PositionKey, Position] = {}
        self.orders: dict[int, Order] = {}
        self.realized = self.commission = D(0)

    @initialize(hedge_mode=st.booleans(), money=st.integers(500, 20_000))
    def open_account(self, hedge_mode: bool, money: int) -> None:
        fees = Fees(D("0.00013"), D("0.00037"), D("0.001"))
        self.hedge_mode = hedge_mode
        self.engine = Engine(INSTRUMENTS, fees, {BTC: BRACKETS, ETH: BRACKETS}, hedge_mode=hedge_mode)
        self.deposit(D(money))
        self.take(self.engine.set_margin_type(ETH, MarginType.ISOLATED, self.tick()))
        for symbol in (BTC, ETH):
            self.move(symbol, D(0), D(5), with_mark=True)

    def tick(self) -> int:
        self.now += 1
        return self.now

    @rule(amount=st.decimals("0.00000001", "500", places=8))
    def deposit(self, amount: Decimal) -> None:
        self.deposited += amount
        self.take(self.engine.deposit("USDT", amount, self.tick()))

    @rule(symbol=SYMBOLS, offset=OFFSETS, quantity=st.decimals("0", "2", places=3), with_mark=st.booleans())
    def move(self, symbol: str, offset: Decimal, quantity: Decimal, with_mark: bool) -> None:
        price = INSTRUMENTS[symbol].price(self.middle[symbol] * (1 + offset), ROUND_HALF_EVEN)
        if not 1_000 < price < 900_000:
            return
        self.middle[symbol] = price
        at = self.tick()
        self.take(self.engine.on_quote(Quote(symbol, price, quantity, price + D("0.1"), quantity, at, at)))
        if with_mark:
            self.take(self.engine.on_mark(MarkPrice(symbol, price, price, D(0), 0, at, at)))

    @rule(symbol=SYMBOLS, offset=OFFSETS, quantity=SIZES)
    def trade(self, symbol: str, offset: Decimal, quantity: Decimal) -> None:
        price = INSTRUMENTS[symbol].price(self.middle[symbol] * (1 + offset))
        self.take(self.engine.on_trade(symbol, price, quantity, self.tick()))

    @rule(symbol=SYMBOLS, rate=st.decimals("-0.0075", "0.0075", places=6))
    def fund(self, symbol: str, rate: Decimal) -> None:
        self.take(self.engine.settle_funding(symbol, rate, self.tick()))

    @rule(symbol=SYMBOLS, side=SIDES, kind=TYPES, quantity=SIZES, offsets=st.tuples(NEAR, NEAR), data=st.data())
    def submit(
        self, symbol: str, side: Side, kind: OrderType, quantity: Decimal,
        offsets: tuple[Decimal, Decimal], data: st.DataObject,
    ) -> None:  # fmt: skip
        price, stop_price = (INSTRUMENTS[symbol].price(self.middle[symbol] * (1 + each)) for each in offsets)
        has_limit = kind in (OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT)
        closes = kind in (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET) and data.draw(st.booleans())
        position_sides = [PositionSide.LONG, PositionSide.SHORT] if self.hedge_mode else [PositionSide.BOTH]
        request: dict[str, Any] = {
            "quantity": None if closes else quantity,
            "price": price if has_limit else None,
            "stop_price": stop_price if kind.is_conditional else None,
            "time_in_force": data.draw(st.sampled_from(TimeInForce)) if has_limit else None,
            "working_type": data.draw(st.sampled_from(WorkingType)) if kind.is_conditional else None,
            "close_position": closes,
            "reduce_only": not self.hedge_mode and not closes and data.draw(st.sampled_from([False, False, True])),
        }
        key = data.draw(st.sampled_from(position_sides))
        self.attempt(OrderRequest("", symbol, side, key, kind, **request))

    def attempt(self, request: OrderRequest) -> None:
        before = self.state()
        try:
            events = self.engine.submit(request, self.tick())
        except Rejected:
            assert self.state() == before
        else:
            self.take(events)

    def state(self) -> object:
        return self.engine.account(), self.engine.open_orders(), self.engine.positions(), len(self.engine.incomes())

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        orders = self.engine.open_orders()
        if len(orders) > 3:
            order = data.draw(st.sampled_from(orders))
            self.take(self.engine.cancel(order.symbol, self.tick(), order_id=order.order_id))

    @rule(symbol=SYMBOLS, leverage=st.integers(1, 100))
    def change_leverage(self, symbol: str, leverage: int) -> None:
        before = self.state()
        try:
            self.take(self.engine.set_leverage(symbol, leverage, self.tick()))
        except Rejected:
            assert self.state() == before

    @rule(data=st.data(), amount=st.decimals("0.01", "100", places=2), kind=st.sampled_from([1, 2]))
    def move_margin(self, data: st.DataObject, amount: Decimal, kind: int) -> None:
        position_sides = (PositionSide.LONG, PositionSide.SHORT) if self.hedge_mode else (PositionSide.BOTH,)
        key = data.draw(st.sampled_from(position_sides))
        before = self.state()
        try:
            self.take(self.engine.change_position_margin(ETH, key, amount, kind, self.tick()))
        except Rejected:
            assert self.state() == before

    def take(self, events: list[EngineEvent]) -> None:
        """Update the expected orders and positions from the events alone."""
        for event in events:
            if isinstance(event, OrderUpdate):
                self.take_order(event)
        is_liquidated = any(
            isinstance(event, OrderUpdate) and event.client_order_id.startswith("autoclose-") for event in events
        )
        if is_liquidated and not self.is_crossed_open():
            assert self.engine.balances()[0].cross_wallet_balance >= 0

    def take_order(self, update: OrderUpdate) -> None:
        order = self.orders.get(update.order_id)
        if order is None:
            order = self.orders[update.order_id] = Order(_request(update), OrderRole.ENTRY, update.event_at)
        assert order.apply(update)
        fill = update.fill
        if fill is None:
            return
        assert order.add_fill(fill)
        key = (fill.symbol, fill.position_side)
        before = self.positions.get(key, Position(*key))
        after, profit = before.apply_trade(fill.side, fill.quantity, fill.price)
        assert fill.realized_pnl == round_amount(profit)
        if update.reduce_only or update.close_position or fill.position_side is not PositionSide.BOTH:
            assert after.quantity * before.quantity >= 0
        if update.reduce_only or update.close_position:
            assert abs(after.quantity) < abs(before.quantity)
        self.positions[key] = after
        self.realized += fill.realized_pnl
        self.commission += fill.commission

    def is_crossed_open(self) -> bool:
        return any(position.is_open for (symbol, _), position in self.positions.items() if symbol == BTC)

    @invariant()
    def wallet_is_the_sum_of_incomes(self) -> None:
        incomes = self.engine.incomes()
        funding = sum((each.amount for each in incomes if each.is_funding), D(0))
        paid_in = sum((each.amount for each in incomes if each.type == "INSURANCE_CLEAR" and each.amount > 0), D(0))
        wallet = self.engine.account().wallet_balance
        assert wallet == sum((each.amount for each in incomes), D(0))
        assert wallet == self.deposited + self.realized - self.commission + funding + paid_in

    @invariant()
    def positions_match_their_fills(self) -> None:
        for row in self.engine.positions():
            key = (row.symbol, row.position_side)
            assert row.position == self.positions.get(key, Position(*key))
            assert row.isolated_margin >= 0
            if not row.quantity:
                assert row.isolated_margin == 0

    @invariant()
    def orders_never_overfill(self) -> None:
        for symbol in (BTC, ETH):
            for order in self.engine.all_orders(symbol):
                filled = sum(
                    (each.quantity for each in self.engine.fills(symbol) if each.order_id == order.order_id), D(0)
                )
                assert filled == order.filled_quantity <= order.quantity
                assert (order.status is OrderStatus.FILLED) is (0 < order.quantity == filled)
        assert not any(order.status.is_terminal for order in self.engine.open_orders())

    @invariant()
    def resting_reduce_only_order_has_a_position(self) -> None:
        for order in self.engine.open_orders():
            if order.type is OrderType.LIMIT and order.reduce_only:
                held = self.positions.get(
                    (order.symbol, order.position_side), Position(order.symbol, order.position_side)
                )
                assert held.is_open
                assert held.side is not order.side


def _request(update: OrderUpdate) -> OrderRequest:
    return OrderRequest(update.client_order_id, update.symbol, update.side, update.position_side, update.type)


TestInvariants = RandomTrading.TestCase
TestInvariants.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
