"""Margin calls, liquidation and funding.

An isolated position is liquidated when its margin plus unrealized PnL no longer exceeds its maintenance margin. Crossed
positions that share collateral are checked together and liquidated one by one, the largest maintenance margin first,
until the rest is covered. Open limit orders of the position expire before. A liquidation order fills completely at any
price, against the book and the synthetic levels behind it. Instead of a commission it pays ``liquidation_fee`` of its
notional, at most the margin that is left; the insurance fund pays any loss beyond that margin.

Funding is paid on every open position at the time that the previous mark price announced.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from src.domain.enums import OrderType, TimeInForce
from src.domain.events import MarginCall
from src.domain.instrument import Price, Quantity
from src.domain.market import MarkPrice
from src.domain.numbers import ZERO
from src.domain.orders import OrderRequest
from src.domain.positions import PositionKey
from src.engine.account import EnginePosition, Execution
from src.engine.equity import cross_equity, crossed_positions, maintenance_margin_of, unrealized_pnl
from src.engine.execution import Executor
from src.engine.margin import round_amount
from src.engine.matching import Book, Match, match_market
from src.engine.orders import LIQUIDATION_ID_PREFIX, EngineOrder
from src.engine.state import EngineState

_MARGIN_CALL_RATIO = Decimal("0.8")
"""A margin call is sent when maintenance margin exceeds this share of the margin; Aster documents no figure."""


class Liquidator:
    """Checks the margin of one account; sends margin calls and liquidates positions."""

    def __init__(self, state: EngineState, executor: Executor) -> None:
        self._state = state
        self._executor = executor
        self._warned: set[PositionKey] = set()
        self.orders: list[EngineOrder] = []

    def check(self, symbol: str, at: int) -> None:
        """Check the margin of all positions that depend on the price of this symbol."""
        positions = tuple(self._state.account.open_positions_for(symbol))
        if not positions:
            return
        if self._state.account.is_isolated(symbol):
            for held in positions:
                self._check_isolated(held, at)
        else:
            self._check_crossed(positions[0].asset, at)

    def _check_isolated(self, held: EnginePosition, at: int) -> None:
        balance = held.isolated_margin + unrealized_pnl(self._state, held)
        required = maintenance_margin_of(self._state, held)
        if balance > required:
            return self._warn_if_near([held], balance, required, at)
        self._expire_orders(held, at)
        before = self._state.account.cross_wallet(held.asset)
        self._liquidate(held, held.isolated_margin, at)
        return self._pay_shortfall(held.asset, before - self._state.account.cross_wallet(held.asset), at)

    def _check_crossed(self, asset: str, at: int) -> None:
        state = self._state
        equity = cross_equity(state, asset)
        positions = crossed_positions(state, asset)
        if equity.balance > equity.maintenance_margin:
            return self._warn_if_near(positions, equity.balance, equity.maintenance_margin, at)
        for held in positions:
            self._expire_orders(held, at)
        while positions and equity.balance <= equity.maintenance_margin:
            largest = max(positions, key=lambda each: maintenance_margin_of(state, each))
            self._liquidate(largest, equity.balance - unrealized_pnl(state, largest), at)
            positions = crossed_positions(state, asset)
            equity = cross_equity(state, asset)
        if not positions:
            self._pay_shortfall(asset, -equity.wallet, at)
        return None

    def _warn_if_near(self, positions: Sequence[EnginePosition], balance: Decimal, required: Decimal, at: int) -> None:
        """Send MARGIN_CALL once per position, and again only after its margin has recovered."""
        keys = {(each.position.symbol, each.position.position_side) for each in positions}
        if required < balance * _MARGIN_CALL_RATIO:
            self._warned -= keys
        elif not keys <= self._warned:
            self._warned |= keys
            self._state.events.append(MarginCall(tuple(sorted(keys)), at))

    def _expire_orders(self, held: EnginePosition, at: int) -> None:
        """Expire the position's open limit orders; conditional ones stay, as after a manual close."""
        for order in self._state.orders.open_for(held.position.symbol):
            if order.is_resting and order.request.position_side is held.position.position_side:
                self._executor.expire(order, at)

    def _liquidate(self, held: EnginePosition, collateral: Decimal, at: int) -> None:
        """Close the whole position. ``collateral`` is the margin available for it, without its unrealized PnL."""
        position = held.position
        matches = self._match_position(held)
        order = self._create_order(held, matches[-1].price, at)
        self._warned.discard((position.symbol, position.position_side))
        rate = self._state.instrument(position.symbol).liquidation_fee
        for match in matches:
            match.take()
            _, profit = held.position.apply_trade(order.side, match.quantity, match.price)
            collateral += round_amount(profit)
            fee = min(round_amount(match.price * match.quantity * rate), max(ZERO, round_amount(collateral)))
            collateral -= fee
            self._executor.fill(order, Execution(match.price, match.quantity, fee, is_maker=False, at=at))

    def _match_position(self, held: EnginePosition) -> list[Match]:
        """Match the whole position; the rest beyond the book at its last price, or all at the mark without a book."""
        position, book = held.position, self._state.book(held.position.symbol)
        quantity = abs(position.quantity)
        matches = match_market(book, position.side.opposite, quantity, None, self._state.fees.slippage)
        remaining = quantity - sum((match.quantity for match in matches), ZERO)
        if remaining:
            price = matches[-1].price if matches else book.instrument.price(self._state.mark_price(position.symbol))
            matches.append(Match(price, remaining))
        return matches

    def _create_order(self, held: EnginePosition, price: Decimal, at: int) -> EngineOrder:
        position = held.position
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
        """Let the insurance fund pay the loss of a liquidation beyond its margin."""
        if shortfall > 0:
            account = self._state.account
            account.record_income(asset, shortfall, "INSURANCE_CLEAR", "", at)
            self._state.events.append(account.account_update("INSURANCE_CLEAR", asset, at, balance_change=shortfall))


def is_funding_due(book: Book, mark: MarkPrice) -> bool:
    """Whether the funding time announced by the previous mark price has passed without settlement."""
    before = book.latest_mark
    return before is not None and book.last_funding_at < before.next_funding_at <= mark.at


def settle_funding(state: EngineState, symbol: str, rate: Decimal, at: int) -> None:
    """Pay −quantity × mark × rate on every position of the symbol.

    An isolated position pays from its own margin and appears in the event; a crossed one does not (Event: Balance and
    Position Update).
    """
    state.book(symbol).last_funding_at = at
    for held in tuple(state.account.open_positions_for(symbol)):
        due = round_amount(-held.position.quantity * state.mark_price(symbol) * rate)
        asset, amount = state.pay_in(state.funding_asset, held.asset, due)
        state.account.record_income(asset, amount, "FUNDING_FEE", symbol, at)
        changed = _charge_isolated(state, held, amount) if asset == held.asset else ()
        state.events.append(state.account.account_update("FUNDING_FEE", asset, at, *changed, balance_change=amount))


def _charge_isolated(state: EngineState, held: EnginePosition, amount: Decimal) -> tuple[EnginePosition, ...]:
    if not state.account.is_isolated(held.position.symbol):
        return ()
    held.isolated_margin = max(ZERO, held.isolated_margin + amount)
    return (held,)
