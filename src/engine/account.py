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
from src.domain.events import AccountUpdate, PositionChange
from src.domain.positions import Balance, Income, Position, PositionKey
from src.engine.margin import next_id, round_amount

ZERO = Decimal(0)
_DEFAULT_LEVERAGE = 20
_DOLLAR_ASSETS = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "USD1", "USD"})
"""Assets that back one another in multi-assets mode, each counted as one dollar."""


@dataclass(frozen=True, slots=True)
class SymbolConfig:
    """How an account trades one symbol."""

    leverage: int
    margin_type: MarginType = MarginType.CROSSED


@dataclass(slots=True)
class EnginePosition:
    """A position, the asset it is settled in, and the margin set aside for it alone."""

    position: Position
    asset: str
    isolated_margin: Decimal = ZERO
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
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
    max_leverage_of: Callable[[str], int]
    """The highest leverage a symbol allows."""
    multi_assets_mode: bool = False
    wallets: dict[str, Decimal] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    last_income_id: int = 0
    _configs: dict[str, SymbolConfig] = field(default_factory=dict)
    _open_positions: dict[PositionKey, EnginePosition] = field(default_factory=dict)
    _positions: dict[PositionKey, EnginePosition] = field(default_factory=dict)

    def config(self, symbol: str) -> SymbolConfig:
        """The symbol's terms; the ones every account starts with where nobody changed them."""
        return self._configs.get(symbol) or SymbolConfig(min(_DEFAULT_LEVERAGE, self.max_leverage_of(symbol)))

    def set_config(self, symbol: str, config: SymbolConfig) -> None:
        self._configs[symbol] = config

    @property
    def configured_symbols(self) -> tuple[str, ...]:
        """The symbols whose terms somebody set."""
        return tuple(self._configs)

    def is_isolated(self, symbol: str) -> bool:
        return self.config(symbol).margin_type is MarginType.ISOLATED

    @property
    def position_sides(self) -> tuple[PositionSide, ...]:
        """The slots each symbol has in the present position mode."""
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedge_mode else (PositionSide.BOTH,)

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        holding = self._open_positions.get((symbol, position_side))
        return holding.position if holding else Position(symbol, position_side)

    def find_position(self, symbol: str, position_side: PositionSide) -> EnginePosition | None:
        """What is or was held in a slot; None where nothing ever was."""
        return self._positions.get((symbol, position_side))

    def open_positions(self) -> tuple[EnginePosition, ...]:
        return tuple(self._open_positions.values())

    def open_positions_for(self, symbol: str) -> Iterator[EnginePosition]:
        for position_side in PositionSide:
            holding = self._open_positions.get((symbol, position_side))
            if holding is not None:
                yield holding

    def collateral_assets(self, asset: str) -> frozenset[str]:
        """The assets that back crossed positions settled in this one."""
        return _DOLLAR_ASSETS if self.multi_assets_mode and asset in _DOLLAR_ASSETS else frozenset({asset})

    def cross_wallet(self, asset: str) -> Decimal:
        """The wallet without what isolated positions have set aside."""
        isolated = sum((each.isolated_margin for each in self._open_positions.values() if each.asset == asset), ZERO)
        return self.wallets.get(asset, ZERO) - isolated

    def record_income(self, asset: str, amount: Decimal, income_type: str, symbol: str, at: int) -> None:
        """Change a wallet by an amount that is on the booked grid; an amount of zero leaves no trace."""
        if amount:
            self.wallets[asset] = self.wallets.get(asset, ZERO) + amount
            self.last_income_id = next_id(self.last_income_id, at)
            self.incomes.append(Income(self.last_income_id, symbol, income_type, asset, amount, at))

    def get_or_create(self, key: PositionKey, asset: str) -> EnginePosition:
        """What is held in a slot, to trade in; flat where nothing ever was."""
        return self._positions.setdefault(key, EnginePosition(Position(*key), asset))

    def restore(self, holding: EnginePosition) -> None:
        """Hold what an account before this one held."""
        key = holding.position.symbol, holding.position.position_side
        self._open_positions[key] = self._positions[key] = holding

    def apply_execution(self, holding: EnginePosition, side: Side, execution: Execution) -> Decimal:
        """Change a position by a deal and book what it realised, which is returned. The fee is not booked here."""
        before = holding.position
        after, profit = before.apply_trade(side, execution.quantity, execution.price)
        realized = round_amount(profit)
        holding.position, holding.updated_at = after, execution.at
        if self.is_isolated(after.symbol):
            holding.isolated_margin = self._isolated_margin_after(holding, before, realized, execution.price)
        key = (after.symbol, after.position_side)
        if after.is_open:
            self._open_positions[key] = holding
        else:
            self._open_positions.pop(key, None)
        self.record_income(holding.asset, realized, "REALIZED_PNL", after.symbol, execution.at)
        return realized

    def _isolated_margin_after(
        self, holding: EnginePosition, before: Position, realized: Decimal, price: Decimal
    ) -> Decimal:
        after, margin = holding.position, holding.isolated_margin
        leverage = self.config(after.symbol).leverage
        if after.quantity * before.quantity < 0:
            return round_amount(abs(after.quantity) * price / leverage)
        growth = abs(after.quantity) - abs(before.quantity)
        if growth > 0:
            return margin + round_amount(growth * price / leverage)
        kept = round_amount(margin * after.quantity / before.quantity)
        return max(ZERO, min(kept, margin + realized))

    def balance(self, asset: str) -> Balance:
        return Balance(asset, self.wallets.get(asset, ZERO), self.cross_wallet(asset))

    def position_change(self, holding: EnginePosition) -> PositionChange:
        margin_type = self.config(holding.position.symbol).margin_type
        return PositionChange(holding.position, margin_type, holding.isolated_margin)

    def account_update(
        self, reason: str, asset: str, at: int, *holdings: EnginePosition, balance_change: Decimal = ZERO
    ) -> AccountUpdate:
        """The ACCOUNT_UPDATE that names one wallet and these positions."""
        changes = tuple(self.position_change(holding) for holding in holdings)
        return AccountUpdate(reason, (self.balance(asset),), changes, at, at, balance_change)
