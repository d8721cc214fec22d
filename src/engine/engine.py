"""The matching engine: one account on one simulated exchange. Takes market data and requests, returns events.

It has no clock: every call takes its time ``at`` (ms UTC), which must not decrease. A call that raises ``Rejected``
changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import Rejected
from src.domain.instrument import Instrument
from src.domain.margin import Brackets, max_leverage
from src.domain.market import MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.engine import account_config, equity, liquidation
from src.engine.account import Account
from src.engine.account_state import AccountState, restore_account, save_account
from src.engine.execution import Executor, Modification, modify
from src.engine.liquidation import Liquidator
from src.engine.margin import DEFAULT_BRACKETS, Fees, round_amount
from src.engine.matching import Levels, limit_quantity
from src.engine.order_checks import check_margin, check_position, check_request, check_trigger
from src.engine.orders import EngineOrder
from src.engine.state import EngineEvent, EngineState, SelfTradePrevention

BracketSource = Mapping[str, Brackets] | Callable[[str], Brackets] | None


class Engine:
    """Public interface of the matching engine; used under the caller's lock."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fees: Fees,
        brackets: BracketSource = None,
        *,
        hedge_mode: bool = False,
    ) -> None:
        find = _bracket_lookup(brackets)
        account = Account(hedge_mode, lambda symbol: max_leverage(find(symbol)))
        self._state = EngineState(dict(instruments), fees, find, account)
        self._executor = Executor(self._state)
        self._liquidator = Liquidator(self._state, self._executor)

    def set_instrument(self, instrument: Instrument) -> None:
        """Add a symbol or update its filters; open orders keep the parameters they were accepted with."""
        self._state.instruments[instrument.symbol] = instrument
        self._state.book(instrument.symbol).instrument = instrument

    def brackets(self) -> dict[str, Brackets]:
        """Return the leverage brackets of each symbol."""
        return {symbol: self._state.brackets(symbol) for symbol in self._state.instruments}

    # The market.
    def on_quote(self, quote: Quote) -> list[EngineEvent]:
        """Update the best bid and ask; fill open limit orders they reach and trigger conditional orders."""
        self._state.book(quote.symbol).update_quote(quote)
        return self._rematch(quote.symbol, quote.at)

    def on_depth(self, symbol: str, bids: Levels, asks: Levels, at: int) -> list[EngineEvent]:
        """Replace the order book; levels are listed best first."""
        self._state.book(symbol).update_depth(bids, asks)
        return self._rematch(symbol, at)

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, at: int) -> list[EngineEvent]:
        """Apply a public trade: update the contract price, fill open limit orders it reached, trigger others."""
        self._state.book(symbol).update_trade(price)
        if not self._state.orders.has_open(symbol):
            return []
        self._executor.match_trade(symbol, price, quantity, at)
        self._executor.trigger_orders(symbol, at)
        return self._state.take_events()

    def on_mark(self, mark: MarkPrice) -> list[EngineEvent]:
        """Update the mark price: settle due funding, trigger orders, then liquidate positions without enough margin.

        Orders trigger before liquidation: between two marks the price passes a stop before the liquidation price.
        """
        book = self._state.book(mark.symbol)
        before, is_due = book.latest_mark, liquidation.is_funding_due(book, mark)
        if is_due and before is not None:
            liquidation.settle_funding(self._state, mark.symbol, before.funding_rate, before.next_funding_at)
        book.mark = mark
        if self._state.orders.has_open(mark.symbol):
            self._executor.trigger_orders(mark.symbol, mark.at)
        self._liquidator.check(mark.symbol, mark.at)
        return self._state.take_events()

    def settle_funding(self, symbol: str, rate: Decimal, at: int) -> list[EngineEvent]:
        """Pay funding now; mark prices with a funding time up to ``at`` do not pay it again."""
        liquidation.settle_funding(self._state, symbol, rate, at)
        self._liquidator.check(symbol, at)
        return self._state.take_events()

    def _rematch(self, symbol: str, at: int) -> list[EngineEvent]:
        if not self._state.orders.has_open(symbol):
            return []
        self._executor.match_book(symbol, at)
        self._executor.trigger_orders(symbol, at)
        return self._state.take_events()

    # Orders.
    def submit(self, request: OrderRequest, at: int, *, max_fill: Decimal | None = None) -> list[EngineEvent]:
        """Place an order (New Order); the first event is its acceptance. Raises ``Rejected`` with the documented code.

        ``max_fill`` limits the quantity filled at once, so that the sandbox can simulate partial fills.
        """
        state = self._state
        check_request(state, request)
        order = state.orders.create(request, at)
        check_position(state, order)
        check_trigger(state, order)
        matches = [] if order.type.is_conditional else self._executor.plan(order)
        if max_fill is not None:
            matches = limit_quantity(matches, max_fill)
        check_margin(state, order, matches)
        state.orders.add(order)
        state.events.append(order.to_update())
        if not order.type.is_conditional:
            self._executor.enter(order, matches, at)
        return state.take_events()

    def cancel(
        self, symbol: str, at: int, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> list[EngineEvent]:
        """Cancel an open order (Cancel Order). Raises ``Rejected`` -2011 if there is none."""
        order = self._state.orders.find(symbol, order_id, client_order_id, code=-2011)
        if not order.is_open:
            raise Rejected(-2011, f"the order is {order.status}")
        self._executor.cancel(order, at)
        return self._state.take_events()

    def expire(self, symbol: str, order_id: int, at: int) -> list[EngineEvent]:
        """Expire an open order, as the exchange may do for reasons of its own."""
        order = self._state.orders.find(symbol, order_id, None, code=-2011)
        self._executor.expire(order, at)
        return self._state.take_events()

    def modify(
        self,
        symbol: str,
        modification: Modification,
        at: int,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
    ) -> list[EngineEvent]:
        """Change price and quantity of an open limit order (Modify Order). Raises -2013 if there is none."""
        order = self._state.orders.find(symbol, order_id, client_order_id, code=-2013)
        modify(self._state, self._executor, order, modification, at)
        return self._state.take_events()

    # The account.
    def deposit(self, asset: str, amount: Decimal, at: int) -> list[EngineEvent]:
        """Deposit an amount, or withdraw it if negative; at most eight decimal places (-1111)."""
        if amount != round_amount(amount):
            raise Rejected(-1111, f"{amount} has more than eight decimal places")
        if amount < 0 and -amount > equity.summarize_asset(self._state, asset).available_balance:
            raise Rejected(-2018, f"{-amount} {asset} exceeds the available balance")
        account = self._state.account
        account.record_income(asset, amount, "TRANSFER", "", at)
        reason = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._state.events.append(account.account_update(reason, asset, at, balance_change=amount))
        return self._state.take_events()

    def set_position_mode(self, hedge_mode: bool) -> None:
        """Raises -4059 if already set, -4067 or -4068 while orders or positions are open."""
        account_config.set_position_mode(self._state, hedge_mode)

    def set_multi_assets(self, multi_assets_mode: bool) -> None:
        """Raises -4171 if already set; -4167, -4169 or -4170 if it cannot change."""
        account_config.set_multi_assets_mode(self._state, multi_assets_mode)

    def set_margin_type(self, symbol: str, margin_type: MarginType, at: int) -> list[EngineEvent]:
        """Raises -4046 if already set, -4047 or -4048 while the symbol has open orders or positions."""
        account_config.set_margin_type(self._state, symbol, margin_type, at)
        return self._state.take_events()

    def set_leverage(self, symbol: str, leverage: int, at: int) -> list[EngineEvent]:
        """Raises -4028 if the symbol does not allow it; -2027, -2028 or -4161 if an open position does not."""
        account_config.set_leverage(self._state, symbol, leverage, at)
        return self._state.take_events()

    def change_position_margin(
        self, symbol: str, position_side: PositionSide, amount: Decimal, kind: int, at: int
    ) -> list[EngineEvent]:
        """Add margin to an isolated position (kind 1) or remove it (2). Raises -4049, -4050, -4051, -4054 or -4055."""
        account_config.change_position_margin(self._state, (symbol, position_side), amount, kind, at)
        return self._state.take_events()

    def set_payment_assets(self, *, fees: str | None, funding: str | None) -> None:
        """Set in which assets fees and funding are paid while the wallet holds enough; None for the quote asset."""
        self._state.fee_asset, self._state.funding_asset = fees, funding

    def set_self_trade_prevention(self, mode: SelfTradePrevention | None) -> None:
        """Put the account's orders into the book, so that one may meet another; None takes them out."""
        self._state.self_trade_prevention = mode

    def is_self_trade(self, order_id: int) -> bool:
        """Return whether an order expired instead of trading with another order of the account."""
        return order_id in self._state.self_trade_ids

    # Saved state.
    def save(self) -> AccountState:
        """Return the account state for ``restore`` in a later process."""
        return save_account(self._state)

    def restore(self, saved: AccountState) -> None:
        """Restore a saved account; orders and margin are checked at the next prices."""
        restore_account(self._state, saved)

    # Queries.
    @property
    def hedge_mode(self) -> bool:
        return self._state.account.hedge_mode

    @property
    def multi_assets_mode(self) -> bool:
        return self._state.account.multi_assets_mode

    def order(self, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None) -> OrderUpdate:
        """Return an open or closed order (Query Order). Raises ``Rejected`` -2013 if there is none."""
        return self._state.orders.find(symbol, order_id, client_order_id, code=-2013).to_update()

    def created_at(self, symbol: str, order_id: int) -> int:
        """Return when an order was accepted, ms UTC. Raises -2013 if there is none."""
        return self._state.orders.find(symbol, order_id, None, code=-2013).created_at

    def open_orders(self, symbol: str | None = None) -> list[OrderUpdate]:
        symbols = self._state.orders.open_symbols if symbol is None else (symbol,)
        return _to_updates(order for each in symbols for order in self._state.orders.open_for(each))

    def all_orders(self, symbol: str) -> list[OrderUpdate]:
        """Return all orders of a symbol, oldest first."""
        return _to_updates(self._state.orders.all_for(symbol))

    def force_orders(self) -> list[OrderUpdate]:
        """Return the liquidation orders of this account, oldest first (User's Force Orders)."""
        return _to_updates(self._liquidator.orders)

    def fills(self, symbol: str) -> list[Fill]:
        """Return all fills of a symbol, oldest first."""
        return list(self._state.fills.get(symbol, ()))

    def incomes(self) -> list[Income]:
        """Return all changes of the wallets, oldest first; a wallet balance is their exact sum."""
        return list(self._state.account.incomes)

    def positions(self) -> list[PositionReport]:
        """Return the positions of all symbols and position sides, flat ones included (Position Information)."""
        position_sides = self._state.account.position_sides
        return [
            equity.position_report(self._state, symbol, position_side)
            for symbol in self._state.instruments
            for position_side in position_sides
        ]

    def account(self, asset: str = "USDT") -> AccountSummary:
        """Return account totals in a quote asset; in multi-assets mode over all dollar assets."""
        return equity.summarize(self._state, asset)

    def asset_summary(self, asset: str) -> AccountSummary:
        """Return the part of one asset in the account totals."""
        return equity.summarize_asset(self._state, asset)

    def cross_wallet_balance(self, asset: str = "USDT") -> Decimal:
        """Return the wallet balance that backs crossed positions; in multi-assets mode the value of all assets."""
        return round_amount(equity.cross_wallet(self._state, asset))

    def order_margin(self, asset: str = "USDT") -> Decimal:
        """Return the initial margin of open orders, on top of that of positions, in a quote asset."""
        return round_amount(equity.all_order_margin(self._state, asset))

    def balances(self) -> tuple[Balance, ...]:
        return tuple(self._state.account.balance(asset) for asset in self._state.account.wallets)


def _to_updates(orders: Iterable[EngineOrder]) -> list[OrderUpdate]:
    return [order.to_update() for order in orders]


def _bracket_lookup(brackets: BracketSource) -> Callable[[str], Brackets]:
    if brackets is None:
        return lambda _: DEFAULT_BRACKETS
    if isinstance(brackets, Mapping):
        table = brackets
        return lambda symbol: table.get(symbol, DEFAULT_BRACKETS)
    return brackets
