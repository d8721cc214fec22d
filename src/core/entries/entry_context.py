"""Everything one decision looks at, frozen: what a gate does not find here it may not ask."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import PositionSide, Side, TimeInForce, TradeSide, TradingState
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.market import Liquidation, MarkPrice, Quote
from src.settings.config import GlobalSettings, SymbolSettings

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is at risk or spoken for at the moment of a decision. Margins are in the quote asset."""

    symbol_margin: Decimal
    """Margin of the symbol's positions and of its entries that may still fill."""
    total_margin: Decimal
    available_balance: Decimal | None
    """Wallet less what is bound or reserved; None until the exchange has told the wallet."""
    symbol_notional: Decimal = ZERO
    """Signed notional of the symbol's positions."""
    open_entries: int = 0
    """Entries of the symbol that may still fill."""
    external_orders: int = 0
    """Orders or positions of the symbol that are not ours."""
    unresolved: int = 0
    """Entries of the symbol whose answer was lost."""
    stop_orders: int = 0
    """Stop losses that stand for the symbol's position, others' included; of the slot that has most."""
    has_request_budget: bool = True
    """This minute's requests leave room for an entry beside what protection keeps."""
    entries_last_minute: int = 0
    """Entries decided in the last minute, of all symbols; 0 where no limit is set."""


@dataclass(frozen=True, slots=True)
class EntryContext:
    """One liquidation, and the world as the trader knows it at that moment."""

    liquidation: Liquidation
    now_ms: int
    settings: GlobalSettings
    symbol_settings: SymbolSettings
    trading_state: TradingState
    trading_reason: str
    window_volume: Decimal
    last_entry_at: int | None
    """Exchange time of the liquidation that led to the last entry of this symbol and side."""
    instrument: Instrument | None
    quote: Quote | None
    mark: MarkPrice | None
    account_mismatch: str | None = None
    """Why the account is not set for this symbol as the settings count on."""
    symbol_lock: str | None = None
    """Why no entry is made in this symbol until a person resumes."""

    @property
    def entry_side(self) -> Side:
        """Against the liquidation, whatever the settings allow."""
        return self.liquidation.side.opposite

    @property
    def is_side_allowed(self) -> bool:
        wanted = self.symbol_settings.trade_side
        return wanted is TradeSide.OPPOSITE or wanted.value == self.entry_side.value

    @property
    def threshold(self) -> Decimal:
        return self.symbol_settings.threshold_for(self.entry_side)

    @property
    def cooldown_ms(self) -> int:
        seconds = self.settings.cooldown_sec
        return (self.settings.volume_window_sec if seconds is None else seconds) * 1000


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """An entry the strategy wants, before its risk is looked at."""

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
    """The size was below the exchange's minimum and was raised to it."""

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity

    @property
    def margin(self) -> Decimal:
        return self.notional / self.leverage


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """Proof by type that a plan has passed every gate."""

    plan: EntryPlan
