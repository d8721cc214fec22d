"""What an account is worth, what its positions and orders bind, and what is left: read off the floor."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import PositionSide, Side
from src.domain.positions import AccountSummary, PositionReport
from src.engine.account import EnginePosition
from src.engine.margin import liquidation_price, maintenance_margin, round_amount
from src.engine.orders import EngineOrder
from src.engine.state import EngineState

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderExposure:
    """Exposure an order would add if it filled whole, in the quote asset."""

    side: Side
    position_side: PositionSide
    notional: Decimal


@dataclass(frozen=True, slots=True)
class CrossEquity:
    """What backs the crossed positions of a pool of assets, and what they need."""

    wallet: Decimal
    unrealized_pnl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal

    @property
    def balance(self) -> Decimal:
        return self.wallet + self.unrealized_pnl


def unrealized_pnl(state: EngineState, holding: EnginePosition) -> Decimal:
    return holding.position.unrealized_pnl(state.mark_price(holding.position.symbol))


def position_value(state: EngineState, holding: EnginePosition) -> Decimal:
    """The position at its mark, unsigned."""
    position = holding.position
    return abs(position.quantity) * state.mark_price(position.symbol)


def initial_margin(state: EngineState, holding: EnginePosition) -> Decimal:
    return position_value(state, holding) / state.account.config(holding.position.symbol).leverage


def maintenance_margin_of(state: EngineState, holding: EnginePosition) -> Decimal:
    return maintenance_margin(state.brackets(holding.position.symbol), position_value(state, holding))


def crossed_positions(state: EngineState, asset: str) -> list[EnginePosition]:
    """The crossed positions that stand on the same pool as this asset."""
    pool = state.account.collateral_assets(asset)
    held = state.account.open_positions()
    return [each for each in held if each.asset in pool and not state.account.is_isolated(each.position.symbol)]


def cross_equity(state: EngineState, asset: str) -> CrossEquity:
    held = crossed_positions(state, asset)
    return CrossEquity(
        wallet=sum((state.account.cross_wallet(each) for each in state.account.collateral_assets(asset)), ZERO),
        unrealized_pnl=sum((unrealized_pnl(state, each) for each in held), ZERO),
        initial_margin=sum((initial_margin(state, each) for each in held), ZERO),
        maintenance_margin=sum((maintenance_margin_of(state, each) for each in held), ZERO),
    )


def order_exposure(order: EngineOrder, price: Decimal) -> OrderExposure:
    return OrderExposure(order.side, order.request.position_side, order.remaining * price)


def resting_exposures(state: EngineState, symbol: str) -> list[OrderExposure]:
    """What the symbol's resting orders could add; reducing and untriggered ones bind nothing."""
    orders = state.orders.open_for(symbol)
    return [order_exposure(each, each.price) for each in orders if each.is_resting and not each.only_reduces]


def current_and_max_exposure(
    state: EngineState, symbol: str, exposures: Iterable[OrderExposure]
) -> tuple[Decimal, Decimal]:
    """What is held in a symbol, and what it could grow to if the dearer side of the demands filled."""
    held, largest, added = ZERO, ZERO, tuple(exposures)
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
        held += abs(value)
        largest += max(abs(value), *outcomes)
    return held, largest


def order_margin(state: EngineState, symbol: str, *further: OrderExposure) -> Decimal:
    """What the resting orders of a symbol, and one more, bind on top of its position."""
    held, largest = current_and_max_exposure(state, symbol, [*resting_exposures(state, symbol), *further])
    return (largest - held) / state.account.config(symbol).leverage


def all_order_margin(state: EngineState, asset: str) -> Decimal:
    """The same over all symbols that are settled in the pool of an asset."""
    pool = state.account.collateral_assets(asset)
    symbols = (each for each in state.orders.open_symbols if state.instrument(each).quote_asset in pool)
    return sum((order_margin(state, each) for each in symbols), ZERO)


def available_margin(state: EngineState, asset: str) -> Decimal:
    """What new orders may bind; negative where positions already need more than there is."""
    equity = cross_equity(state, asset)
    return equity.balance - equity.initial_margin - all_order_margin(state, asset)


def summarize(state: EngineState, asset: str) -> AccountSummary:
    """The totals of a quote asset, or of all that back one another with it."""
    pool = state.account.collateral_assets(asset)
    held = [each for each in state.account.open_positions() if each.asset in pool]
    wallet = sum((state.account.wallets.get(each, ZERO) for each in pool), ZERO)
    profit = round_amount(sum((unrealized_pnl(state, each) for each in held), ZERO))
    return AccountSummary(
        wallet_balance=wallet,
        unrealized_pnl=profit,
        margin_balance=wallet + profit,
        available_balance=round_amount(max(ZERO, available_margin(state, asset))),
        initial_margin=round_amount(sum((initial_margin(state, each) for each in held), ZERO)),
        maintenance_margin=round_amount(sum((maintenance_margin_of(state, each) for each in held), ZERO)),
    )


def liquidation_price_of(state: EngineState, holding: EnginePosition) -> Decimal:
    """Where the position would be taken away, everything else staying as it is; 0 where nowhere."""
    symbol = holding.position.symbol
    if state.account.is_isolated(symbol):
        legs, collateral = [holding], holding.isolated_margin
    else:
        held = crossed_positions(state, holding.asset)
        legs = [each for each in held if each.position.symbol == symbol]
        others = [each for each in held if each.position.symbol != symbol]
        collateral = cross_equity(state, holding.asset).wallet
        collateral += sum((unrealized_pnl(state, each) - maintenance_margin_of(state, each) for each in others), ZERO)
    positions = [each.position for each in legs]
    return liquidation_price(positions, collateral, state.brackets(symbol), state.mark_price(symbol))


def position_report(state: EngineState, symbol: str, position_side: PositionSide) -> PositionReport:
    """One row of Position Information; a flat slot has one too."""
    config = state.account.config(symbol)
    holding = state.account.find_position(symbol, position_side)
    is_open = holding is not None and holding.position.is_open
    position = state.account.position(symbol, position_side)
    mark = state.book(symbol).mark_price or ZERO
    return PositionReport(
        symbol=symbol,
        position_side=position_side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        unrealized_pnl=round_amount(position.unrealized_pnl(mark)),
        liquidation_price=liquidation_price_of(state, holding) if holding and is_open else ZERO,
        leverage=config.leverage,
        margin_type=config.margin_type,
        isolated_margin=holding.isolated_margin if holding else ZERO,
        updated_at=holding.updated_at if holding else 0,
    )
