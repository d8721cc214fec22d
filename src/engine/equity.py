"""What an account is worth, what its positions and orders bind, and what is left: read off the floor."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import PositionSide, Side
from src.domain.positions import AccountSummary, PositionReport
from src.engine.account import Holding
from src.engine.costs import booked
from src.engine.floor import Floor
from src.engine.live_orders import LiveOrder
from src.engine.margin import liquidation_price, maintenance_margin

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Demand:
    """Exposure an order would add if it filled whole, in the quote asset."""

    side: Side
    position_side: PositionSide
    value: Decimal


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


def unrealized_pnl(floor: Floor, holding: Holding) -> Decimal:
    return holding.position.unrealized_pnl(floor.mark_price(holding.position.symbol))


def value(floor: Floor, holding: Holding) -> Decimal:
    """The position at its mark, unsigned."""
    position = holding.position
    return abs(position.quantity) * floor.mark_price(position.symbol)


def initial_margin(floor: Floor, holding: Holding) -> Decimal:
    return value(floor, holding) / floor.account.terms(holding.position.symbol).leverage


def maintenance(floor: Floor, holding: Holding) -> Decimal:
    return maintenance_margin(floor.brackets(holding.position.symbol), value(floor, holding))


def crossed_holdings(floor: Floor, asset: str) -> list[Holding]:
    """The crossed positions that stand on the same pool as this asset."""
    pool = floor.account.pool(asset)
    held = floor.account.open_holdings()
    return [each for each in held if each.asset in pool and not floor.account.is_isolated(each.position.symbol)]


def cross_equity(floor: Floor, asset: str) -> CrossEquity:
    held = crossed_holdings(floor, asset)
    return CrossEquity(
        wallet=sum((floor.account.cross_wallet(each) for each in floor.account.pool(asset)), ZERO),
        unrealized_pnl=sum((unrealized_pnl(floor, each) for each in held), ZERO),
        initial_margin=sum((initial_margin(floor, each) for each in held), ZERO),
        maintenance_margin=sum((maintenance(floor, each) for each in held), ZERO),
    )


def demand(order: LiveOrder, price: Decimal) -> Demand:
    return Demand(order.side, order.request.position_side, order.remaining * price)


def resting_demands(floor: Floor, symbol: str) -> list[Demand]:
    """What the symbol's resting orders could add; reducing and untriggered ones bind nothing."""
    orders = floor.orders.open_in(symbol)
    return [demand(each, each.price) for each in orders if each.rests and not each.only_reduces]


def exposure(floor: Floor, symbol: str, demands: Iterable[Demand]) -> tuple[Decimal, Decimal]:
    """What is held in a symbol, and what it could grow to if the dearer side of the demands filled."""
    held, largest, asked = ZERO, ZERO, tuple(demands)
    mark = floor.mark_price(symbol)
    for slot in floor.account.slots:
        worth = floor.account.position(symbol, slot).quantity * mark
        reaches = [
            abs(
                worth
                + side.sign
                * sum((each.value for each in asked if (each.side, each.position_side) == (side, slot)), ZERO)
            )
            for side in Side
        ]
        held += abs(worth)
        largest += max(abs(worth), *reaches)
    return held, largest


def order_margin(floor: Floor, symbol: str, *further: Demand) -> Decimal:
    """What the resting orders of a symbol, and one more, bind on top of its position."""
    held, largest = exposure(floor, symbol, [*resting_demands(floor, symbol), *further])
    return (largest - held) / floor.account.terms(symbol).leverage


def all_order_margin(floor: Floor, asset: str) -> Decimal:
    """The same over all symbols that are settled in the pool of an asset."""
    pool = floor.account.pool(asset)
    symbols = (each for each in floor.orders.open_symbols if floor.instrument(each).quote_asset in pool)
    return sum((order_margin(floor, each) for each in symbols), ZERO)


def available(floor: Floor, asset: str) -> Decimal:
    """What new orders may bind; negative where positions already need more than there is."""
    equity = cross_equity(floor, asset)
    return equity.balance - equity.initial_margin - all_order_margin(floor, asset)


def summarize(floor: Floor, asset: str) -> AccountSummary:
    """The totals of a quote asset, or of all that back one another with it."""
    pool = floor.account.pool(asset)
    held = [each for each in floor.account.open_holdings() if each.asset in pool]
    wallet = sum((floor.account.wallets.get(each, ZERO) for each in pool), ZERO)
    profit = booked(sum((unrealized_pnl(floor, each) for each in held), ZERO))
    return AccountSummary(
        wallet_balance=wallet,
        unrealized_pnl=profit,
        margin_balance=wallet + profit,
        available_balance=booked(max(ZERO, available(floor, asset))),
        initial_margin=booked(sum((initial_margin(floor, each) for each in held), ZERO)),
        maintenance_margin=booked(sum((maintenance(floor, each) for each in held), ZERO)),
    )


def liquidation_price_of(floor: Floor, holding: Holding) -> Decimal:
    """Where the position would be taken away, everything else staying as it is; 0 where nowhere."""
    symbol = holding.position.symbol
    if floor.account.is_isolated(symbol):
        legs, collateral = [holding], holding.isolated_margin
    else:
        held = crossed_holdings(floor, holding.asset)
        legs = [each for each in held if each.position.symbol == symbol]
        others = [each for each in held if each.position.symbol != symbol]
        collateral = cross_equity(floor, holding.asset).wallet
        collateral += sum((unrealized_pnl(floor, each) - maintenance(floor, each) for each in others), ZERO)
    positions = [each.position for each in legs]
    return liquidation_price(positions, collateral, floor.brackets(symbol), floor.mark_price(symbol))


def report(floor: Floor, symbol: str, position_side: PositionSide) -> PositionReport:
    """One row of Position Information; a flat slot has one too."""
    terms = floor.account.terms(symbol)
    holding = floor.account.holding(symbol, position_side)
    is_open = holding is not None and holding.position.is_open
    position = floor.account.position(symbol, position_side)
    mark = floor.book(symbol).mark_price or ZERO
    return PositionReport(
        symbol=symbol,
        position_side=position_side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        unrealized_pnl=booked(position.unrealized_pnl(mark)),
        liquidation_price=liquidation_price_of(floor, holding) if holding and is_open else ZERO,
        leverage=terms.leverage,
        margin_type=terms.margin_type,
        isolated_margin=holding.isolated_margin if holding else ZERO,
        updated_at=holding.updated_at if holding else 0,
    )
