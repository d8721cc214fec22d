"""Positions, balances and the exchange's own account of them."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import MarginType, PositionSide, Side
from src.domain.orders import OrderUpdate, UnrecognizedOrder, UnrecognizedPosition

ZERO = Decimal(0)
PositionKey = tuple[str, PositionSide]
"""Symbol and position side: what the exchange keeps one position for."""


@dataclass(frozen=True, slots=True)
class Position:
    """What is held in one slot of one symbol. ``quantity`` is signed: positive is long."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return self.quantity != 0

    @property
    def side(self) -> Side:
        """The side that opened it."""
        return Side.BUY if self.quantity > 0 else Side.SELL

    def unrealized_pnl(self, mark_price: Decimal) -> Decimal:
        return self.quantity * (mark_price - self.entry_price)

    def apply_trade(self, side: Side, quantity: Decimal, price: Decimal) -> "tuple[Position, Decimal]":
        """The position after a trade, and the profit that trade realised in the quote asset."""
        change = side.sign * quantity
        if self.quantity == 0 or self.side is side:
            return self._increased(change, price), ZERO
        closed = min(quantity, abs(self.quantity))
        realized = -side.sign * closed * (price - self.entry_price)
        rest = self.quantity + change
        if rest == 0:
            return replace(self, quantity=ZERO, entry_price=ZERO), realized
        entry_price = self.entry_price if abs(rest) < abs(self.quantity) and rest * self.quantity > 0 else price
        return replace(self, quantity=rest, entry_price=entry_price), realized

    def _increased(self, change: Decimal, price: Decimal) -> "Position":
        total = self.quantity + change
        entry_price = (self.quantity * self.entry_price + change * price) / total
        return replace(self, quantity=total, entry_price=entry_price)


@dataclass(frozen=True, slots=True)
class PositionReport:
    """A position as the exchange reports it (Position Information V2)."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    """Signed: positive is long."""
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal
    """0 where the exchange names none."""
    leverage: int
    margin_type: MarginType | None
    """None where the exchange's word for it is not known: what is held is sure all the same."""
    isolated_margin: Decimal
    updated_at: int

    @property
    def position(self) -> Position:
        return Position(self.symbol, self.position_side, self.quantity, self.entry_price)


@dataclass(frozen=True, slots=True)
class Correction:
    """A position of our books that was put right by the exchange's report."""

    symbol: str
    position_side: PositionSide
    local_quantity: Decimal
    exchange_quantity: Decimal
    entry_price: Decimal
    last_trade_id: int
    """The newest trade of the symbol that was booked by then."""
    is_expected: bool
    """We had not been listening: what happened meanwhile is no contradiction."""
    recorded_at: int

    @property
    def id(self) -> str:
        """The same for the same difference, however often it is found."""
        return f"{self.symbol} {self.position_side} {self.exchange_quantity.normalize():f} {self.last_trade_id}"


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of the futures wallet."""

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """The account in totals of the quote asset (Account Information V4)."""

    wallet_balance: Decimal
    unrealized_pnl: Decimal
    margin_balance: Decimal
    available_balance: Decimal
    initial_margin: Decimal
    """Margin bound in positions."""
    maintenance_margin: Decimal


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exchange's truth at one moment: read whole or not at all (a failed read raises)."""

    requested_at: int
    """Our time when the first question left: fills after it are newer than this."""
    taken_at: int
    """Our time when the last answer came."""
    hedge_mode: bool
    multi_assets_mode: bool
    account: AccountSummary
    balances: tuple[Balance, ...]
    positions: tuple[PositionReport, ...]
    """Every symbol and slot the exchange lists, open or flat: leverage and margin type are told here."""
    open_orders: tuple[OrderUpdate, ...]
    unrecognized_orders: tuple[UnrecognizedOrder, ...] = ()
    """Open orders that are told in words we do not know."""
    unrecognized_positions: tuple[UnrecognizedPosition, ...] = ()


@dataclass(frozen=True, slots=True)
class Income:
    """One change of the wallet (Get Income History): funding, fee, realised profit, transfer."""

    transaction_id: int
    symbol: str
    type: str
    asset: str
    amount: Decimal
    paid_at: int

    @property
    def is_funding(self) -> bool:
        return self.type == "FUNDING_FEE"


class Protection(StrEnum):
    """Whether a stop loss stands behind a position."""

    OK = "ok"
    PENDING = "pending"
    MISSING = "missing"
    DISABLED = "disabled"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """A position with all a person wants to know of it: what the bot writes for the dashboard."""

    position: Position
    mark_price: Decimal | None
    leverage: int
    margin_type: MarginType
    liquidation_price: Decimal | None
    take_profit_price: Decimal | None
    stop_loss_price: Decimal | None
    protection: Protection
    opened_at: int
    as_of: int
    """When this was last known to be true, ms UTC."""
    entry_client_order_id: str | None = None
    """The entry of ours that last enlarged it; None for a position that is not ours."""
