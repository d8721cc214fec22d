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
from src.engine import equity, funding, terms
from src.engine.account import Account
from src.engine.admission import check_margin, check_position, check_request, check_trigger
from src.engine.amendment import Amendment, amend
from src.engine.costs import Costs, booked
from src.engine.execution import Executor
from src.engine.floor import EngineEvent, Floor
from src.engine.liquidation import Liquidator
from src.engine.live_orders import LiveOrder
from src.engine.margin import DEFAULT_BRACKETS, Brackets, max_leverage
from src.engine.matching import Levels, up_to
from src.engine.memory import AccountMemory, memory_of, recall

BracketSource = Mapping[str, Brackets] | Callable[[str], Brackets] | None


class Engine:
    """The account's one entry."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        costs: Costs,
        brackets: BracketSource = None,
        *,
        hedge_mode: bool = False,
    ) -> None:
        find = _finder(brackets)
        account = Account(hedge_mode, lambda symbol: max_leverage(find(symbol)))
        self._floor = Floor(dict(instruments), costs, find, account)
        self._executor = Executor(self._floor)
        self._liquidator = Liquidator(self._floor, self._executor)

    def set_instrument(self, instrument: Instrument) -> None:
        """A symbol that is new, or has new rules; open orders keep what they were accepted with."""
        self._floor.instruments[instrument.symbol] = instrument
        self._floor.book(instrument.symbol).instrument = instrument

    # The market.
    def on_quote(self, quote: Quote) -> list[EngineEvent]:
        """The best prices: fills resting orders they reach, and triggers by contract price."""
        self._floor.book(quote.symbol).show_quote(quote)
        return self._rematch(quote.symbol, quote.at)

    def on_depth(self, symbol: str, bids: Levels, asks: Levels, at: int) -> list[EngineEvent]:
        """The book, best first, in place of everything known of it."""
        self._floor.book(symbol).show_depth(bids, asks)
        return self._rematch(symbol, at)

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, at: int) -> list[EngineEvent]:
        """A public trade: the new contract price; fills resting orders it reached."""
        self._floor.book(symbol).show_trade(price)
        if not self._floor.orders.has_open(symbol):
            return []
        self._executor.match_trade(symbol, price, quantity, at)
        self._executor.fire_triggers(symbol, at)
        return self._floor.drain()

    def on_mark(self, mark: MarkPrice) -> list[EngineEvent]:
        """The mark: settles funding that was due, triggers, then liquidates what its margin no longer carries.

        Stops come first: between two marks the price passed theirs before it came to the liquidation price.
        """
        book = self._floor.book(mark.symbol)
        before, is_due = book.newest_mark, funding.is_due(book, mark)
        if is_due and before is not None:
            funding.settle(self._floor, mark.symbol, before.funding_rate, before.next_funding_at)
        book.mark = mark
        if self._floor.orders.has_open(mark.symbol):
            self._executor.fire_triggers(mark.symbol, mark.at)
        self._liquidator.watch(mark.symbol, mark.at)
        return self._floor.drain()

    def settle_funding(self, symbol: str, rate: Decimal, at: int) -> list[EngineEvent]:
        """Pay funding now; a mark that announced it for ``at`` or before does not pay it again."""
        funding.settle(self._floor, symbol, rate, at)
        self._liquidator.watch(symbol, at)
        return self._floor.drain()

    def _rematch(self, symbol: str, at: int) -> list[EngineEvent]:
        if not self._floor.orders.has_open(symbol):
            return []
        self._executor.match_book(symbol, at)
        self._executor.fire_triggers(symbol, at)
        return self._floor.drain()

    # Orders.
    def submit(self, request: OrderRequest, at: int, *, most: Decimal | None = None) -> list[EngineEvent]:
        """Place an order (New Order); the first event is its acceptance. ``Rejected`` with the documented code.

        ``most``: what it may take of the book at once, whatever stands there; for a sandbox that is to misbehave.
        """
        floor = self._floor
        check_request(floor, request)
        order = floor.orders.create(request, at)
        check_position(floor, order)
        check_trigger(floor, order)
        parts = [] if order.type.is_conditional else self._executor.plan(order)
        if most is not None:
            parts = up_to(parts, most)
        check_margin(floor, order, parts)
        floor.orders.add(order)
        floor.events.append(order.told())
        if not order.type.is_conditional:
            self._executor.enter(order, parts, at)
        return floor.drain()

    def cancel(
        self, symbol: str, at: int, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> list[EngineEvent]:
        """Cancel an open order (Cancel Order). ``Rejected`` -2011 where there is none."""
        order = self._floor.orders.find(symbol, order_id, client_order_id, code=-2011)
        if not order.is_open:
            raise Rejected(-2011, f"the order is {order.status}")
        self._executor.cancel(order, at)
        return self._floor.drain()

    def amend(
        self, symbol: str, wish: Amendment, at: int, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> list[EngineEvent]:
        """Give a resting limit order another price and quantity (Modify Order); -2013 where there is none."""
        order = self._floor.orders.find(symbol, order_id, client_order_id, code=-2013)
        amend(self._floor, self._executor, order, wish, at)
        return self._floor.drain()

    # The account.
    def deposit(self, asset: str, amount: Decimal, at: int) -> list[EngineEvent]:
        """Move money in, or out where it is negative; ``amount`` has eight digits at most (-1111)."""
        if amount != booked(amount):
            raise Rejected(-1111, f"{amount} has more than eight digits")
        if amount < 0 and -amount > equity.available(self._floor, asset):
            raise Rejected(-2018, f"{-amount} of {asset} is more than is free")
        account = self._floor.account
        account.book(asset, amount, "TRANSFER", "", at)
        reason = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._floor.events.append(account.told(reason, asset, at, balance_change=amount))
        return self._floor.drain()

    def set_position_mode(self, hedge_mode: bool) -> None:
        """-4059 where it is so already, -4067 and -4068 while orders or positions are open."""
        terms.set_position_mode(self._floor, hedge_mode)

    def set_multi_assets(self, multi_assets_mode: bool) -> None:
        """-4171 where it is so already; -4167, -4169, -4170 where it cannot change."""
        terms.set_multi_assets_mode(self._floor, multi_assets_mode)

    def set_margin_type(self, symbol: str, margin_type: MarginType, at: int) -> list[EngineEvent]:
        """-4046 where it is so already, -4047 and -4048 while orders or positions are open there."""
        terms.set_margin_type(self._floor, symbol, margin_type, at)
        return self._floor.drain()

    def set_leverage(self, symbol: str, leverage: int, at: int) -> list[EngineEvent]:
        """-4028 where the symbol has no such leverage; -2027, -2028, -4161 where a position forbids it."""
        terms.set_leverage(self._floor, symbol, leverage, at)
        return self._floor.drain()

    def change_position_margin(
        self, symbol: str, position_side: PositionSide, amount: Decimal, kind: int, at: int
    ) -> list[EngineEvent]:
        """Move margin to an isolated position (kind 1) or back (2): -4049, -4050, -4051, -4054, -4055."""
        terms.change_position_margin(self._floor, (symbol, position_side), amount, kind, at)
        return self._floor.drain()

    # What outlives it.
    def memory(self) -> AccountMemory:
        """The account, to be taken up by an engine that starts later."""
        return memory_of(self._floor)

    def recall(self, memory: AccountMemory) -> None:
        """Go on with the account of an engine before this one; the market judges it at the first prices that come."""
        recall(self._floor, memory)

    # What can be asked.
    @property
    def hedge_mode(self) -> bool:
        return self._floor.account.hedge_mode

    @property
    def multi_assets_mode(self) -> bool:
        return self._floor.account.multi_assets_mode

    def order(self, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None) -> OrderUpdate:
        """One order, open or ended (Query Order). ``Rejected`` -2013 where there is none."""
        return self._floor.orders.find(symbol, order_id, client_order_id, code=-2013).told()

    def created_at(self, symbol: str, order_id: int) -> int:
        """When an order was accepted, ms UTC; -2013 where there is none."""
        return self._floor.orders.find(symbol, order_id, None, code=-2013).created_at

    def open_orders(self, symbol: str | None = None) -> list[OrderUpdate]:
        symbols = self._floor.orders.open_symbols if symbol is None else (symbol,)
        return _told(order for each in symbols for order in self._floor.orders.open_in(each))

    def all_orders(self, symbol: str) -> list[OrderUpdate]:
        """Every order of a symbol, oldest first."""
        return _told(self._floor.orders.all_in(symbol))

    def force_orders(self) -> list[OrderUpdate]:
        """The liquidations of this account, oldest first (User's Force Orders)."""
        return _told(self._liquidator.forced)

    def fills(self, symbol: str) -> list[Fill]:
        """Every fill of a symbol, oldest first."""
        return list(self._floor.fills.get(symbol, ()))

    def incomes(self) -> list[Income]:
        """Every change of a wallet, oldest first; a wallet is their exact sum."""
        return list(self._floor.account.incomes)

    def positions(self) -> list[PositionReport]:
        """Every symbol in every slot of the position mode, flat ones too (Position Information)."""
        slots = self._floor.account.slots
        return [equity.report(self._floor, symbol, slot) for symbol in self._floor.instruments for slot in slots]

    def account(self, asset: str = "USDT") -> AccountSummary:
        """The account in totals of a quote asset; in multi-assets mode, of all dollars."""
        return equity.summarize(self._floor, asset)

    def order_margin(self, asset: str = "USDT") -> Decimal:
        """What the open orders bind on top of the positions, in a quote asset."""
        return booked(equity.all_order_margin(self._floor, asset))

    def balances(self) -> tuple[Balance, ...]:
        return tuple(self._floor.account.balance(asset) for asset in self._floor.account.wallets)


def _told(orders: Iterable[LiveOrder]) -> list[OrderUpdate]:
    return [order.told() for order in orders]


def _finder(brackets: BracketSource) -> Callable[[str], Brackets]:
    if brackets is None:
        return lambda _: DEFAULT_BRACKETS
    if isinstance(brackets, Mapping):
        table = brackets
        return lambda symbol: table.get(symbol, DEFAULT_BRACKETS)
    return brackets
