"""The wallet, the positions and the terms of one account; every change of a wallet is an income.

A wallet holds the margin of isolated positions too; what is left of it backs the crossed ones. An isolated margin is
set aside when a position opens and set free in proportion when it closes; what a close loses beyond the part it sets
free is taken from the rest of that margin first. Fees are paid from the crossed part. After a liquidation the insurance
fund leaves no wallet below zero; a stop that slipped past the liquidation price may.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide, Side
from src.domain.messages import AccountUpdate, PositionChange
from src.domain.positions import Balance, Income, Position
from src.engine.costs import booked, next_number

ZERO = Decimal(0)
_DEFAULT_LEVERAGE = 20
_PARITY = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "USD1", "USD"})
"""Assets that back one another in multi-assets mode, each counted as one dollar."""

Slot = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True)
class Terms:
    """How an account trades one symbol."""

    leverage: int
    margin_type: MarginType = MarginType.CROSSED


@dataclass(slots=True)
class Holding:
    """A position, the asset it is settled in, and the margin set aside for it alone."""

    position: Position
    asset: str
    isolated_margin: Decimal = ZERO
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution, priced; ``commission`` is booked with it."""

    price: Decimal
    quantity: Decimal
    commission: Decimal
    is_maker: bool
    at: int


@dataclass(slots=True)
class Account:
    """Amounts are booked here and nowhere else."""

    hedge_mode: bool
    leverage_cap: Callable[[str], int]
    """The highest leverage a symbol allows."""
    multi_assets_mode: bool = False
    wallets: dict[str, Decimal] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    last_income_id: int = 0
    _terms: dict[str, Terms] = field(default_factory=dict)
    _open: dict[Slot, Holding] = field(default_factory=dict)
    _known: dict[Slot, Holding] = field(default_factory=dict)

    def terms(self, symbol: str) -> Terms:
        """The symbol's terms; the ones every account starts with where nobody changed them."""
        return self._terms.get(symbol) or Terms(min(_DEFAULT_LEVERAGE, self.leverage_cap(symbol)))

    def set_terms(self, symbol: str, terms: Terms) -> None:
        self._terms[symbol] = terms

    @property
    def named_symbols(self) -> tuple[str, ...]:
        """The symbols whose terms somebody set."""
        return tuple(self._terms)

    def is_isolated(self, symbol: str) -> bool:
        return self.terms(symbol).margin_type is MarginType.ISOLATED

    @property
    def slots(self) -> tuple[PositionSide, ...]:
        """The slots each symbol has in the present position mode."""
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedge_mode else (PositionSide.BOTH,)

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        holding = self._open.get((symbol, position_side))
        return holding.position if holding else Position(symbol, position_side)

    def holding(self, symbol: str, position_side: PositionSide) -> Holding | None:
        """What is or was held in a slot; None where nothing ever was."""
        return self._known.get((symbol, position_side))

    def open_holdings(self) -> tuple[Holding, ...]:
        return tuple(self._open.values())

    def holdings_in(self, symbol: str) -> Iterator[Holding]:
        for position_side in PositionSide:
            holding = self._open.get((symbol, position_side))
            if holding is not None:
                yield holding

    def pool(self, asset: str) -> frozenset[str]:
        """The assets that back crossed positions settled in this one."""
        return _PARITY if self.multi_assets_mode and asset in _PARITY else frozenset({asset})

    def cross_wallet(self, asset: str) -> Decimal:
        """The wallet without what isolated positions have set aside."""
        bound = sum((each.isolated_margin for each in self._open.values() if each.asset == asset), ZERO)
        return self.wallets.get(asset, ZERO) - bound

    def book(self, asset: str, amount: Decimal, kind: str, symbol: str, at: int) -> None:
        """Change a wallet by an amount that is on the booked grid; an amount of zero leaves no trace."""
        if amount:
            self.wallets[asset] = self.wallets.get(asset, ZERO) + amount
            self.last_income_id = next_number(self.last_income_id, at)
            self.incomes.append(Income(self.last_income_id, symbol, kind, asset, amount, at))

    def occupy(self, slot: Slot, asset: str) -> Holding:
        """What is held in a slot, to trade in; flat where nothing ever was."""
        return self._known.setdefault(slot, Holding(Position(*slot), asset))

    def take_up(self, holding: Holding) -> None:
        """Hold what an account before this one held."""
        slot = holding.position.symbol, holding.position.position_side
        self._open[slot] = self._known[slot] = holding

    def trade(self, holding: Holding, side: Side, deal: Deal) -> Decimal:
        """Change a position by a deal and book what it realised, which is returned. The fee is not booked here."""
        before = holding.position
        after, profit = before.after(side, deal.quantity, deal.price)
        realized = booked(profit)
        holding.position, holding.updated_at = after, deal.at
        if self.is_isolated(after.symbol):
            holding.isolated_margin = self._margin_after(holding, before, realized, deal.price)
        slot = (after.symbol, after.position_side)
        if after.is_open:
            self._open[slot] = holding
        else:
            self._open.pop(slot, None)
        self.book(holding.asset, realized, "REALIZED_PNL", after.symbol, deal.at)
        return realized

    def _margin_after(self, holding: Holding, before: Position, realized: Decimal, price: Decimal) -> Decimal:
        after, margin = holding.position, holding.isolated_margin
        leverage = self.terms(after.symbol).leverage
        if after.quantity * before.quantity < 0:
            return booked(abs(after.quantity) * price / leverage)
        growth = abs(after.quantity) - abs(before.quantity)
        if growth > 0:
            return margin + booked(growth * price / leverage)
        kept = booked(margin * after.quantity / before.quantity)
        return max(ZERO, min(kept, margin + realized))

    def balance(self, asset: str) -> Balance:
        return Balance(asset, self.wallets.get(asset, ZERO), self.cross_wallet(asset))

    def change(self, holding: Holding) -> PositionChange:
        margin_type = self.terms(holding.position.symbol).margin_type
        return PositionChange(holding.position, margin_type, holding.isolated_margin)

    def told(
        self, reason: str, asset: str, at: int, *holdings: Holding, balance_change: Decimal = ZERO
    ) -> AccountUpdate:
        """The ACCOUNT_UPDATE that names one wallet and these positions."""
        changes = tuple(self.change(holding) for holding in holdings)
        return AccountUpdate(reason, (self.balance(asset),), changes, at, at, balance_change)
