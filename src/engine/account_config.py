"""Changing how an account trades: modes, margin types, leverage and isolated margin."""

from dataclasses import replace
from decimal import Decimal

from src.domain.enums import MarginType
from src.domain.errors import Rejected
from src.domain.events import LeverageChanged
from src.domain.positions import PositionKey
from src.engine.account import EnginePosition
from src.engine.equity import available_margin, initial_margin, unrealized_pnl
from src.engine.margin import max_leverage, max_notional, round_amount
from src.engine.state import EngineState

ZERO = Decimal(0)
ADD_MARGIN = 1
REDUCE_MARGIN = 2


def set_position_mode(state: EngineState, hedge_mode: bool) -> None:
    """One-way or hedge mode for every symbol (Change Position Mode)."""
    if hedge_mode is state.account.hedge_mode:
        raise Rejected(-4059, "the position mode is already so")
    if state.orders.open_symbols:
        raise Rejected(-4067, "the position mode cannot change while orders are open")
    if state.account.open_positions():
        raise Rejected(-4068, "the position mode cannot change while positions are open")
    state.account.hedge_mode = hedge_mode


def set_multi_assets_mode(state: EngineState, multi_assets_mode: bool) -> None:
    """Whether the assets of the wallet back one another (Change Multi-Assets Mode).

    The document names no codes for it; these are those of the exchange it was taken over from.
    """
    if multi_assets_mode is state.account.multi_assets_mode:
        raise Rejected(-4171, "the multi-assets mode is already so")
    if any(state.account.is_isolated(symbol) for symbol in state.account.configured_symbols):
        raise Rejected(-4167, "multi-assets mode does not go with isolated symbols")
    if state.orders.open_symbols:
        raise Rejected(-4170, "the multi-assets mode cannot change while orders are open")
    state.account.multi_assets_mode = multi_assets_mode
    if any(available_margin(state, asset) < 0 for asset in {each.asset for each in state.account.open_positions()}):
        state.account.multi_assets_mode = not multi_assets_mode
        raise Rejected(-4169, "the margin does not allow to change the multi-assets mode")


def set_margin_type(state: EngineState, symbol: str, margin_type: MarginType, at: int) -> None:
    """Crossed or isolated (Change Margin Type); only while nothing is open there."""
    state.instrument(symbol)
    config = state.account.config(symbol)
    if config.margin_type is margin_type:
        raise Rejected(-4046, "the margin type is already so")
    if state.account.multi_assets_mode and margin_type is MarginType.ISOLATED:
        raise Rejected(-4168, "isolated margin does not go with multi-assets mode")
    if state.orders.has_open(symbol):
        raise Rejected(-4047, f"the margin type cannot change while orders of {symbol} are open")
    if any(state.account.open_positions_for(symbol)):
        raise Rejected(-4048, f"the margin type cannot change while a position of {symbol} is open")
    state.account.set_config(symbol, replace(config, margin_type=margin_type))
    asset = state.instrument(symbol).quote_asset
    state.events.append(state.account.account_update("MARGIN_TYPE_CHANGE", asset, at))


def set_leverage(state: EngineState, symbol: str, leverage: int, at: int) -> None:
    """Change Initial Leverage; the same one again is no error. Isolated margin once set aside stays as it is."""
    state.instrument(symbol)
    config, brackets = state.account.config(symbol), state.brackets(symbol)
    if not 1 <= leverage <= max_leverage(brackets):
        raise Rejected(-4028, f"leverage {leverage} is not possible for {symbol}")
    held = tuple(state.account.open_positions_for(symbol))
    if held and leverage < config.leverage and config.margin_type is MarginType.ISOLATED:
        raise Rejected(-4161, "leverage cannot be lowered while an isolated position is open")
    notional = sum((abs(each.position.quantity) for each in held), ZERO) * (state.mark_price(symbol) if held else ZERO)
    if notional > max_notional(brackets, leverage):
        raise Rejected(-2027, f"the position is too large for leverage {leverage}")
    state.account.set_config(symbol, replace(config, leverage=leverage))
    if leverage < config.leverage and available_margin(state, state.instrument(symbol).quote_asset) < 0:
        state.account.set_config(symbol, config)
        raise Rejected(-2028, f"the margin does not carry leverage {leverage}")
    state.events.append(LeverageChanged(symbol, leverage, at))


def change_position_margin(state: EngineState, key: PositionKey, amount: Decimal, kind: int, at: int) -> None:
    """Move margin to an isolated position (1) or back (2): Modify Isolated Position Margin."""
    state.instrument(key[0])
    if not state.account.is_isolated(key[0]):
        raise Rejected(-4049, f"{key[0]} is not isolated")
    holding = state.account.find_position(*key)
    if holding is None or not holding.position.is_open:
        raise Rejected(-4054, "there is no position to move margin to")
    if amount <= 0 or amount != round_amount(amount):
        raise Rejected(-4055, "the amount must be positive, with eight digits at most")
    holding.isolated_margin += _margin_change(state, holding, amount, kind)
    state.events.append(state.account.account_update("MARGIN_TRANSFER", holding.asset, at, holding))


def _margin_change(state: EngineState, holding: EnginePosition, amount: Decimal, kind: int) -> Decimal:
    if kind == ADD_MARGIN:
        if amount > available_margin(state, holding.asset):
            raise Rejected(-4050, f"{amount} is more than is free")
        return amount
    if kind != REDUCE_MARGIN:
        raise Rejected(-1130, f"there is no kind {kind} of margin change")
    removable = holding.isolated_margin + min(unrealized_pnl(state, holding), ZERO) - initial_margin(state, holding)
    if amount > removable:
        raise Rejected(-4051, f"{amount} is more than the position can spare")
    return -amount
