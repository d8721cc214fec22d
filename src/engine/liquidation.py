"""Taking positions away whose margin no longer carries them, and warning before.

An isolated position falls when its margin and profit no longer exceed its maintenance margin; the crossed ones of a
pool together, the one that needs most first, until the rest is carried. Their resting orders end before. A forced
order takes the book and, past it, the ladder, without a bound; it always fills whole. Its fee is ``liquidation_fee``
of its value, but never more than the margin that is left, and stands in the place of a commission; what it lost
beyond that margin is paid by the insurance fund.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.messages import MarginCall
from src.domain.orders import OrderRequest
from src.engine.account import Deal, Holding
from src.engine.costs import booked
from src.engine.equity import cross_equity, crossed_holdings, maintenance, unrealized_pnl
from src.engine.execution import Executor
from src.engine.floor import Floor
from src.engine.live_orders import FORCED_PREFIX, LiveOrder
from src.engine.matching import Part, market_parts

ZERO = Decimal(0)
_CALL_RATIO = Decimal("0.8")
"""From this part of the margin on that maintenance needs, the exchange warns; the document gives no figure."""


class Liquidator:
    """Watches the margin of one floor."""

    def __init__(self, floor: Floor, executor: Executor) -> None:
        self._floor = floor
        self._executor = executor
        self._warned: set[tuple[str, PositionSide]] = set()
        self.forced: list[LiveOrder] = []

    def watch(self, symbol: str, at: int) -> None:
        """Look at every margin that the price of this symbol bears on."""
        holdings = tuple(self._floor.account.holdings_in(symbol))
        if not holdings:
            return
        if self._floor.account.is_isolated(symbol):
            for holding in holdings:
                self._watch_isolated(holding, at)
        else:
            self._watch_crossed(holdings[0].asset, at)

    def _watch_isolated(self, holding: Holding, at: int) -> None:
        balance = holding.isolated_margin + unrealized_pnl(self._floor, holding)
        needed = maintenance(self._floor, holding)
        if balance > needed:
            return self._warn([holding], balance, needed, at)
        self._end_orders(holding, at)
        before = self._floor.account.cross_wallet(holding.asset)
        self._force(holding, holding.isolated_margin, at)
        return self._insure(holding.asset, before - self._floor.account.cross_wallet(holding.asset), at)

    def _watch_crossed(self, asset: str, at: int) -> None:
        floor = self._floor
        equity = cross_equity(floor, asset)
        held = crossed_holdings(floor, asset)
        if equity.balance > equity.maintenance_margin:
            return self._warn(held, equity.balance, equity.maintenance_margin, at)
        for holding in held:
            self._end_orders(holding, at)
        while held and equity.balance <= equity.maintenance_margin:
            worst = max(held, key=lambda each: maintenance(floor, each))
            self._force(worst, equity.balance - unrealized_pnl(floor, worst), at)
            held = crossed_holdings(floor, asset)
            equity = cross_equity(floor, asset)
        if not held:
            self._insure(asset, -equity.wallet, at)
        return None

    def _warn(self, held: Sequence[Holding], balance: Decimal, needed: Decimal, at: int) -> None:
        """MARGIN_CALL once for a position, and again only after it has recovered."""
        slots = {(each.position.symbol, each.position.position_side) for each in held}
        if needed < balance * _CALL_RATIO:
            self._warned -= slots
        elif not slots <= self._warned:
            self._warned |= slots
            self._floor.events.append(MarginCall(tuple(sorted(slots)), at))

    def _end_orders(self, holding: Holding, at: int) -> None:
        """Orders of the book end; conditional ones stay, as they do when a position is closed by hand."""
        for order in self._floor.orders.open_in(holding.position.symbol):
            if order.rests and order.request.position_side is holding.position.position_side:
                self._executor.expire(order, at)

    def _force(self, holding: Holding, purse: Decimal, at: int) -> None:
        """Close a position whole. ``purse`` is what may be spent on it: its margin, before its profit or loss."""
        position = holding.position
        parts = self._parts(holding)
        order = self._open_forced(holding, parts[-1].price, at)
        self._warned.discard((position.symbol, position.position_side))
        rate = self._floor.instrument(position.symbol).liquidation_fee
        for part in parts:
            part.take()
            _, profit = holding.position.after(order.side, part.quantity, part.price)
            purse += booked(profit)
            fee = min(booked(part.price * part.quantity * rate), max(ZERO, booked(purse)))
            purse -= fee
            self._executor.fill(order, Deal(part.price, part.quantity, fee, is_maker=False, at=at))

    def _parts(self, holding: Holding) -> list[Part]:
        """The whole position, at the mark where there is no book; what no book takes goes at its last price."""
        position, book = holding.position, self._floor.book(holding.position.symbol)
        quantity = abs(position.quantity)
        parts = market_parts(book, position.side.opposite, quantity, None, self._floor.costs.slippage)
        rest = quantity - sum((part.quantity for part in parts), ZERO)
        if rest:
            price = parts[-1].price if parts else book.instrument.price(self._floor.mark_price(position.symbol))
            parts.append(Part(price, rest))
        return parts

    def _open_forced(self, holding: Holding, price: Decimal, at: int) -> LiveOrder:
        position = holding.position
        request = OrderRequest(
            client_order_id="",
            symbol=position.symbol,
            side=position.side.opposite,
            position_side=position.position_side,
            type=OrderType.LIMIT,
            quantity=Quantity(abs(position.quantity)),
            price=Price(price),
            time_in_force=TimeInForce.IOC,
        )
        order = self._floor.orders.create(request, at)
        order.request = replace(request, client_order_id=f"{FORCED_PREFIX}{order.order_id}")
        self._floor.orders.add(order)
        self.forced.append(order)
        self._floor.events.append(order.told())
        return order

    def _insure(self, asset: str, shortfall: Decimal, at: int) -> None:
        """The insurance fund pays what a liquidation lost beyond its margin."""
        if shortfall > 0:
            account = self._floor.account
            account.book(asset, shortfall, "INSURANCE_CLEAR", "", at)
            self._floor.events.append(account.told("INSURANCE_CLEAR", asset, at, balance_change=shortfall))
