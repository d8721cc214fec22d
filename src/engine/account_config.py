"""Changes of account settings: position mode, multi-assets mode, margin type, leverage and isolated margin."""

from dataclasses import replace
from decimal import Decimal

from src.domain.enums import MarginType
from src.domain.errors import Rejected
from src.domain.events import LeverageChanged
from src.domain.margin import max_leverage, max_notional
from src.domain.numbers import ZERO
from src.domain.positions import PositionKey
from src.engine.account import EnginePosition
from src.engine.equity import available_margin, initial_margin, unrealized_pnl
from src.engine.margin import round_amount
from src.engine.state import EngineState

ADD_MARGIN = 1
REDUCE_MARGIN = 2


def set_position_mode(state: EngineState, hedge_mode: bool) -> None:
    """Set one-way or hedge mode for all symbols (Change Position Mode)."""
    if hedge_mode is state.account.hedge_mode:
        raise Rejected(-4059, "the position mode is already set")
    if state.orders.open_symbols:
        raise Rejected(-4067, "the position mode cannot change while orders are open")
    if state.account.open_positions():
        raise Rejected(-4068, "the position mode cannot change while positions are open")
    state.account.hedge_mode = hedge_mode


def set_multi_assets_mode(state: EngineState, multi_assets_mode: bool) -> None:
    """Set whether the assets of the wallet share collateral (Change Multi-Assets Mode).

    Aster documents no error codes for it; these are Binance's, from which the API derives.
    """
    if multi_assets_mode is state.account.multi_assets_mode:
        raise Rejected(-4171, "the multi-assets mode is already set")
    if any(state.account.is_isolated(symbol) for symbol in state.account.configured_symbols):
        raise Rejected(-4167, "multi-assets mode is not allowed while a symbol is isolated")
    if state.orders.open_symbols:
        raise Rejected(-4170, "the multi-assets mode cannot change while orders are open")
    state.account.multi_assets_mode = multi_assets_mode
    if any(available_margin(state, asset) < 0 for asset in {each.asset for each in state.account.open_positions()}):
        state.account.multi_assets_mode = not multi_assets_mode
        raise Rejected(-4169, "not enough margin to change the multi-assets mode")


def set_margin_type(state: EngineState, symbol: str, margin_type: MarginType, at: int) -> None:
    """Set crossed or isolated margin (Change Margin Type); the symbol must have no open order or position."""
    state.instrument(symbol)
    config = state.account.config(symbol)
    if config.margin_type is margin_type:
        raise Rejected(-4046, "the margin type is already set")
    if state.account.multi_assets_mode and margin_type is MarginType.ISOLATED:
        raise Rejected(-4168, "isolated margin is not allowed in multi-assets mode")
    if state.orders.has_open(symbol):
        raise Rejected(-4047, f"the margin type cannot change while orders of {symbol} are open")
    if any(state.account.open_positions_for(symbol)):
        raise Rejected(-4048, f"the margin type cannot change while a position of {symbol} is open")
    state.account.set_config(symbol, replace(config, margin_type=margin_type))
    asset = state.instrument(symbol).quote_asset
    state.events.append(state.account.account_update("MARGIN_TYPE_CHANGE", asset, at))


def set_leverage(state: EngineState, symbol: str, leverage: int, at: int) -> None:
    """Set the leverage (Change Initial Leverage); the current value is accepted. Reserved isolated margin stays."""
    state.instrument(symbol)
    config, brackets = state.account.config(symbol), state.brackets(symbol)
    if not 1 <= leverage <= max_leverage(brackets):
        raise Rejected(-4028, f"leverage {leverage} is not allowed for {symbol}")
    held = tuple(state.account.open_positions_for(symbol))
    if held and leverage < config.leverage and config.margin_type is MarginType.ISOLATED:
        raise Rejected(-4161, "leverage cannot be lowered while an isolated position is open")
    notional = sum((abs(each.position.quantity) for each in held), ZERO) * (state.mark_price(symbol) if held else ZERO)
    if notional > max_notional(brackets, leverage):
        raise Rejected(-2027, f"the position is too large for leverage {leverage}")
    state.account.set_config(symbol, replace(config, leverage=leverage))
    if leverage < config.leverage and available_margin(state, state.instrument(symbol).quote_asset) < 0:
        state.account.set_config(symbol, config)
        raise Rejected(-2028, f"not enough margin for leverage {leverage}")
    state.events.append(LeverageChanged(symbol, leverage, at))


def change_position_margin(state: EngineState, key: PositionKey, amount: Decimal, kind: int, at: int) -> None:
    """Add margin to an isolated position (kind 1) or remove it (2): Modify Isolated Position Margin."""
    state.instrument(key[0])
    if not state.account.is_isolated(key[0]):
        raise Rejected(-4049, f"{key[0]} is not isolated")
    held = state.account.find_position(*key)
    if held is None or not held.position.is_open:
        raise Rejected(-4054, "there is no open position to change the margin of")
    if amount <= 0 or amount != round_amount(amount):
        raise Rejected(-4055, "the amount must be positive, with at most eight decimal places")
    held.isolated_margin += _margin_change(state, held, amount, kind)
    state.events.append(state.account.account_update("MARGIN_TRANSFER", held.asset, at, held))


def _margin_change(state: EngineState, held: EnginePosition, amount: Decimal, kind: int) -> Decimal:
    if kind == ADD_MARGIN:
        if amount > available_margin(state, held.asset):
            raise Rejected(-4050, f"{amount} exceeds the available margin")
        return amount
    if kind != REDUCE_MARGIN:
        raise Rejected(-1130, f"unknown kind of margin change {kind}")
    removable = held.isolated_margin + min(unrealized_pnl(state, held), ZERO) - initial_margin(state, held)
    if amount > removable:
        raise Rejected(-4051, f"{amount} exceeds the removable margin of the position")
    return -amount
