"""A test harness for the matching engine: it advances the time and provides default values for requests."""

from decimal import Decimal
from typing import Any

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.events import AccountUpdate
from src.domain.instrument import Instrument
from src.domain.margin import Bracket
from src.domain.market import MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import PositionReport
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.engine.state import EngineEvent
from tests.builders import NOW, an_instrument

D = Decimal
BTC = "BTCUSDT"
ETH = "ETHUSDT"
BRACKETS = (Bracket(D(50_000), 100, D("0.005")), Bracket(D(1_000_000), 20, D("0.01")))
INSTRUMENTS = {
    BTC: an_instrument(),
    ETH: an_instrument(symbol=ETH, base_asset="ETH"),
}
NO_FEES = Fees(D(0), D(0), D("0.001"))


def a_request(**changes: Any) -> OrderRequest:
    """A LIMIT BUY of 0.1 BTCUSDT at 49,000 with changes; other types have no price by default."""
    is_limit = changes.get("type", OrderType.LIMIT) is OrderType.LIMIT
    defaults: dict[str, Any] = {
        "client_order_id": "",
        "symbol": BTC,
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "type": OrderType.LIMIT,
        "quantity": D("0.1"),
        "price": D(49_000) if is_limit else None,
        "time_in_force": TimeInForce.GTC if is_limit else None,
    }
    return OrderRequest(**defaults | changes)


class EngineHarness:
    """One account with 10,000 USDT; BTCUSDT at 50,000 with a spread of one tick and a deep book."""

    def __init__(
        self,
        fees: Fees = NO_FEES,
        *,
        hedge_mode: bool = False,
        money: int = 10_000,
        instruments: dict[str, Instrument] = INSTRUMENTS,
    ) -> None:
        self.now = NOW
        self.engine = Engine(instruments, fees, {BTC: BRACKETS, ETH: BRACKETS}, hedge_mode=hedge_mode)
        if money:
            self.engine.deposit("USDT", D(money), self.now)
        self.move_market(50_000)

    def tick(self) -> int:
        self.now += 1
        return self.now

    def move_market(self, price: int | str, symbol: str = BTC) -> list[EngineEvent]:
        """Set the quote, then the mark price."""
        return self.quote(price, D(price) + D("0.1"), symbol=symbol) + self.mark(price, symbol)

    def quote(
        self, bid: Decimal | int | str, ask: Decimal | int | str, bid_quantity: str = "100", ask_quantity: str = "100",
        symbol: str = BTC,
    ) -> list[EngineEvent]:  # fmt: skip
        at = self.tick()
        return self.engine.on_quote(Quote(symbol, D(bid), D(bid_quantity), D(ask), D(ask_quantity), at, at))

    def mark(
        self, price: int | str, symbol: str = BTC, *, rate: str = "0", next_funding_at: int = 0
    ) -> list[EngineEvent]:
        at = self.tick()
        return self.engine.on_mark(MarkPrice(symbol, D(price), D(price), D(rate), next_funding_at, at, at))

    def trade(self, price: int | str, quantity: str = "1") -> list[EngineEvent]:
        return self.engine.on_trade(BTC, D(price), D(quantity), self.tick())

    def submit(self, **changes: Any) -> OrderUpdate:
        """Place an order and return its resulting state."""
        accepted = self.submit_events(**changes)[0]
        assert isinstance(accepted, OrderUpdate)
        return self.order(accepted)

    def submit_events(self, **changes: Any) -> list[EngineEvent]:
        return self.engine.submit(a_request(**changes), self.tick())

    def buy(self, quantity: str = "0.1", **changes: Any) -> OrderUpdate:
        return self.submit(type=OrderType.MARKET, quantity=D(quantity), **changes)

    def sell(self, quantity: str = "0.1", **changes: Any) -> OrderUpdate:
        return self.buy(quantity, side=Side.SELL, **changes)

    def order(self, order: OrderUpdate) -> OrderUpdate:
        return self.engine.order(order.symbol, order_id=order.order_id)

    def status(self, order: OrderUpdate) -> OrderStatus:
        return self.order(order).status

    def position(self, symbol: str = BTC, position_side: PositionSide = PositionSide.BOTH) -> PositionReport:
        rows = self.engine.positions()
        return next(row for row in rows if (row.symbol, row.position_side) == (symbol, position_side))

    @property
    def held(self) -> Decimal:
        return self.position().quantity

    @property
    def wallet(self) -> Decimal:
        return self.engine.account().wallet_balance


def orders_in(events: list[EngineEvent]) -> list[OrderUpdate]:
    return [event for event in events if isinstance(event, OrderUpdate)]


def statuses(events: list[EngineEvent]) -> list[OrderStatus]:
    return [order.status for order in orders_in(events)]


def fills_in(events: list[EngineEvent]) -> list[Fill]:
    return [order.fill for order in orders_in(events) if order.fill]


def accounts_in(events: list[EngineEvent]) -> list[AccountUpdate]:
    return [event for event in events if isinstance(event, AccountUpdate)]
