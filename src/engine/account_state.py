"""Saving and restoring an account across restarts, without its order and trade history and without the market."""

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
    """An immutable copy of an account, saved by paper trading.

    The field names are keys of the saved JSON: renaming one makes saved accounts unreadable.
    """

    hedge_mode: bool
    multi_assets_mode: bool
    wallets: Mapping[str, Decimal]
    terms: Mapping[str, SymbolConfig]
    """Leverage and margin type of the symbols that were configured."""
    holdings: tuple[EnginePosition, ...]
    """Open positions."""
    orders: tuple[EngineOrder, ...]
    """Open orders, oldest first."""
    marks: tuple[MarkPrice, ...]
    """Last mark prices of the symbols with open positions or orders, used until new ones arrive."""
    last_order_id: int
    last_trade_id: int
    last_income_id: int


def save_account(state: EngineState) -> AccountState:
    """Copy the current account."""
    account, orders = state.account, state.orders
    positions = account.open_positions()
    symbols = dict.fromkeys([*(each.position.symbol for each in positions), *orders.open_symbols])
    marks = (state.book(symbol).latest_mark for symbol in symbols)
    return AccountState(
        hedge_mode=account.hedge_mode,
        multi_assets_mode=account.multi_assets_mode,
        wallets=dict(account.wallets),
        terms={symbol: account.config(symbol) for symbol in account.configured_symbols},
        holdings=tuple(replace(each) for each in positions),
        orders=tuple(replace(order) for symbol in orders.open_symbols for order in orders.open_for(symbol)),
        marks=tuple(mark for mark in marks if mark is not None),
        last_order_id=orders.last_id,
        last_trade_id=orders.last_trade_id,
        last_income_id=account.last_income_id,
    )


def restore_account(state: EngineState, saved: AccountState) -> None:
    """Restore a saved account into a new engine. Positions and orders of delisted symbols are dropped."""
    account, orders = state.account, state.orders
    if account.wallets or orders.last_id:
        raise InvariantError("an account can be restored only into a new engine")
    account.hedge_mode, account.multi_assets_mode = saved.hedge_mode, saved.multi_assets_mode
    account.wallets |= saved.wallets
    account.last_income_id = saved.last_income_id
    for symbol, config in saved.terms.items():
        account.set_config(symbol, config)
    for held in saved.holdings:
        if held.position.symbol in state.instruments:
            account.restore(replace(held))
    for order in saved.orders:
        if order.symbol in state.instruments:
            orders.add(replace(order))
    for mark in saved.marks:
        if mark.symbol in state.instruments:
            state.book(mark.symbol).restored_mark = mark
    orders.last_id, orders.last_trade_id = saved.last_order_id, saved.last_trade_id
