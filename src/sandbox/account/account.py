"""Requests of a client to the account: orders, account settings and queries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side
from src.domain.errors import InvariantError, Rejected
from src.domain.margin import max_notional
from src.domain.numbers import ZERO
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.engine.engine import Engine
from src.engine.execution import Modification
from src.engine.margin import Fees
from src.engine.state import EngineEvent, SelfTradePrevention
from src.exchange.wire import AccountModeChanged
from src.sandbox.account.audit import RequestLog
from src.sandbox.account.position_reports import PositionReports
from src.sandbox.faults import FaultKind, Faults
from src.sandbox.market.market import Market

UNDOCUMENTED_STATUS = "EXPIRED_IN_MATCH"
"""Status of an order ended by self-trade prevention on Binance; Aster documents none."""
_DEPTH_LEVELS = 20
_HISTORY_MS = 7 * 24 * 60 * 60 * 1000
_TRADE_INCOME_TYPES = ("REALIZED_PNL", "COMMISSION")

Publish = Callable[[Iterable[EngineEvent]], None]


@dataclass(frozen=True, slots=True)
class MarginChange:
    """Margin added to an isolated position (kind 1) or removed from it (kind 2)."""

    symbol: str
    position_side: PositionSide
    amount: Decimal
    kind: int
    at: int


class SandboxAccount:
    """The account. Callers hold the exchange's lock. Rejections raise Rejected with the documented code."""

    def __init__(
        self,
        engine: Engine,
        market: Market,
        faults: Faults,
        now_ms: Callable[[], int],
        publish: Publish,
        publish_modes: Callable[[AccountModeChanged], None],
    ) -> None:
        self.engine = engine
        self.request_log = RequestLog()
        self.margin_changes: list[MarginChange] = []
        self.fees = Fees()
        self.self_trade_prevention = SelfTradePrevention.EXPIRE_TAKER
        self._self_trade_word: str | None = None
        self._market = market
        self._faults = faults
        self._now_ms = now_ms
        self._publish = publish
        self._publish_modes = publish_modes
        self._countdowns: dict[str, int] = {}
        self._status_words: dict[int, str] = {}
        self.position_reports = PositionReports(faults)

    # Orders.
    def submit(self, request: OrderRequest) -> OrderUpdate:
        """Place an order; return it as accepted, before any fill."""
        at = self._now_ms()
        try:
            events = self._place(request, at)
        except Rejected as rejection:
            self.request_log.record(request, at, rejection.code)
            raise
        self.request_log.record(request, at)
        self._publish(events)
        return _accepted_order(events)

    def _place(self, request: OrderRequest, at: int) -> list[EngineEvent]:
        if request.type.is_conditional and self._faults.consume(FaultKind.STOP_REJECTED, "POST", request.symbol):
            raise Rejected(-2021, "Order would immediately trigger.")
        if self._has_closing_order(request) and self._faults.consume(
            FaultKind.ONE_CLOSING_STOP, "POST", request.symbol
        ):
            raise Rejected(-4130, "An open stop or take profit order with closePosition in the direction is existing.")
        self._refresh_depth(request.symbol, at)
        return self.engine.submit(request, at, max_fill=self._fill_cap(request))

    def _refresh_depth(self, symbol: str, at: int) -> None:
        self._publish(self.engine.on_depth(symbol, *self._market[symbol].depth(_DEPTH_LEVELS), at))

    def _has_closing_order(self, request: OrderRequest) -> bool:
        """Return whether a closePosition order of this type, side and position side is open."""
        kind = request.type, request.side, request.position_side
        return request.close_position and any(
            order.close_position and (order.type, order.side, order.position_side) == kind
            for order in self.engine.open_orders(request.symbol)
        )

    def _fill_cap(self, request: OrderRequest) -> Decimal | None:
        """Return the maximum fill set by a fault; None without one."""
        fault = self._faults.consume(FaultKind.EXPIRED, "POST", request.client_order_id)
        if fault is None or request.quantity is None:
            return None
        return self._market[request.symbol].instrument.quantity(request.quantity * fault.value / 100)

    def cancel(self, symbol: str, order_id: int | None, client_order_id: str | None) -> OrderUpdate:
        events = self.engine.cancel(symbol, self._now_ms(), order_id=order_id, client_order_id=client_order_id)
        self._publish(events)
        return self.engine.order(symbol, order_id=order_id, client_order_id=client_order_id)

    def modify(
        self, symbol: str, order_id: int | None, client_order_id: str | None, modification: Modification
    ) -> OrderUpdate:
        """Change price and quantity of an open limit order; return it as accepted."""
        at = self._now_ms()
        self._refresh_depth(symbol, at)
        events = self.engine.modify(symbol, modification, at, order_id=order_id, client_order_id=client_order_id)
        self._publish(events)
        return _accepted_order(events)

    def cancel_all(self, symbol: str) -> None:
        """Cancel every open order of a symbol, stops included (Cancel All Open Orders)."""
        for order in self.engine.open_orders(symbol):
            self._publish(self.engine.cancel(symbol, self._now_ms(), order_id=order.order_id))

    def end_orders(self, part: str, word: str) -> None:
        """Expire the open orders with this part in their client order id; ``word`` names their status if not empty."""
        for order in self.engine.open_orders():
            if part in order.client_order_id:
                if word:
                    self._status_words[order.order_id] = word
                self._publish(self.engine.expire(order.symbol, order.order_id, self._now_ms()))

    def status_word(self, order: OrderUpdate) -> str:
        """Return the order's status as the exchange names it: a fault may rename that of an order ended unfilled."""
        if order.status not in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            return order.status.value
        word = self._status_words.get(order.order_id)
        if word is None:
            word = self._status_words[order.order_id] = self._end_word(order)
        return word

    def _end_word(self, order: OrderUpdate) -> str:
        if self._self_trade_word is not None and self.engine.is_self_trade(order.order_id):
            return self._self_trade_word
        fault = self._faults.consume(FaultKind.STATUS_WORD, "", order.client_order_id)
        return (fault.new or UNDOCUMENTED_STATUS) if fault else order.status.value

    def set_countdown(self, symbol: str, span_ms: int) -> None:
        """Cancel all orders of a symbol after this time unless set again; 0 stops the countdown."""
        self._countdowns.pop(symbol, None)
        if span_ms:
            self._countdowns[symbol] = self._now_ms() + span_ms

    def run_countdowns(self) -> None:
        for symbol in [symbol for symbol, ends_at in self._countdowns.items() if ends_at <= self._now_ms()]:
            del self._countdowns[symbol]
            self.cancel_all(symbol)

    def find(self, symbol: str, order_id: int | None, client_order_id: str | None) -> OrderUpdate:
        """Return an order. Raises Rejected -2013 if unknown, or closed without a fill over seven days ago."""
        order = self.engine.order(symbol, order_id=order_id, client_order_id=client_order_id)
        if self._is_expired_from_history(order):
            raise Rejected(-2013, "Order does not exist.")
        return order

    def created_at(self, order: OrderUpdate) -> int:
        return self.engine.created_at(order.symbol, order.order_id)

    def all_orders(self, symbol: str) -> list[OrderUpdate]:
        """Return all orders of a symbol that can still be queried, oldest first."""
        return [order for order in self.engine.all_orders(symbol) if not self._is_expired_from_history(order)]

    def _is_expired_from_history(self, order: OrderUpdate) -> bool:
        is_old = self.created_at(order) + _HISTORY_MS < self._now_ms()
        return is_old and order.status.is_terminal and order.filled_quantity == 0

    # Trading rules.
    def update_instrument(self, symbol: str, **changes: object) -> None:
        """Change trading rules of a symbol, for example its status."""
        market = self._market[symbol]
        market.instrument = replace(market.instrument, **changes)  # type: ignore[arg-type]
        self.engine.set_instrument(market.instrument)

    # Account settings.
    def set_position_mode(self, hedge_mode: bool) -> None:
        self.engine.set_position_mode(hedge_mode)
        self._on_modes_changed()

    def set_multi_assets_mode(self, multi_assets_mode: bool) -> None:
        self.engine.set_multi_assets(multi_assets_mode)
        self._on_modes_changed()

    def _on_modes_changed(self) -> None:
        modes = AccountModeChanged(self.engine.multi_assets_mode, self.engine.hedge_mode, self._now_ms())
        self._publish_modes(modes)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        self._publish(self.engine.set_leverage(symbol, leverage, self._now_ms()))

    def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        self._publish(self.engine.set_margin_type(symbol, margin_type, self._now_ms()))

    def change_margin(self, symbol: str, position_side: PositionSide, amount: Decimal, kind: int) -> None:
        at = self._now_ms()
        self._publish(self.engine.change_position_margin(symbol, position_side, amount, kind, at))
        self.margin_changes.append(MarginChange(symbol, position_side, amount, kind, at))

    def set_self_trade_prevention(self, mode: SelfTradePrevention) -> None:
        """Set which order expires once orders of the account can meet, see ``show_orders``."""
        self.self_trade_prevention = mode
        if self._self_trade_word is not None:
            self.engine.set_self_trade_prevention(mode)

    def show_orders(self, word: str | None) -> None:
        """Put the orders of the account into the book; ``word`` names the status of one that would meet another.

        None takes them out of the book again.
        """
        self._self_trade_word = word
        self.engine.set_self_trade_prevention(None if word is None else self.self_trade_prevention)

    @property
    def has_orders_in_book(self) -> bool:
        return self._self_trade_word is not None

    def resting(self, symbol: str, side: Side) -> dict[Decimal, Decimal]:
        """Return the quantity of the account's orders in the book by price; empty while they are not shown."""
        quantities: dict[Decimal, Decimal] = {}
        for order in self.engine.open_orders(symbol) if self.has_orders_in_book else ():
            if order.side is side and order.type is OrderType.LIMIT:
                remaining = order.quantity - order.filled_quantity
                quantities[order.price] = quantities.get(order.price, ZERO) + remaining
        return quantities

    # Queries.
    def positions(self, symbol: str | None = None) -> list[PositionReport]:
        """Return all positions, flat ones included."""
        return [each for each in self.engine.positions() if symbol in (None, each.symbol)]

    def open_positions(self) -> list[PositionReport]:
        return [each for each in self.engine.positions() if each.quantity]

    def summary(self) -> AccountSummary:
        return self.engine.account()

    def balances(self) -> tuple[Balance, ...]:
        return self.engine.balances()

    def asset_summaries(self) -> dict[str, AccountSummary]:
        """Return the part of each asset of the wallet in the account totals."""
        return {each.asset: self.engine.asset_summary(each.asset) for each in self.balances()}

    def max_notional(self, symbol: str, leverage: int) -> Decimal:
        return max_notional(self._market[symbol].brackets, leverage)

    def trade_of(self, income: Income) -> Fill | None:
        """Return the fill of an income; None for funding and transfers."""
        if income.type not in _TRADE_INCOME_TYPES:
            return None
        amounts = ((fill, fill.realized_pnl, -fill.commission) for fill in self.engine.fills(income.symbol))
        return next(
            (fill for fill, *amount in amounts if fill.traded_at == income.paid_at and income.amount in amount), None
        )


def _accepted_order(events: Sequence[EngineEvent]) -> OrderUpdate:
    accepted = events[0]
    if not isinstance(accepted, OrderUpdate):
        raise InvariantError("the first event of an accepted order is not its update")
    return accepted
