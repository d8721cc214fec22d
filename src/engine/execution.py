"""Order execution: fills against the order book and public trades, triggers, cancels, expiries and modifications.

An open limit order does not fill merely because the best price equals its own. It fills at its own price, as maker,
when the opposite side of the book reaches it, up to the quantity there; or by a public trade, up to the traded
quantity. A trade through its price fills it in full; a trade at its price fills only what is left after the queue ahead
of it. The queue is the quantity displayed at the price when the order joined. It shrinks with every trade at the price
and with the displayed quantity, and is empty once the best price of the order's own side is worse than the order.

A modified order (V3, Modify Order) is checked like a new one in place of the old one and goes to the end of the queue.
Aster documents no error codes for orders that cannot be modified; those of a new order are used.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.numbers import ZERO
from src.domain.orders import Fill
from src.engine.account import Execution
from src.engine.matching import Book, Match, match_levels, match_market, should_trigger
from src.engine.order_checks import check_filters, check_margin, check_position
from src.engine.orders import EngineOrder
from src.engine.state import EngineState, SelfTradePrevention

_NEVER_RESTS = (TimeInForce.IOC, TimeInForce.FOK)


class Executor:
    """Fills, triggers, cancels and expires the orders of one account."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def plan(self, order: EngineOrder) -> list[Match]:
        """Return what the order takes from the book at once.

        Raises ``Rejected`` -1112 if the opposite side of a MARKET order is empty, -4131 if the best price is beyond
        the worst allowed one.
        """
        book = self._state.book(order.symbol)
        quantity = self._fillable_quantity(order)
        if order.type is OrderType.LIMIT:
            return match_levels(book.opposite_side(order.side).within(order.price), quantity)
        worst_price = self._worst_price(book, order.side)
        best = book.opposite_side(order.side).best
        if best is None:
            raise Rejected(-1112, f"the opposite side of the {order.symbol} book is empty")
        if book.opposite_side(order.side).is_worse(best, worst_price):
            raise Rejected(-4131, f"the best price {best} is beyond the limit {worst_price}")
        return match_market(book, order.side, quantity, worst_price, self._state.fees.slippage)

    def enter(self, order: EngineOrder, matches: list[Match], at: int) -> None:
        """Fill an accepted order with the matches; its remainder stays open or expires."""
        if order.time_in_force is TimeInForce.GTX and self._would_cross(order):
            return self.expire(order, at)
        if order.time_in_force is TimeInForce.FOK:
            if sum((match.quantity for match in matches), ZERO) < order.remaining:
                return self.expire(order, at)
            if self._prevent_self_trade(order, matches[-1].price, at, is_price_taken=False):
                return None
        for match in matches:
            if self._prevent_self_trade(order, match.price, at, is_price_taken=False):
                return None
            match.take()
            self._fill(order, match.price, match.quantity, at, is_maker=False)
        if order.is_open and not (
            order.type is OrderType.LIMIT and self._prevent_self_trade(order, order.price, at, is_price_taken=True)
        ):
            self._rest_or_expire(order, at)
        return None

    def _prevent_self_trade(self, order: EngineOrder, price: Decimal, at: int, *, is_price_taken: bool) -> bool:
        """Expire the order, or the account's orders that it would meet up to this price; return whether it has expired.

        At the same price the displayed quantity comes first, so an own order there is met only once that is taken.
        """
        mode = self._state.self_trade_prevention
        if mode is None:
            return False
        for own in self._resting_orders(order.symbol):
            distance = (price - own.price) * order.side.sign
            if own.side is order.side or distance < 0 or (distance == 0 and not is_price_taken):
                continue
            if mode is not SelfTradePrevention.EXPIRE_TAKER:
                self._expire_self_trade(own, at)
            if mode is not SelfTradePrevention.EXPIRE_MAKER:
                self._expire_self_trade(order, at)
                return True
        return False

    def _expire_self_trade(self, order: EngineOrder, at: int) -> None:
        self._state.self_trade_ids.add(order.order_id)
        self.expire(order, at)

    def _would_cross(self, order: EngineOrder) -> bool:
        opposite = self._state.book(order.symbol).opposite_side(order.side)
        has_limit = order.type is OrderType.LIMIT
        return has_limit and opposite.best is not None and not opposite.is_worse(opposite.best, order.price)

    def _rest_or_expire(self, order: EngineOrder, at: int) -> None:
        if order.type is OrderType.MARKET or order.time_in_force in _NEVER_RESTS:
            self.expire(order, at)
        else:
            order.ahead = self._state.book(order.symbol).own_side(order.side).queue_at(order.price)

    def match_book(self, symbol: str, at: int) -> None:
        """Fill open limit orders that the opposite side of the book has reached."""
        book = self._state.book(symbol)
        for order in self._resting_orders(symbol):
            self._shrink_queue(order, book)
            for match in match_levels(
                book.opposite_side(order.side).within(order.price), self._fillable_quantity(order)
            ):
                match.take()
                self._fill(order, order.price, match.quantity, at, is_maker=True)

    def match_trade(self, symbol: str, price: Decimal, quantity: Decimal, at: int) -> None:
        """Fill open limit orders by a public trade."""
        unclaimed = quantity
        for order in self._resting_orders(symbol):
            distance = (order.price - price) * order.side.sign
            if distance < 0:
                continue
            reached = quantity if distance > 0 else max(ZERO, quantity - order.ahead)
            order.ahead = max(ZERO, order.ahead - quantity)
            filled = min(reached, unclaimed, self._fillable_quantity(order))
            if filled > 0:
                unclaimed -= filled
                self._fill(order, order.price, filled, at, is_maker=True)

    def trigger_orders(self, symbol: str, at: int) -> None:
        """Turn conditional orders that reached their stop price into LIMIT or MARKET orders with the same id."""
        book = self._state.book(symbol)
        for order in self._state.orders.open_for(symbol):
            if order.is_open and order.type.is_conditional and should_trigger(order, book):
                self._trigger(order, at)

    def _trigger(self, order: EngineOrder, at: int) -> None:
        has_limit = order.type in (OrderType.STOP, OrderType.TAKE_PROFIT)
        order.type = OrderType.LIMIT if has_limit else OrderType.MARKET
        order.event_at = at
        if order.request.close_position:
            order.quantity = self._state.closable_quantity(order)
        if order.only_reduces and not self._state.closable_quantity(order):
            return self.expire(order, at)
        try:
            matches = self.plan(order)
            check_margin(self._state, order, matches)
        except Rejected:
            return self.expire(order, at)
        self._state.events.append(order.to_update())
        return self.enter(order, matches, at)

    def expire(self, order: EngineOrder, at: int) -> None:
        self._close(order, OrderStatus.EXPIRED, at)

    def cancel(self, order: EngineOrder, at: int) -> None:
        self._close(order, OrderStatus.CANCELED, at)

    def _close(self, order: EngineOrder, status: OrderStatus, at: int) -> None:
        order.close(status, at)
        self._state.orders.drop_closed(order)
        self._state.events.append(order.to_update())

    def _fill(self, order: EngineOrder, price: Decimal, quantity: Decimal, at: int, *, is_maker: bool) -> None:
        commission = self._state.fees.commission(price * quantity, is_maker=is_maker)
        quote_asset = self._state.instrument(order.symbol).quote_asset
        asset, change = self._state.pay_in(self._state.fee_asset, quote_asset, -commission)
        self.fill(order, Execution(price, quantity, -change, is_maker, at, asset))

    def fill(self, order: EngineOrder, execution: Execution) -> None:
        """Apply one execution and emit its events: the order with its fill, then the account."""
        account, request = self._state.account, order.request
        asset = self._state.instrument(order.symbol).quote_asset
        held = account.get_or_create((order.symbol, request.position_side), asset)
        realized = account.apply_execution(held, order.side, execution)
        income_type = "INSURANCE_CLEAR" if order.is_liquidation else "COMMISSION"
        fee_asset = execution.commission_asset or asset
        account.record_income(fee_asset, -execution.commission, income_type, order.symbol, execution.at)
        order.add_fill(execution.quantity, execution.price, execution.at)
        self._state.orders.drop_closed(order)
        fill = self._record_fill(order, execution, realized, fee_asset)
        self._state.events.append(order.to_update(fill))
        self._state.events.append(account.account_update("ORDER", asset, execution.at, held, other_asset=fee_asset))
        self._expire_useless_reduce_only(order.symbol, execution.at)

    def _record_fill(self, order: EngineOrder, execution: Execution, realized: Decimal, fee_asset: str) -> Fill:
        fill = Fill(
            symbol=order.symbol,
            trade_id=self._state.orders.next_trade_id(execution.at),
            order_id=order.order_id,
            client_order_id=order.request.client_order_id,
            side=order.side,
            position_side=order.request.position_side,
            quantity=execution.quantity,
            price=execution.price,
            realized_pnl=realized,
            commission=execution.commission,
            commission_asset=fee_asset,
            is_maker=execution.is_maker,
            traded_at=execution.at,
        )
        self._state.fills.setdefault(order.symbol, []).append(fill)
        return fill

    def _expire_useless_reduce_only(self, symbol: str, at: int) -> None:
        """Expire open limit orders that may only reduce when nothing is left to reduce; conditional ones stay."""
        for order in self._state.orders.open_for(symbol):
            if order.is_resting and order.only_reduces and not self._state.closable_quantity(order):
                self.expire(order, at)

    def _resting_orders(self, symbol: str) -> list[EngineOrder]:
        """Return the open limit orders: best price first, then oldest."""
        orders = [order for order in self._state.orders.open_for(symbol) if order.is_resting]
        orders.sort(key=lambda order: (-order.side.sign * order.price, order.order_id))
        return orders

    def _fillable_quantity(self, order: EngineOrder) -> Decimal:
        """Return the quantity the order may still fill; at most the position if it may only reduce."""
        if not order.is_open:
            return ZERO
        return min(order.remaining, self._state.closable_quantity(order)) if order.only_reduces else order.remaining

    def _shrink_queue(self, order: EngineOrder, book: Book) -> None:
        best = book.own_side(order.side).best
        if best is None or book.own_side(order.side).is_worse(best, order.price):
            order.ahead = ZERO
        elif best == order.price:
            order.ahead = min(order.ahead, book.own_side(order.side).queue_at(best))

    def _worst_price(self, book: Book, side: Side) -> Decimal:
        """Return the worst price for a market order: the tighter of marketTakeBound and PERCENT_PRICE."""
        instrument = book.instrument
        multiplier = instrument.multiplier_up if side is Side.BUY else instrument.multiplier_down
        reach = min(instrument.market_take_bound, (multiplier - 1) * side.sign)
        return self._state.mark_price(instrument.symbol) * (1 + side.sign * reach)


@dataclass(frozen=True, slots=True)
class Modification:
    """The requested price and quantity, not yet checked against the filters."""

    price: Price
    quantity: Quantity


def modify(state: EngineState, executor: Executor, order: EngineOrder, modification: Modification, at: int) -> None:
    """Modify the order; if it raises ``Rejected``, the order is unchanged."""
    _check_modifiable(order, modification.quantity)
    request = replace(order.request, price=modification.price, quantity=modification.quantity)
    changed = replace(order, request=request, quantity=modification.quantity, event_at=at)
    check_filters(request, state.instrument(order.symbol), state.mark_price(order.symbol))
    with state.orders.without(order):
        check_position(state, changed)
        matches = executor.plan(changed)
        check_margin(state, changed, matches)
    state.orders.add(changed)
    state.events.append(changed.to_update())
    executor.enter(changed, matches, at)


def _check_modifiable(order: EngineOrder, quantity: Decimal) -> None:
    if not order.is_open:
        raise Rejected(-2013, f"the order is {order.status}")
    if order.request.type is not OrderType.LIMIT:
        raise Rejected(-1116, "only LIMIT orders can be modified")
    if quantity <= order.filled_quantity:
        raise Rejected(-4003, f"{order.filled_quantity} of the order is already filled")
