"""How orders become trades: against the quote, by public trades, and when their condition is met.

A resting limit is never filled for free at the touch. It fills at its own price, as maker, when the far side of the
quote reaches it, for at most what stands there; or by public trades, for at most what they traded: all of it where a
trade went through its price, and at its price only what is left once the queue in front of it has been served. That
queue is what stood at the price when the order joined; it shrinks with every trade there and with the displayed
quantity, and is gone when the near side of the quote steps back behind the order.
"""

from decimal import Decimal

from src.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.orders import Fill
from src.engine.account import Deal
from src.engine.admission import check_margin
from src.engine.floor import Floor
from src.engine.live_orders import LiveOrder
from src.engine.matching import Book, Part, known_parts, market_parts
from src.engine.triggers import fires

ZERO = Decimal(0)
_IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class Executor:
    """Fills and ends the orders of one floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def plan(self, order: LiveOrder) -> list[Part]:
        """What the order would take of the book at once.

        ``Rejected`` with -1112 where a MARKET order finds no book, -4131 where the best price is past its bound.
        """
        book = self._floor.book(order.symbol)
        quantity = self._wanted(order)
        if order.type is OrderType.LIMIT:
            return known_parts(book.facing(order.side).within(order.price), quantity)
        bound = self._bound(book, order.side)
        best = book.facing(order.side).best
        if best is None:
            raise Rejected(-1112, f"nobody stands on the other side of {order.symbol}")
        if book.facing(order.side).is_worse(best, bound):
            raise Rejected(-4131, f"the best price {best} is past the bound {bound}")
        return market_parts(book, order.side, quantity, bound, self._floor.costs.slippage)

    def enter(self, order: LiveOrder, parts: list[Part], at: int) -> None:
        """Let an accepted order take what it can, and rest or end with the remainder."""
        if order.time_in_force is TimeInForce.GTX and self._would_take(order):
            return self.expire(order, at)
        if order.time_in_force is TimeInForce.FOK and sum((part.quantity for part in parts), ZERO) < order.remaining:
            return self.expire(order, at)
        for part in parts:
            part.take()
            self._fill(order, part.price, part.quantity, at, is_maker=False)
        if order.is_open:
            self._settle_rest(order, at)
        return None

    def _would_take(self, order: LiveOrder) -> bool:
        facing = self._floor.book(order.symbol).facing(order.side)
        is_limited = order.type is OrderType.LIMIT
        return is_limited and facing.best is not None and not facing.is_worse(facing.best, order.price)

    def _settle_rest(self, order: LiveOrder, at: int) -> None:
        if order.type is OrderType.MARKET or order.time_in_force in _IMMEDIATE:
            self.expire(order, at)
        else:
            order.ahead = self._floor.book(order.symbol).resting(order.side).standing_at(order.price)

    def match_book(self, symbol: str, at: int) -> None:
        """Fill resting orders that the far side of the book has reached."""
        book = self._floor.book(symbol)
        for order in self._resting(symbol):
            self._let_queue_shrink(order, book)
            for part in known_parts(book.facing(order.side).within(order.price), self._wanted(order)):
                part.take()
                self._fill(order, order.price, part.quantity, at, is_maker=True)

    def match_trade(self, symbol: str, price: Decimal, quantity: Decimal, at: int) -> None:
        """Fill resting orders by a public trade."""
        left = quantity
        for order in self._resting(symbol):
            distance = (order.price - price) * order.side.sign
            if distance < 0:
                continue
            reached = quantity if distance > 0 else max(ZERO, quantity - order.ahead)
            order.ahead = max(ZERO, order.ahead - quantity)
            filled = min(reached, left, self._wanted(order))
            if filled > 0:
                left -= filled
                self._fill(order, order.price, filled, at, is_maker=True)

    def fire_triggers(self, symbol: str, at: int) -> None:
        """Turn conditional orders whose price is reached into orders of the book, under the same number."""
        book = self._floor.book(symbol)
        for order in self._floor.orders.open_in(symbol):
            if order.is_open and order.type.is_conditional and fires(order, book):
                self._fire(order, at)

    def _fire(self, order: LiveOrder, at: int) -> None:
        limited = order.type in (OrderType.STOP, OrderType.TAKE_PROFIT)
        order.type = OrderType.LIMIT if limited else OrderType.MARKET
        order.event_at = at
        if order.request.close_position:
            order.quantity = self._floor.closable(order)
        if order.only_reduces and not self._floor.closable(order):
            return self.expire(order, at)
        try:
            parts = self.plan(order)
            check_margin(self._floor, order, parts)
        except Rejected:
            return self.expire(order, at)
        self._floor.events.append(order.told())
        return self.enter(order, parts, at)

    def expire(self, order: LiveOrder, at: int) -> None:
        self._end(order, OrderStatus.EXPIRED, at)

    def cancel(self, order: LiveOrder, at: int) -> None:
        self._end(order, OrderStatus.CANCELED, at)

    def _end(self, order: LiveOrder, status: OrderStatus, at: int) -> None:
        order.end(status, at)
        self._floor.orders.drop_ended(order)
        self._floor.events.append(order.told())

    def _fill(self, order: LiveOrder, price: Decimal, quantity: Decimal, at: int, *, is_maker: bool) -> None:
        commission = self._floor.costs.commission(price * quantity, is_maker=is_maker)
        self.fill(order, Deal(price, quantity, commission, is_maker, at))

    def fill(self, order: LiveOrder, deal: Deal) -> None:
        """Book one execution and tell it: the order with its fill, then the account."""
        account, request = self._floor.account, order.request
        asset = self._floor.instrument(order.symbol).quote_asset
        holding = account.occupy((order.symbol, request.position_side), asset)
        realized = account.trade(holding, order.side, deal)
        kind = "INSURANCE_CLEAR" if order.is_forced else "COMMISSION"
        account.book(asset, -deal.commission, kind, order.symbol, deal.at)
        order.add_fill(deal.quantity, deal.price, deal.at)
        self._floor.orders.drop_ended(order)
        fill = self._record(order, deal, realized, asset)
        self._floor.events.append(order.told(fill))
        self._floor.events.append(account.told("ORDER", asset, deal.at, holding))
        self._expire_idle(order.symbol, deal.at)

    def _record(self, order: LiveOrder, deal: Deal, realized: Decimal, asset: str) -> Fill:
        fill = Fill(
            symbol=order.symbol,
            trade_id=self._floor.orders.next_trade_id(deal.at),
            order_id=order.order_id,
            client_order_id=order.request.client_order_id,
            side=order.side,
            position_side=order.request.position_side,
            quantity=deal.quantity,
            price=deal.price,
            realized_pnl=realized,
            commission=deal.commission,
            commission_asset=asset,
            is_maker=deal.is_maker,
            traded_at=deal.at,
        )
        self._floor.fills.setdefault(order.symbol, []).append(fill)
        return fill

    def _expire_idle(self, symbol: str, at: int) -> None:
        """End resting orders that may only reduce and have nothing left to reduce; conditional ones stay."""
        for order in self._floor.orders.open_in(symbol):
            if order.rests and order.only_reduces and not self._floor.closable(order):
                self.expire(order, at)

    def _resting(self, symbol: str) -> list[LiveOrder]:
        """Resting orders that are still open when their turn comes: best price first, then oldest."""
        orders = [order for order in self._floor.orders.open_in(symbol) if order.rests]
        orders.sort(key=lambda order: (-order.side.sign * order.price, order.order_id))
        return orders

    def _wanted(self, order: LiveOrder) -> Decimal:
        """What the order may still fill: never more than there is to close, where it may only reduce."""
        if not order.is_open:
            return ZERO
        return min(order.remaining, self._floor.closable(order)) if order.only_reduces else order.remaining

    def _let_queue_shrink(self, order: LiveOrder, book: Book) -> None:
        best = book.resting(order.side).best
        if best is None or book.resting(order.side).is_worse(best, order.price):
            order.ahead = ZERO
        elif best == order.price:
            order.ahead = min(order.ahead, book.resting(order.side).standing_at(best))

    def _bound(self, book: Book, side: Side) -> Decimal:
        """The worst price a market order may trade at: the nearer of marketTakeBound and PERCENT_PRICE."""
        instrument = book.instrument
        multiplier = instrument.multiplier_up if side is Side.BUY else instrument.multiplier_down
        reach = min(instrument.market_take_bound, (multiplier - 1) * side.sign)
        return self._floor.mark_price(instrument.symbol) * (1 + side.sign * reach)
