"""What an account is, so that the engine of a later process goes on with it: all but its history and the market."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.errors import InvariantError
from src.domain.market import MarkPrice
from src.engine.account import Holding, Terms
from src.engine.floor import Floor
from src.engine.live_orders import LiveOrder


@dataclass(frozen=True, slots=True)
class AccountMemory:
    """A copy: nothing in it moves with the engine it was taken from."""

    hedge_mode: bool
    multi_assets_mode: bool
    wallets: Mapping[str, Decimal]
    terms: Mapping[str, Terms]
    holdings: tuple[Holding, ...]
    """What is open."""
    orders: tuple[LiveOrder, ...]
    """What is open, the oldest first."""
    marks: tuple[MarkPrice, ...]
    """The last ones of the symbols of both: what they are worth until the market is heard of again."""
    last_order_id: int
    last_trade_id: int
    last_income_id: int


def memory_of(floor: Floor) -> AccountMemory:
    """The account as it stands."""
    account, orders = floor.account, floor.orders
    holdings = account.open_holdings()
    symbols = dict.fromkeys([*(each.position.symbol for each in holdings), *orders.open_symbols])
    marks = (floor.book(symbol).newest_mark for symbol in symbols)
    return AccountMemory(
        hedge_mode=account.hedge_mode,
        multi_assets_mode=account.multi_assets_mode,
        wallets=dict(account.wallets),
        terms={symbol: account.terms(symbol) for symbol in account.named_symbols},
        holdings=tuple(replace(holding) for holding in holdings),
        orders=tuple(replace(order) for symbol in orders.open_symbols for order in orders.open_in(symbol)),
        marks=tuple(mark for mark in marks if mark is not None),
        last_order_id=orders.last_id,
        last_trade_id=orders.last_trade_id,
        last_income_id=account.last_income_id,
    )


def recall(floor: Floor, memory: AccountMemory) -> None:
    """Take it up on a floor where nothing has happened. What the exchange lists no more is gone."""
    account, orders = floor.account, floor.orders
    if account.wallets or orders.last_id:
        raise InvariantError("an account that has begun cannot become another one")
    account.hedge_mode, account.multi_assets_mode = memory.hedge_mode, memory.multi_assets_mode
    account.wallets |= memory.wallets
    account.last_income_id = memory.last_income_id
    for symbol, terms in memory.terms.items():
        account.set_terms(symbol, terms)
    for holding in memory.holdings:
        if holding.position.symbol in floor.instruments:
            account.take_up(replace(holding))
    for order in memory.orders:
        if order.symbol in floor.instruments:
            orders.add(replace(order))
    for mark in memory.marks:
        if mark.symbol in floor.instruments:
            floor.book(mark.symbol).remembered = mark
    orders.last_id, orders.last_trade_id = memory.last_order_id, memory.last_trade_id
