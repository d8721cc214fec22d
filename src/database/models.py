"""The tables of the bot's database. Money is stored as text, instants as integers (ms UTC)."""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.domain.enums import OrderStatus

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def _plain_text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


class Money(TypeDecorator[Decimal]):
    """A Decimal stored as plain text: exact, never in exponent form."""

    impl = String(64)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Decimal | None], str | None]:
        """One call for each value instead of the three of `process_bind_param`: an order's row has nine of them."""
        return _plain_text

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


BIG_INT = BigInteger().with_variant(Integer, "sqlite")
COLUMN_TYPES: dict[Any, Any] = {Decimal: Money, int: BIG_INT}


def new_metadata() -> MetaData:
    return MetaData(naming_convention=NAMING_CONVENTION)


SIMULATED = "SIMULATED"
"""The ``status`` of every trade in paper trading.

Other tables have the column ``is_simulated``, so that paper and live trading share a file but no rows.
"""


class BotBase(DeclarativeBase):
    """The bot's database, written only by the trader."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


def _one_of(column: str, values: list[str], name: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=name)


def _values(enum: type[StrEnum]) -> list[str]:
    return [member.value for member in enum]


class LiquidationRow(BotBase):
    """One liquidation order of the market."""

    __tablename__ = "liquidations"
    __table_args__ = (
        Index(None, "symbol", "traded_at"),
        Index(None, "traded_at"),
        _one_of("side", ["BUY", "SELL"], "side"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    average_price: Mapped[Decimal]
    filled_quantity: Mapped[Decimal]
    usdt_value: Mapped[Decimal]
    order_type: Mapped[str]
    time_in_force: Mapped[str]
    status: Mapped[str]
    traded_at: Mapped[int]
    event_at: Mapped[int]
    received_at: Mapped[int]


class DecisionRow(BotBase):
    """The decision on a liquidation of a configured symbol."""

    __tablename__ = "decisions"
    __table_args__ = (
        Index(None, "symbol", "decided_at"),
        Index(None, "client_order_id"),
        Index(None, "decided_at"),
        Index("ix_decisions_entries", "decided_at", sqlite_where=text("gate IS NULL")),
        Index("ix_decisions_entries_symbol", "symbol", "decided_at", sqlite_where=text("gate IS NULL")),
        Index(
            "ix_decisions_newest_entry",
            *("symbol", "liquidation_side", "liquidation_id"),
            sqlite_where=text("gate IS NULL"),
        ),
    )

    liquidation_id: Mapped[int] = mapped_column(ForeignKey("liquidations.id", ondelete="CASCADE"), primary_key=True)
    symbol: Mapped[str]
    liquidation_side: Mapped[str]
    decided_at: Mapped[int]
    gate: Mapped[str | None]
    """The first gate that blocked the entry; NULL if it was placed."""
    reason: Mapped[str]
    numbers: Mapped[dict[str, Any]] = mapped_column(JSON)
    window_volume: Mapped[Decimal]
    threshold: Mapped[Decimal]
    client_order_id: Mapped[str | None]


class TradeRow(BotBase):
    """One of the bot's orders and its result.

    ``status`` is the one users read, SIMULATED in paper trading; ``order_status`` is always the order's own.
    """

    __tablename__ = "trades"
    __table_args__ = (
        Index(None, "symbol", "created_at"),
        Index(None, "created_at"),
        Index(None, "order_id"),
        Index(None, "entry_client_order_id"),
        Index(None, "order_status", "created_at"),
        Index(None, "updated_at"),
        Index(
            "ix_trades_entries",
            *("created_at", "symbol", "order_status", "status"),
            sqlite_where=text("role = 'ENTRY'"),
        ),
        Index("ix_trades_simulated", "created_at", sqlite_where=text("status = 'SIMULATED'")),
        _one_of("status", [*_values(OrderStatus), SIMULATED], "status"),
        _one_of("order_status", _values(OrderStatus), "order_status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_order_id: Mapped[str] = mapped_column(String(36), unique=True)
    order_id: Mapped[str | None]
    """Assigned by the exchange."""
    symbol: Mapped[str]
    side: Mapped[str]
    position_side: Mapped[str]
    order_type: Mapped[str]
    role: Mapped[str]
    entry_client_order_id: Mapped[str | None]
    """The entry that a protective or closing order belongs to."""
    quantity: Mapped[Decimal | None]
    price: Mapped[Decimal | None]
    stop_price: Mapped[Decimal | None]
    time_in_force: Mapped[str | None]
    reduce_only: Mapped[bool]
    close_position: Mapped[bool]
    working_type: Mapped[str | None]
    price_protect: Mapped[bool]
    status: Mapped[str]
    order_status: Mapped[str]
    filled_quantity: Mapped[Decimal]
    average_price: Mapped[Decimal]
    realized_pnl: Mapped[Decimal]
    commission: Mapped[Decimal]
    commission_asset: Mapped[str | None]
    reason: Mapped[str | None]
    created_at: Mapped[int]
    sent_at: Mapped[int | None]
    event_at: Mapped[int]
    updated_at: Mapped[int]
    unresolved_since: Mapped[int | None]


class OrderRelationshipRow(BotBase):
    """A protective or closing order and the entry it belongs to."""

    __tablename__ = "order_relationships"
    __table_args__ = (Index(None, "entry_client_order_id"), Index(None, "symbol"))

    client_order_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """The take profit, stop loss or closing order."""
    entry_client_order_id: Mapped[str] = mapped_column(String(36))
    symbol: Mapped[str]
    position_side: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[int]


class OrderStatusRow(BotBase):
    """The status history of an order: one row per change, never updated."""

    __tablename__ = "order_status"
    __table_args__ = (
        Index(None, "client_order_id", "id"),
        _one_of("status", _values(OrderStatus), "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_order_id: Mapped[str] = mapped_column(String(36))
    symbol: Mapped[str]
    status: Mapped[str]
    filled_quantity: Mapped[Decimal]
    recorded_at: Mapped[int]
    source: Mapped[str]
    """Where the change comes from: stream, response, query, intent."""
    reason: Mapped[str | None]


class FillRow(BotBase):
    """One trade of one of our orders, stored once per trade id."""

    __tablename__ = "fills"
    __table_args__ = (
        UniqueConstraint("symbol", "trade_id", "is_simulated"),
        Index(None, "client_order_id"),
        Index(None, "traded_at"),
        Index(None, "symbol", "position_side", "traded_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    trade_id: Mapped[int]
    order_id: Mapped[str]
    client_order_id: Mapped[str]
    side: Mapped[str]
    position_side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    realized_pnl: Mapped[Decimal]
    commission: Mapped[Decimal]
    commission_asset: Mapped[str]
    commission_value: Mapped[Decimal | None]
    """The fee in dollars; NULL if it was paid in another asset whose price was unknown."""
    is_maker: Mapped[bool]
    traded_at: Mapped[int]
    is_simulated: Mapped[bool]


class FundingPaymentRow(BotBase):
    """Funding paid (negative) or received, stored once per transaction id."""

    __tablename__ = "funding_payments"
    __table_args__ = (Index(None, "symbol", "paid_at"), Index(None, "paid_at"))

    transaction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    symbol: Mapped[str]
    asset: Mapped[str]
    amount: Mapped[Decimal]
    dollar_value: Mapped[Decimal | None]
    """The amount in dollars; NULL if it is of another asset whose price was unknown."""
    is_external: Mapped[bool]
    """It was paid for positions that are not the bot's: no result of the bot."""
    paid_at: Mapped[int]
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


class ExternalIncomeRow(BotBase):
    """Income besides the bot's own fills and funding (Get Income History), stored once each.

    Transfers of the account, and results of manual trades in the bot's positions.
    """

    __tablename__ = "external_income"
    __table_args__ = (Index(None, "symbol", "paid_at"), Index(None, "paid_at"))

    transaction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    """Empty for a transfer."""
    asset: Mapped[str]
    amount: Mapped[Decimal]
    dollar_value: Mapped[Decimal | None]
    trade_id: Mapped[int | None]
    paid_at: Mapped[int]
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


class PositionRow(BotBase):
    """An open position as the bot last knew it; a closed one has no row."""

    __tablename__ = "positions"
    __table_args__ = (Index(None, "updated_at"),)

    symbol: Mapped[str] = mapped_column(primary_key=True)
    position_side: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[Decimal]
    entry_price: Mapped[Decimal]
    mark_price: Mapped[Decimal | None]
    leverage: Mapped[int]
    margin_type: Mapped[str]
    liquidation_price: Mapped[Decimal | None]
    take_profit_price: Mapped[Decimal | None]
    stop_loss_price: Mapped[Decimal | None]
    protection: Mapped[str]
    opened_at: Mapped[int]
    updated_at: Mapped[int]
    entry_client_order_id: Mapped[str | None]
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


class JournalRow(BotBase):
    """Events in order of occurrence, append-only: the audit log and the source of live updates."""

    __tablename__ = "journal"
    __table_args__ = (Index(None, "kind", "id"), Index(None, "recorded_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    recorded_at: Mapped[int]
    kind: Mapped[str]
    symbol: Mapped[str | None]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class StateRow(BotBase):
    """The state of the bot, one row per subject."""

    __tablename__ = "bot_state"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[int]


class AccountHistoryRow(BotBase):
    """The account balance once a minute: the equity curve."""

    __tablename__ = "account_history"

    recorded_at: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wallet_balance: Mapped[Decimal]
    unrealized_pnl: Mapped[Decimal]
    margin_balance: Mapped[Decimal]
    available_balance: Mapped[Decimal]
    initial_margin: Mapped[Decimal]
    maintenance_margin: Mapped[Decimal]
    transfers: Mapped[Decimal]
    """Deposits less withdrawals since the bot first traded the account."""
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


class InstrumentRow(BotBase):
    """The trading rules of the exchange's symbols as last read: for the dashboard, and for the next start."""

    __tablename__ = "instruments"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    base_asset: Mapped[str]
    quote_asset: Mapped[str]
    tick: Mapped[Decimal]
    min_price: Mapped[Decimal]
    max_price: Mapped[Decimal]
    step: Mapped[Decimal]
    min_quantity: Mapped[Decimal]
    max_quantity: Mapped[Decimal]
    market_step: Mapped[Decimal]
    market_min_quantity: Mapped[Decimal]
    market_max_quantity: Mapped[Decimal]
    min_notional: Mapped[Decimal]
    multiplier_up: Mapped[Decimal]
    multiplier_down: Mapped[Decimal]
    price_precision: Mapped[int]
    quantity_precision: Mapped[int]
    trigger_protect: Mapped[Decimal]
    market_take_bound: Mapped[Decimal]
    liquidation_fee: Mapped[Decimal]
    max_orders: Mapped[int]
    max_conditional_orders: Mapped[int]
    status: Mapped[str]


class RunRow(BotBase):
    """One run of the bot; ``ended_at`` is NULL while it runs, or if it was killed."""

    __tablename__ = "bot_runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[int]
    ended_at: Mapped[int | None]


class SettingsVersionRow(BotBase):
    """A settings file that was edited by hand and applied. ``control.db`` has those saved on the dashboard."""

    __tablename__ = "settings_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    saved_at: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The settings before the edit."""
    message: Mapped[str]
