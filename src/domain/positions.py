"""Positions, balances, and account snapshots of the exchange."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from src.domain.api_wallet import ApiWallet
from src.domain.enums import IncomeType, MarginType, PositionSide, Side
from src.domain.numbers import ZERO
from src.domain.orders import OrderUpdate, UnrecognizedOrder, UnrecognizedPosition

PositionKey = tuple[str, PositionSide]
"""Symbol and position side; the exchange holds one position for each."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one symbol and position side. ``quantity`` is signed: positive is long."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    """Average price; of an open position 0 means that it is not known: nothing is computed from it."""

    @property
    def key(self) -> PositionKey:
        return self.symbol, self.position_side

    @property
    def is_open(self) -> bool:
        return self.quantity != 0

    @property
    def is_entry_unknown(self) -> bool:
        return self.is_open and self.entry_price <= 0

    @property
    def side(self) -> Side:
        """The side that opened it."""
        return Side.BUY if self.quantity > 0 else Side.SELL

    @property
    def direction(self) -> PositionSide:
        """LONG or SHORT, also in one-way mode."""
        return PositionSide.LONG if self.quantity > 0 else PositionSide.SHORT

    def unrealized_pnl(self, mark_price: Decimal) -> Decimal:
        """PnL at this mark price in the quote asset; 0 while the entry price is not known."""
        return ZERO if self.is_entry_unknown else self.quantity * (mark_price - self.entry_price)

    def with_known_entry(self, known: "Position") -> "Position":
        """Return it with the entry price of ``known``, if its own is not known and both are on the same side."""
        if not self.is_entry_unknown or self.quantity * known.quantity <= 0:
            return self
        return replace(self, entry_price=known.entry_price)

    def apply_trade(self, side: Side, quantity: Decimal, price: Decimal) -> "tuple[Position, Decimal]":
        """Return the position after a trade, and the realized PnL of the trade in the quote asset."""
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
        entry_price = price if self.is_entry_unknown else (self.quantity * self.entry_price + change * price) / total
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
    """0 if the exchange reports none."""
    leverage: int
    margin_type: MarginType | None
    """None if the value is not recognized; the other fields are reliable all the same."""
    isolated_margin: Decimal
    updated_at: int

    @property
    def key(self) -> PositionKey:
        return self.symbol, self.position_side

    @property
    def position(self) -> Position:
        return Position(self.symbol, self.position_side, self.quantity, self.entry_price)


@dataclass(frozen=True, slots=True)
class Correction:
    """A change of the local position to what the exchange reports."""

    symbol: str
    position_side: PositionSide
    local_quantity: Decimal
    exchange_quantity: Decimal
    entry_price: Decimal
    last_trade_id: int
    """The newest recorded trade of the symbol at that time."""
    is_expected: bool
    """Whether the difference arose while no stream was connected, so that it is no error."""
    recorded_at: int

    @property
    def id(self) -> str:
        """Equal for the same difference, however often it is found."""
        return f"{self.symbol} {self.position_side} {self.exchange_quantity.normalize():f} {self.last_trade_id}"


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of the futures wallet."""

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    change: Decimal = ZERO
    """In an account update: the change of the balance other than by trades (``bc``), such as funding or a deposit."""


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """The account in totals, in dollars (Account Information V4)."""

    wallet_balance: Decimal
    unrealized_pnl: Decimal
    margin_balance: Decimal
    available_balance: Decimal
    initial_margin: Decimal
    """Margin used by positions."""
    maintenance_margin: Decimal

    @property
    def shared_wallet(self) -> Decimal:
        """What backs the positions in multi-assets mode, without their PnL.

        The exchange values the assets, with a discount that it does not report: the equity that its available balance
        shows counts if it is less than the total.
        """
        return min(self.wallet_balance, self.available_balance + self.initial_margin - self.unrealized_pnl)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The account as the exchange reports it; complete, as a failed request raises."""

    requested_at: int
    """Our time when the first request was sent; later fills may be missing in it."""
    taken_at: int
    """Our time when the last response arrived."""
    hedge_mode: bool
    multi_assets_mode: bool
    account: AccountSummary
    balances: tuple[Balance, ...]
    positions: tuple[PositionReport, ...]
    """Every symbol and position side, open or flat, with its leverage and margin type."""
    open_orders: tuple[OrderUpdate, ...]
    unrecognized_orders: tuple[UnrecognizedOrder, ...] = ()
    """Open orders with values we do not recognize."""
    unrecognized_positions: tuple[UnrecognizedPosition, ...] = ()
    has_unreadable_balance: bool = False
    """``balances`` lacks an asset whose balance could not be read."""
    api_wallet: ApiWallet | None = None
    """The API wallet that signs; None if an API key does, or it could not be read."""

    @property
    def listed_orders(self) -> tuple[OrderUpdate | UnrecognizedOrder, ...]:
        """All open orders, also those with values we do not recognize."""
        return *self.open_orders, *self.unrecognized_orders


@dataclass(frozen=True, slots=True)
class Income:
    """One change of the wallet (Get Income History): funding, fee, realized PnL, transfer."""

    transaction_id: int
    symbol: str
    type: str
    asset: str
    amount: Decimal
    """In units of ``asset``."""
    paid_at: int
    trade_id: int | None = None
    """The trade that it belongs to; None if there is none."""

    @property
    def is_funding(self) -> bool:
        return self.type == IncomeType.FUNDING_FEE


class Protection(StrEnum):
    """Whether a position has a stop loss."""

    OK = "ok"
    PENDING = "pending"
    MISSING = "missing"
    DISABLED = "disabled"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """A position with its prices and protection, as the bot stores it for the dashboard."""

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
    """When this was last confirmed, ms UTC."""
    entry_client_order_id: str | None = None
    """The entry that last increased it; None for an external position."""
