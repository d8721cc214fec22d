"""Equity and margin of an account: PnL, initial and maintenance margin, order margin, available margin, reports."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import PositionSide, Side
from src.domain.margin import crossed_collateral, liquidation_price, maintenance_margin
from src.domain.numbers import ZERO
from src.domain.positions import AccountSummary, PositionReport
from src.engine.account import DOLLAR_ASSETS, EnginePosition
from src.engine.margin import round_amount
from src.engine.orders import EngineOrder
from src.engine.state import EngineState

_COLLATERAL_RATIO = Decimal("0.95")
"""Share of its value that an asset other than a dollar gives as margin; Aster documents no figure."""


@dataclass(frozen=True, slots=True)
class OrderExposure:
    """Notional that an order adds if it fills completely, in the quote asset."""

    side: Side
    position_side: PositionSide
    notional: Decimal


@dataclass(frozen=True, slots=True)
class CrossEquity:
    """Balance and margin requirement of the crossed positions that share collateral."""

    wallet: Decimal
    unrealized_pnl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal

    @property
    def balance(self) -> Decimal:
        return self.wallet + self.unrealized_pnl


def unrealized_pnl(state: EngineState, held: EnginePosition) -> Decimal:
    return held.position.unrealized_pnl(state.mark_price(held.position.symbol))


def position_value(state: EngineState, held: EnginePosition) -> Decimal:
    """Return the absolute notional of a position at the mark price."""
    position = held.position
    return abs(position.quantity) * state.mark_price(position.symbol)


def initial_margin(state: EngineState, held: EnginePosition) -> Decimal:
    return position_value(state, held) / state.account.config(held.position.symbol).leverage


def maintenance_margin_of(state: EngineState, held: EnginePosition) -> Decimal:
    return maintenance_margin(state.brackets(held.position.symbol), position_value(state, held))


def crossed_positions(state: EngineState, asset: str) -> list[EnginePosition]:
    """Return the crossed positions that share collateral with this asset."""
    pool = state.account.collateral_assets(asset)
    positions = state.account.open_positions()
    return [each for each in positions if each.asset in pool and not state.account.is_isolated(each.position.symbol)]


def collateral_rate(state: EngineState, asset: str) -> Decimal:
    """Return how much margin one unit of an asset gives: in multi-assets mode its value, less a haircut."""
    if not state.account.multi_assets_mode or asset in DOLLAR_ASSETS:
        return Decimal(1)
    return state.dollar_price(asset) * _COLLATERAL_RATIO


def cross_wallet(state: EngineState, asset: str) -> Decimal:
    """Return the wallet balance that backs the crossed positions of an asset."""
    pool = state.account.collateral_assets(asset)
    return sum((state.account.cross_wallet(each) * collateral_rate(state, each) for each in pool), ZERO)


def cross_equity(state: EngineState, asset: str) -> CrossEquity:
    positions = crossed_positions(state, asset)
    return CrossEquity(
        wallet=cross_wallet(state, asset),
        unrealized_pnl=sum((unrealized_pnl(state, each) for each in positions), ZERO),
        initial_margin=sum((initial_margin(state, each) for each in positions), ZERO),
        maintenance_margin=sum((maintenance_margin_of(state, each) for each in positions), ZERO),
    )


def order_exposure(order: EngineOrder, price: Decimal) -> OrderExposure:
    return OrderExposure(order.side, order.request.position_side, order.remaining * price)


def resting_exposures(state: EngineState, symbol: str) -> list[OrderExposure]:
    """Return the exposures of a symbol's open limit orders; reducing and untriggered orders need no margin."""
    orders = state.orders.open_for(symbol)
    return [order_exposure(each, each.price) for each in orders if each.is_resting and not each.only_reduces]


def current_and_max_exposure(
    state: EngineState, symbol: str, exposures: Iterable[OrderExposure]
) -> tuple[Decimal, Decimal]:
    """Return a symbol's current notional and the largest one it reaches if all orders of one side fill."""
    current, largest, added = ZERO, ZERO, tuple(exposures)
    mark = state.mark_price(symbol)
    for position_side in state.account.position_sides:
        value = state.account.position(symbol, position_side).quantity * mark
        outcomes = [
            abs(
                value
                + side.sign
                * sum(
                    (each.notional for each in added if (each.side, each.position_side) == (side, position_side)), ZERO
                )
            )
            for side in Side
        ]
        current += abs(value)
        largest += max(abs(value), *outcomes)
    return current, largest


def order_margin(state: EngineState, symbol: str, *further: OrderExposure) -> Decimal:
    """Return the initial margin that a symbol's open orders, and further ones, need on top of its position."""
    current, largest = current_and_max_exposure(state, symbol, [*resting_exposures(state, symbol), *further])
    return (largest - current) / state.account.config(symbol).leverage


def all_order_margin(state: EngineState, asset: str) -> Decimal:
    """Return the order margin of all symbols that share collateral with an asset."""
    pool = state.account.collateral_assets(asset)
    symbols = (each for each in state.orders.open_symbols if state.instrument(each).quote_asset in pool)
    return sum((order_margin(state, each) for each in symbols), ZERO)


def available_margin(state: EngineState, asset: str) -> Decimal:
    """Return the margin available for new orders; negative if positions already need more than the balance."""
    equity = cross_equity(state, asset)
    return equity.balance - equity.initial_margin - all_order_margin(state, asset)


def summarize(state: EngineState, asset: str) -> AccountSummary:
    """Return the totals of a quote asset and of the assets that share collateral with it."""
    pool = state.account.collateral_assets(asset)
    wallet = sum((state.account.wallets.get(each, ZERO) * collateral_rate(state, each) for each in pool), ZERO)
    return _summary(state, pool, round_amount(wallet), available_margin(state, asset))


def summarize_asset(state: EngineState, asset: str) -> AccountSummary:
    """Return the part of one asset in the totals; in the mode for several assets at most its wallet is available."""
    available = available_margin(state, asset)
    if state.account.multi_assets_mode:
        rate = collateral_rate(state, asset)
        available = min(available / rate, state.account.cross_wallet(asset)) if rate else ZERO
    return _summary(state, {asset}, state.account.wallets.get(asset, ZERO), available)


def _summary(state: EngineState, assets: Collection[str], wallet: Decimal, available: Decimal) -> AccountSummary:
    positions = [each for each in state.account.open_positions() if each.asset in assets]
    profit = round_amount(sum((unrealized_pnl(state, each) for each in positions), ZERO))
    return AccountSummary(
        wallet_balance=wallet,
        unrealized_pnl=profit,
        margin_balance=wallet + profit,
        available_balance=round_amount(max(ZERO, available)),
        initial_margin=round_amount(sum((initial_margin(state, each) for each in positions), ZERO)),
        maintenance_margin=round_amount(sum((maintenance_margin_of(state, each) for each in positions), ZERO)),
    )


def liquidation_price_of(state: EngineState, held: EnginePosition) -> Decimal:
    """Return the mark price at which the position is liquidated, all else unchanged; 0 if there is none."""
    symbol = held.position.symbol
    if state.account.is_isolated(symbol):
        legs, collateral = [held], held.isolated_margin
    else:
        crossed = crossed_positions(state, held.asset)
        legs = [each for each in crossed if each.position.symbol == symbol]
        others = [each for each in crossed if each.position.symbol != symbol]
        needs = [(unrealized_pnl(state, each), maintenance_margin_of(state, each)) for each in others]
        collateral = crossed_collateral(cross_wallet(state, held.asset), needs)
    positions = [each.position for each in legs]
    price = liquidation_price(positions, collateral, state.brackets(symbol), state.mark_price(symbol))
    return round_amount(price)


def position_report(state: EngineState, symbol: str, position_side: PositionSide) -> PositionReport:
    """Return one row of Position Information, also for a flat position."""
    config = state.account.config(symbol)
    held = state.account.find_position(symbol, position_side)
    is_open = held is not None and held.position.is_open
    position = state.account.position(symbol, position_side)
    mark = state.book(symbol).mark_price or ZERO
    return PositionReport(
        symbol=symbol,
        position_side=position_side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        unrealized_pnl=round_amount(position.unrealized_pnl(mark)),
        liquidation_price=liquidation_price_of(state, held) if held and is_open else ZERO,
        leverage=config.leverage,
        margin_type=config.margin_type,
        isolated_margin=held.isolated_margin if held else ZERO,
        updated_at=held.updated_at if held else 0,
    )
