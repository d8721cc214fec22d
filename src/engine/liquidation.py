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

from src.domain.enums import OrderType, TimeInForce
from src.domain.events import MarginCall
from src.domain.instrument import Price, Quantity
from src.domain.market import MarkPrice
from src.domain.orders import OrderRequest
from src.domain.positions import PositionKey
from src.engine.account import EnginePosition, Execution
from src.engine.equity import cross_equity, crossed_positions, maintenance_margin_of, unrealized_pnl
from src.engine.execution import Executor
from src.engine.margin import round_amount
from src.engine.matching import Book, Match, match_market
from src.engine.orders import LIQUIDATION_ID_PREFIX, EngineOrder
from src.engine.state import EngineState

ZERO = Decimal(0)
_MARGIN_CALL_RATIO = Decimal("0.8")
"""From this part of the margin on that maintenance needs, the exchange warns; the document gives no figure."""


class Liquidator:
    """Watches the margin of one floor."""

    def __init__(self, state: EngineState, executor: Executor) -> None:
        self._state = state
        self._executor = executor
        self._warned: set[PositionKey] = set()
        self.orders: list[EngineOrder] = []

    def check(self, symbol: str, at: int) -> None:
        """Look at every margin that the price of this symbol bears on."""
        holdings = tuple(self._state.account.open_positions_for(symbol))
        if not holdings:
            return
        if self._state.account.is_isolated(symbol):
            for holding in holdings:
                self._check_isolated(holding, at)
        else:
            self._check_crossed(holdings[0].asset, at)

    def _check_isolated(self, holding: EnginePosition, at: int) -> None:
        balance = holding.isolated_margin + unrealized_pnl(self._state, holding)
        required = maintenance_margin_of(self._state, holding)
        if balance > required:
            return self._warn_if_near([holding], balance, required, at)
        self._expire_orders(holding, at)
        before = self._state.account.cross_wallet(holding.asset)
        self._liquidate(holding, holding.isolated_margin, at)
        return self._pay_shortfall(holding.asset, before - self._state.account.cross_wallet(holding.asset), at)

    def _check_crossed(self, asset: str, at: int) -> None:
        state = self._state
        equity = cross_equity(state, asset)
        held = crossed_positions(state, asset)
        if equity.balance > equity.maintenance_margin:
            return self._warn_if_near(held, equity.balance, equity.maintenance_margin, at)
        for holding in held:
            self._expire_orders(holding, at)
        while held and equity.balance <= equity.maintenance_margin:
            largest = max(held, key=lambda each: maintenance_margin_of(state, each))
            self._liquidate(largest, equity.balance - unrealized_pnl(state, largest), at)
            held = crossed_positions(state, asset)
            equity = cross_equity(state, asset)
        if not held:
            self._pay_shortfall(asset, -equity.wallet, at)
        return None

    def _warn_if_near(self, held: Sequence[EnginePosition], balance: Decimal, required: Decimal, at: int) -> None:
        """MARGIN_CALL once for a position, and again only after it has recovered."""
        keys = {(each.position.symbol, each.position.position_side) for each in held}
        if required < balance * _MARGIN_CALL_RATIO:
            self._warned -= keys
        elif not keys <= self._warned:
            self._warned |= keys
            self._state.events.append(MarginCall(tuple(sorted(keys)), at))

    def _expire_orders(self, holding: EnginePosition, at: int) -> None:
        """Orders of the book end; conditional ones stay, as they do when a position is closed by hand."""
        for order in self._state.orders.open_for(holding.position.symbol):
            if order.is_resting and order.request.position_side is holding.position.position_side:
                self._executor.expire(order, at)

    def _liquidate(self, holding: EnginePosition, collateral: Decimal, at: int) -> None:
        """Close a position whole. ``collateral`` is what may be spent on it: its margin, before its profit or loss."""
        position = holding.position
        matches = self._match_position(holding)
        order = self._create_order(holding, matches[-1].price, at)
        self._warned.discard((position.symbol, position.position_side))
        rate = self._state.instrument(position.symbol).liquidation_fee
        for match in matches:
            match.take()
            _, profit = holding.position.apply_trade(order.side, match.quantity, match.price)
            collateral += round_amount(profit)
            fee = min(round_amount(match.price * match.quantity * rate), max(ZERO, round_amount(collateral)))
            collateral -= fee
            self._executor.fill(order, Execution(match.price, match.quantity, fee, is_maker=False, at=at))

    def _match_position(self, holding: EnginePosition) -> list[Match]:
        """The whole position, at the mark where there is no book; what no book takes goes at its last price."""
        position, book = holding.position, self._state.book(holding.position.symbol)
        quantity = abs(position.quantity)
        matches = match_market(book, position.side.opposite, quantity, None, self._state.fees.slippage)
        remaining = quantity - sum((match.quantity for match in matches), ZERO)
        if remaining:
            price = matches[-1].price if matches else book.instrument.price(self._state.mark_price(position.symbol))
            matches.append(Match(price, remaining))
        return matches

    def _create_order(self, holding: EnginePosition, price: Decimal, at: int) -> EngineOrder:
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
        order = self._state.orders.create(request, at)
        order.request = replace(request, client_order_id=f"{LIQUIDATION_ID_PREFIX}{order.order_id}")
        self._state.orders.add(order)
        self.orders.append(order)
        self._state.events.append(order.to_update())
        return order

    def _pay_shortfall(self, asset: str, shortfall: Decimal, at: int) -> None:
        """The insurance fund pays what a liquidation lost beyond its margin."""
        if shortfall > 0:
            account = self._state.account
            account.record_income(asset, shortfall, "INSURANCE_CLEAR", "", at)
            self._state.events.append(account.account_update("INSURANCE_CLEAR", asset, at, balance_change=shortfall))


def is_funding_due(book: Book, mark: MarkPrice) -> bool:
    """The funding instant that the mark before this one announced has come, and was not settled."""
    before = book.latest_mark
    return before is not None and book.last_funding_at < before.next_funding_at <= mark.at


def settle_funding(state: EngineState, symbol: str, rate: Decimal, at: int) -> None:
    """Pay −quantity × mark × rate on every position of the symbol.

    An isolated position pays from its own margin and is told with it, a crossed one is not (Event: Balance and
    Position Update).
    """
    state.book(symbol).last_funding_at = at
    for holding in tuple(state.account.open_positions_for(symbol)):
        amount = round_amount(-holding.position.quantity * state.mark_price(symbol) * rate)
        state.account.record_income(holding.asset, amount, "FUNDING_FEE", symbol, at)
        changed = _charge_isolated(state, holding, amount)
        state.events.append(
            state.account.account_update("FUNDING_FEE", holding.asset, at, *changed, balance_change=amount)
        )


def _charge_isolated(state: EngineState, holding: EnginePosition, amount: Decimal) -> tuple[EnginePosition, ...]:
    if not state.account.is_isolated(holding.position.symbol):
        return ()
    holding.isolated_margin = max(ZERO, holding.isolated_margin + amount)
    return (holding,)
