"""One account on one exchange: market and wishes go in, what follows from them comes out.

It has no clock: every call names its instant ``at`` (ms UTC), which may not run backwards. A call that raises
``Rejected`` has changed nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import Rejected
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.engine import account_config, equity, liquidation
from src.engine.account import Account
from src.engine.account_state import AccountState, restore_account, save_account
from src.engine.execution import Executor
from src.engine.liquidation import Liquidator
from src.engine.margin import DEFAULT_BRACKETS, Brackets, Fees, max_leverage, round_amount
from src.engine.matching import Levels, limit_quantity
from src.engine.modify import Modification, modify
from src.engine.order_checks import check_margin, check_position, check_request, check_trigger
from src.engine.orders import EngineOrder
from src.engine.state import EngineEvent, EngineState

BracketSource = Mapping[str, Brackets] | Callable[[str], Brackets] | None


class Engine:
    """The account's one entry."""

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
        """A symbol that is new, or has new rules; open orders keep what they were accepted with."""
        self._state.instruments[instrument.symbol] = instrument
        self._state.book(instrument.symbol).instrument = instrument

    # The market.
    def on_quote(self, quote: Quote) -> list[EngineEvent]:
        """The best prices: fills resting orders they reach, and triggers by contract price."""
        self._state.book(quote.symbol).update_quote(quote)
        return self._rematch(quote.symbol, quote.at)

    def on_depth(self, symbol: str, bids: Levels, asks: Levels, at: int) -> list[EngineEvent]:
        """The book, best first, in place of everything known of it."""
        self._state.book(symbol).update_depth(bids, asks)
        return self._rematch(symbol, at)

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, at: int) -> list[EngineEvent]:
        """A public trade: the new contract price; fills resting orders it reached."""
        self._state.book(symbol).update_trade(price)
        if not self._state.orders.has_open(symbol):
            return []
        self._executor.match_trade(symbol, price, quantity, at)
        self._executor.trigger_orders(symbol, at)
        return self._state.take_events()

    def on_mark(self, mark: MarkPrice) -> list[EngineEvent]:
        """The mark: settles funding that was due, triggers, then liquidates what its margin no longer carries.

        Stops come first: between two marks the price passed theirs before it came to the liquidation price.
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
        """Pay funding now; a mark that announced it for ``at`` or before does not pay it again."""
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
        """Place an order (New Order); the first event is its acceptance. ``Rejected`` with the documented code.

        ``max_fill``: what it may take of the book at once, whatever stands there; for a sandbox that is to misbehave.
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
        """Cancel an open order (Cancel Order). ``Rejected`` -2011 where there is none."""
        order = self._state.orders.find(symbol, order_id, client_order_id, code=-2011)
        if not order.is_open:
            raise Rejected(-2011, f"the order is {order.status}")
        self._executor.cancel(order, at)
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
        """Give a resting limit order another price and quantity (Modify Order); -2013 where there is none."""
        order = self._state.orders.find(symbol, order_id, client_order_id, code=-2013)
        modify(self._state, self._executor, order, modification, at)
        return self._state.take_events()

    # The account.
    def deposit(self, asset: str, amount: Decimal, at: int) -> list[EngineEvent]:
        """Move money in, or out where it is negative; ``amount`` has eight digits at most (-1111)."""
        if amount != round_amount(amount):
            raise Rejected(-1111, f"{amount} has more than eight digits")
        if amount < 0 and -amount > equity.available_margin(self._state, asset):
            raise Rejected(-2018, f"{-amount} of {asset} is more than is free")
        account = self._state.account
        account.record_income(asset, amount, "TRANSFER", "", at)
        reason = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._state.events.append(account.account_update(reason, asset, at, balance_change=amount))
        return self._state.take_events()

    def set_position_mode(self, hedge_mode: bool) -> None:
        """-4059 where it is so already, -4067 and -4068 while orders or positions are open."""
        account_config.set_position_mode(self._state, hedge_mode)

    def set_multi_assets(self, multi_assets_mode: bool) -> None:
        """-4171 where it is so already; -4167, -4169, -4170 where it cannot change."""
        account_config.set_multi_assets_mode(self._state, multi_assets_mode)

    def set_margin_type(self, symbol: str, margin_type: MarginType, at: int) -> list[EngineEvent]:
        """-4046 where it is so already, -4047 and -4048 while orders or positions are open there."""
        account_config.set_margin_type(self._state, symbol, margin_type, at)
        return self._state.take_events()

    def set_leverage(self, symbol: str, leverage: int, at: int) -> list[EngineEvent]:
        """-4028 where the symbol has no such leverage; -2027, -2028, -4161 where a position forbids it."""
        account_config.set_leverage(self._state, symbol, leverage, at)
        return self._state.take_events()

    def change_position_margin(
        self, symbol: str, position_side: PositionSide, amount: Decimal, kind: int, at: int
    ) -> list[EngineEvent]:
        """Move margin to an isolated position (kind 1) or back (2): -4049, -4050, -4051, -4054, -4055."""
        account_config.change_position_margin(self._state, (symbol, position_side), amount, kind, at)
        return self._state.take_events()

    # What outlives it.
    def save(self) -> AccountState:
        """The account, to be taken up by an engine that starts later."""
        return save_account(self._state)

    def restore(self, saved: AccountState) -> None:
        """Go on with the account of an engine before this one; the market judges it at the first prices that come."""
        restore_account(self._state, saved)

    # What can be asked.
    @property
    def hedge_mode(self) -> bool:
        return self._state.account.hedge_mode

    @property
    def multi_assets_mode(self) -> bool:
        return self._state.account.multi_assets_mode

    def order(self, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None) -> OrderUpdate:
        """One order, open or ended (Query Order). ``Rejected`` -2013 where there is none."""
        return self._state.orders.find(symbol, order_id, client_order_id, code=-2013).to_update()

    def created_at(self, symbol: str, order_id: int) -> int:
        """When an order was accepted, ms UTC; -2013 where there is none."""
        return self._state.orders.find(symbol, order_id, None, code=-2013).created_at

    def open_orders(self, symbol: str | None = None) -> list[OrderUpdate]:
        symbols = self._state.orders.open_symbols if symbol is None else (symbol,)
        return _to_updates(order for each in symbols for order in self._state.orders.open_for(each))

    def all_orders(self, symbol: str) -> list[OrderUpdate]:
        """Every order of a symbol, oldest first."""
        return _to_updates(self._state.orders.all_for(symbol))

    def force_orders(self) -> list[OrderUpdate]:
        """The liquidations of this account, oldest first (User's Force Orders)."""
        return _to_updates(self._liquidator.orders)

    def fills(self, symbol: str) -> list[Fill]:
        """Every fill of a symbol, oldest first."""
        return list(self._state.fills.get(symbol, ()))

    def incomes(self) -> list[Income]:
        """Every change of a wallet, oldest first; a wallet is their exact sum."""
        return list(self._state.account.incomes)

    def positions(self) -> list[PositionReport]:
        """Every symbol in every slot of the position mode, flat ones too (Position Information)."""
        position_sides = self._state.account.position_sides
        return [
            equity.position_report(self._state, symbol, position_side)
            for symbol in self._state.instruments
            for position_side in position_sides
        ]

    def account(self, asset: str = "USDT") -> AccountSummary:
        """The account in totals of a quote asset; in multi-assets mode, of all dollars."""
        return equity.summarize(self._state, asset)

    def order_margin(self, asset: str = "USDT") -> Decimal:
        """What the open orders bind on top of the positions, in a quote asset."""
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
