"""What an account is, so that the engine of a later process goes on with it: all but its history and the market."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.errors import InvariantError
from src.domain.market import MarkPrice
from src.engine.account import EnginePosition, SymbolConfig
from src.engine.orders import EngineOrder
from src.engine.state import EngineState


@dataclass(frozen=True, slots=True)
class AccountState:
    """A copy: nothing in it moves with the engine it was taken from."""

    hedge_mode: bool
    multi_assets_mode: bool
    wallets: Mapping[str, Decimal]
    terms: Mapping[str, SymbolConfig]
    holdings: tuple[EnginePosition, ...]
    """What is open."""
    orders: tuple[EngineOrder, ...]
    """What is open, the oldest first."""
    marks: tuple[MarkPrice, ...]
    """The last ones of the symbols of both: what they are worth until the market is heard of again."""
    last_order_id: int
    last_trade_id: int
    last_income_id: int


def save_account(state: EngineState) -> AccountState:
    """The account as it stands."""
    account, orders = state.account, state.orders
    holdings = account.open_positions()
    symbols = dict.fromkeys([*(each.position.symbol for each in holdings), *orders.open_symbols])
    marks = (state.book(symbol).latest_mark for symbol in symbols)
    return AccountState(
        hedge_mode=account.hedge_mode,
        multi_assets_mode=account.multi_assets_mode,
        wallets=dict(account.wallets),
        terms={symbol: account.config(symbol) for symbol in account.configured_symbols},
        holdings=tuple(replace(holding) for holding in holdings),
        orders=tuple(replace(order) for symbol in orders.open_symbols for order in orders.open_for(symbol)),
        marks=tuple(mark for mark in marks if mark is not None),
        last_order_id=orders.last_id,
        last_trade_id=orders.last_trade_id,
        last_income_id=account.last_income_id,
    )


def restore_account(state: EngineState, saved: AccountState) -> None:
    """Take it up on a floor where nothing has happened. What the exchange lists no more is gone."""
    account, orders = state.account, state.orders
    if account.wallets or orders.last_id:
        raise InvariantError("an account that has begun cannot become another one")
    account.hedge_mode, account.multi_assets_mode = saved.hedge_mode, saved.multi_assets_mode
    account.wallets |= saved.wallets
    account.last_income_id = saved.last_income_id
    for symbol, config in saved.terms.items():
        account.set_config(symbol, config)
    for holding in saved.holdings:
        if holding.position.symbol in state.instruments:
            account.restore(replace(holding))
    for order in saved.orders:
        if order.symbol in state.instruments:
            orders.add(replace(order))
    for mark in saved.marks:
        if mark.symbol in state.instruments:
            state.book(mark.symbol).restored_mark = mark
    orders.last_id, orders.last_trade_id = saved.last_order_id, saved.last_trade_id
