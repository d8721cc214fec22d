"""Wallets, positions and symbol configuration of one account. Every change of a wallet is recorded as an income.

A wallet includes the margin of isolated positions; the rest of it backs the crossed ones. Isolated margin is reserved
when a position opens and released in proportion when it closes; a loss above the released part is taken from the
remaining isolated margin first. Fees are paid from the crossed part. After a liquidation the insurance fund restores
the wallet to zero; a stop that fills beyond the liquidation price may leave it negative.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide, Side
from src.domain.events import AccountUpdate, PositionChange
from src.domain.numbers import ZERO
from src.domain.positions import Balance, Income, Position, PositionKey
from src.engine.margin import next_id, round_amount

_DEFAULT_LEVERAGE = 20
DOLLAR_ASSETS = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "USD1", "USD"})
"""Assets valued at one dollar."""
_COLLATERAL_ASSETS = DOLLAR_ASSETS | {"ASTER"}
"""Assets that share collateral in multi-assets mode."""


@dataclass(frozen=True, slots=True)
class SymbolConfig:
    """Leverage and margin type of one symbol."""

    leverage: int
    margin_type: MarginType = MarginType.CROSSED


@dataclass(slots=True)
class EnginePosition:
    """A position, its settlement asset and its isolated margin."""

    position: Position
    asset: str
    isolated_margin: Decimal = ZERO
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of an order, with its commission in the settlement asset unless another one is given."""

    price: Decimal
    quantity: Decimal
    commission: Decimal
    is_maker: bool
    at: int
    commission_asset: str | None = None


@dataclass(slots=True)
class Account:
    """The state of one account; wallets change only through ``record_income``."""

    hedge_mode: bool
    max_leverage_of: Callable[[str], int]
    """Returns the maximum leverage of a symbol."""
    multi_assets_mode: bool = False
    wallets: dict[str, Decimal] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    last_income_id: int = 0
    _configs: dict[str, SymbolConfig] = field(default_factory=dict)
    _open_positions: dict[PositionKey, EnginePosition] = field(default_factory=dict)
    _positions: dict[PositionKey, EnginePosition] = field(default_factory=dict)

    def config(self, symbol: str) -> SymbolConfig:
        """Return the symbol's configuration, or the default of a new account."""
        return self._configs.get(symbol) or SymbolConfig(min(_DEFAULT_LEVERAGE, self.max_leverage_of(symbol)))

    def set_config(self, symbol: str, config: SymbolConfig) -> None:
        self._configs[symbol] = config

    @property
    def configured_symbols(self) -> tuple[str, ...]:
        """Symbols with a configuration of their own."""
        return tuple(self._configs)

    def is_isolated(self, symbol: str) -> bool:
        return self.config(symbol).margin_type is MarginType.ISOLATED

    @property
    def position_sides(self) -> tuple[PositionSide, ...]:
        """The position sides in the current position mode."""
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedge_mode else (PositionSide.BOTH,)

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        held = self._open_positions.get((symbol, position_side))
        return held.position if held else Position(symbol, position_side)

    def find_position(self, symbol: str, position_side: PositionSide) -> EnginePosition | None:
        """Return the open or last position; None if there never was one."""
        return self._positions.get((symbol, position_side))

    def open_positions(self) -> tuple[EnginePosition, ...]:
        return tuple(self._open_positions.values())

    def open_positions_for(self, symbol: str) -> Iterator[EnginePosition]:
        for position_side in PositionSide:
            held = self._open_positions.get((symbol, position_side))
            if held is not None:
                yield held

    def collateral_assets(self, asset: str) -> frozenset[str]:
        """Return the assets that back crossed positions settled in this asset."""
        is_shared = self.multi_assets_mode and asset in _COLLATERAL_ASSETS
        return _COLLATERAL_ASSETS if is_shared else frozenset({asset})

    def cross_wallet(self, asset: str) -> Decimal:
        """Return the wallet balance without the margin of isolated positions."""
        isolated = sum((each.isolated_margin for each in self._open_positions.values() if each.asset == asset), ZERO)
        return self.wallets.get(asset, ZERO) - isolated

    def record_income(self, asset: str, amount: Decimal, income_type: str, symbol: str, at: int) -> None:
        """Change a wallet by an amount rounded with ``round_amount`` and record it; zero is ignored."""
        if amount:
            self.wallets[asset] = self.wallets.get(asset, ZERO) + amount
            self.last_income_id = next_id(self.last_income_id, at)
            self.incomes.append(Income(self.last_income_id, symbol, income_type, asset, amount, at))

    def get_or_create(self, key: PositionKey, asset: str) -> EnginePosition:
        """Return the position to trade in; a flat one if there never was one."""
        return self._positions.setdefault(key, EnginePosition(Position(*key), asset))

    def restore(self, held: EnginePosition) -> None:
        """Add an open position from a saved account."""
        key = held.position.symbol, held.position.position_side
        self._open_positions[key] = self._positions[key] = held

    def apply_execution(self, held: EnginePosition, side: Side, execution: Execution) -> Decimal:
        """Apply an execution to a position, record and return its realized PnL. The caller records the commission."""
        before = held.position
        after, profit = before.apply_trade(side, execution.quantity, execution.price)
        realized = round_amount(profit)
        held.position, held.updated_at = after, execution.at
        if self.is_isolated(after.symbol):
            held.isolated_margin = self._isolated_margin_after(held, before, realized, execution.price)
        key = (after.symbol, after.position_side)
        if after.is_open:
            self._open_positions[key] = held
        else:
            self._open_positions.pop(key, None)
        self.record_income(held.asset, realized, "REALIZED_PNL", after.symbol, execution.at)
        return realized

    def _isolated_margin_after(
        self, held: EnginePosition, before: Position, realized: Decimal, price: Decimal
    ) -> Decimal:
        after, margin = held.position, held.isolated_margin
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

    def position_change(self, held: EnginePosition) -> PositionChange:
        margin_type = self.config(held.position.symbol).margin_type
        return PositionChange(held.position, margin_type, held.isolated_margin)

    def account_update(
        self,
        reason: str,
        asset: str,
        at: int,
        *positions: EnginePosition,
        balance_change: Decimal = ZERO,
        other_asset: str | None = None,
    ) -> AccountUpdate:
        """Make an ACCOUNT_UPDATE event with one wallet, or two if ``other_asset`` changed too, and these positions."""
        assets = dict.fromkeys((asset, other_asset or asset))
        changes = tuple(self.position_change(each) for each in positions)
        balances = [self.balance(each) for each in assets]
        balances[0] = replace(balances[0], change=balance_change)
        return AccountUpdate(reason, tuple(balances), changes, at, at)
