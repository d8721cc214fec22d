"""The frozen input of one entry decision: gates read nothing else."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import PositionSide, Side, TimeInForce, TradeSide, TradingState
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.margin import Backing
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.numbers import ZERO
from src.domain.positions import Position
from src.settings.config import GlobalSettings, SymbolSettings


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is at risk or reserved at the time of a decision. Margins are in dollars."""

    symbol_margin: Decimal
    """Margin of the symbol's positions and of its entries that may still fill."""
    total_margin: Decimal
    available_balance: Decimal | None
    """Wallet balance of the assets that back the symbol, less margin used or reserved of them; None until known."""
    symbol_notional: Decimal = ZERO
    """Signed notional of the symbol's positions."""
    open_entries: int = 0
    """Entries of the symbol that may still fill."""
    external_orders: int = 0
    """External orders and positions of the symbol."""
    unresolved: int = 0
    """Unconfirmed entries of the symbol: the response to them was lost."""
    obstacle: str | None = None
    """Why our own orders forbid an entry: the symbol is being closed, or orders of the last position are left."""
    has_request_budget: bool = True
    """The rate limit leaves room for an entry besides what is reserved for protection."""
    liquidation_warning: str | None = None
    """Why a position of the symbol may be liquidated before its stop loss triggers; None if it may not."""
    after_entry: tuple[Position, Backing] | None = None
    """The position after the entry and what backs it; None: nothing but the entry's own margin is known."""
    entries_last_minute: int = 0
    """Entries of all symbols in the last minute; 0 if there is no limit."""


@dataclass(frozen=True, slots=True)
class EntryContext:
    """One liquidation, and what the trader knows when it is evaluated."""

    liquidation: Liquidation
    entry_side: Side
    """The side opposite to the liquidation, whether or not the settings allow it."""
    now_ms: int
    settings: GlobalSettings
    symbol_settings: SymbolSettings
    trading_state: TradingState
    trading_reason: str
    window_volume: Decimal
    threshold: Decimal
    """Volume in the window from which an entry is placed, in the same unit."""
    last_entry_at: int | None
    """Exchange time of the liquidation that led to the last entry of this symbol and side; None if there is none."""
    instrument: Instrument | None
    quote: Quote | None
    mark: MarkPrice | None
    account_mismatch: str | None = None
    """How the account differs from the settings of this symbol; None if it does not."""
    symbol_lock: str | None = None
    """Why the symbol has no entries until the operator resumes; None if it is not locked."""

    @property
    def is_side_allowed(self) -> bool:
        trade_side = self.symbol_settings.trade_side
        return trade_side is TradeSide.OPPOSITE or trade_side.value == self.entry_side.value

    @property
    def cooldown_ms(self) -> int:
        seconds = self.settings.cooldown_sec
        return (self.settings.volume_window_sec if seconds is None else seconds) * 1000


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """An entry the strategy wants, before the risk checks."""

    symbol: str
    side: Side
    position_side: PositionSide
    price: Price
    quantity: Quantity
    leverage: int
    time_in_force: TimeInForce
    not_after: int
    """The order is not sent after this instant, ms UTC: its signal has expired."""
    is_raised_to_minimum: bool = False
    """The configured size was below the exchange's minimum and was raised to it."""

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity

    @property
    def margin(self) -> Decimal:
        return self.notional / self.leverage


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """A plan that has passed every gate; only ``check_risk`` creates one."""

    plan: EntryPlan
