"""Changing how an account trades: modes, margin types, leverage and isolated margin."""

from dataclasses import replace
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import Rejected
from src.domain.messages import LeverageChanged
from src.engine.account import Holding
from src.engine.costs import booked
from src.engine.equity import available, initial_margin, unrealized_pnl
from src.engine.floor import Floor
from src.engine.margin import max_leverage, max_notional

ZERO = Decimal(0)
ADD_MARGIN = 1
REDUCE_MARGIN = 2


def set_position_mode(floor: Floor, hedge_mode: bool) -> None:
    """One-way or hedge mode for every symbol (Change Position Mode)."""
    if hedge_mode is floor.account.hedge_mode:
        raise Rejected(-4059, "the position mode is already so")
    if floor.orders.open_symbols:
        raise Rejected(-4067, "the position mode cannot change while orders are open")
    if floor.account.open_holdings():
        raise Rejected(-4068, "the position mode cannot change while positions are open")
    floor.account.hedge_mode = hedge_mode


def set_multi_assets_mode(floor: Floor, multi_assets_mode: bool) -> None:
    """Whether the assets of the wallet back one another (Change Multi-Assets Mode).

    The document names no codes for it; these are those of the exchange it was taken over from.
    """
    if multi_assets_mode is floor.account.multi_assets_mode:
        raise Rejected(-4171, "the multi-assets mode is already so")
    if any(floor.account.is_isolated(symbol) for symbol in floor.account.named_symbols):
        raise Rejected(-4167, "multi-assets mode does not go with isolated symbols")
    if floor.orders.open_symbols:
        raise Rejected(-4170, "the multi-assets mode cannot change while orders are open")
    floor.account.multi_assets_mode = multi_assets_mode
    if any(available(floor, asset) < 0 for asset in {each.asset for each in floor.account.open_holdings()}):
        floor.account.multi_assets_mode = not multi_assets_mode
        raise Rejected(-4169, "the margin does not allow to change the multi-assets mode")


def set_margin_type(floor: Floor, symbol: str, margin_type: MarginType, at: int) -> None:
    """Crossed or isolated (Change Margin Type); only while nothing is open there."""
    floor.instrument(symbol)
    terms = floor.account.terms(symbol)
    if terms.margin_type is margin_type:
        raise Rejected(-4046, "the margin type is already so")
    if floor.account.multi_assets_mode and margin_type is MarginType.ISOLATED:
        raise Rejected(-4168, "isolated margin does not go with multi-assets mode")
    if floor.orders.has_open(symbol):
        raise Rejected(-4047, f"the margin type cannot change while orders of {symbol} are open")
    if any(floor.account.holdings_in(symbol)):
        raise Rejected(-4048, f"the margin type cannot change while a position of {symbol} is open")
    floor.account.set_terms(symbol, replace(terms, margin_type=margin_type))
    asset = floor.instrument(symbol).quote_asset
    floor.events.append(floor.account.told("MARGIN_TYPE_CHANGE", asset, at))


def set_leverage(floor: Floor, symbol: str, leverage: int, at: int) -> None:
    """Change Initial Leverage; the same one again is no error. Isolated margin once set aside stays as it is."""
    floor.instrument(symbol)
    terms, brackets = floor.account.terms(symbol), floor.brackets(symbol)
    if not 1 <= leverage <= max_leverage(brackets):
        raise Rejected(-4028, f"leverage {leverage} is not possible for {symbol}")
    held = tuple(floor.account.holdings_in(symbol))
    if held and leverage < terms.leverage and terms.margin_type is MarginType.ISOLATED:
        raise Rejected(-4161, "leverage cannot be lowered while an isolated position is open")
    worth = sum((abs(each.position.quantity) for each in held), ZERO) * (floor.mark_price(symbol) if held else ZERO)
    if worth > max_notional(brackets, leverage):
        raise Rejected(-2027, f"the position is too large for leverage {leverage}")
    floor.account.set_terms(symbol, replace(terms, leverage=leverage))
    if leverage < terms.leverage and available(floor, floor.instrument(symbol).quote_asset) < 0:
        floor.account.set_terms(symbol, terms)
        raise Rejected(-2028, f"the margin does not carry leverage {leverage}")
    floor.events.append(LeverageChanged(symbol, leverage, at))


def change_position_margin(floor: Floor, slot: tuple[str, PositionSide], amount: Decimal, kind: int, at: int) -> None:
    """Move margin to an isolated position (1) or back (2): Modify Isolated Position Margin."""
    floor.instrument(slot[0])
    if not floor.account.is_isolated(slot[0]):
        raise Rejected(-4049, f"{slot[0]} is not isolated")
    holding = floor.account.holding(*slot)
    if holding is None or not holding.position.is_open:
        raise Rejected(-4054, "there is no position to move margin to")
    if amount <= 0 or amount != booked(amount):
        raise Rejected(-4055, "the amount must be positive, with eight digits at most")
    holding.isolated_margin += _movable(floor, holding, amount, kind)
    floor.events.append(floor.account.told("MARGIN_TRANSFER", holding.asset, at, holding))


def _movable(floor: Floor, holding: Holding, amount: Decimal, kind: int) -> Decimal:
    if kind == ADD_MARGIN:
        if amount > available(floor, holding.asset):
            raise Rejected(-4050, f"{amount} is more than is free")
        return amount
    if kind != REDUCE_MARGIN:
        raise Rejected(-1130, f"there is no kind {kind} of margin change")
    spare = holding.isolated_margin + min(unrealized_pnl(floor, holding), ZERO) - initial_margin(floor, holding)
    if amount > spare:
        raise Rejected(-4051, f"{amount} is more than the position can spare")
    return -amount
