"""Tables derived from the records: closed positions, results by day, liquidated volume by hour and day.

Everything here can be made again from fills, payments and liquidations (``src/database/results.py``).
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, Float, Index
from sqlalchemy.orm import Mapped, mapped_column

from src.database.models import BotBase


class RoundTripRow(BotBase):
    """A closed position, from its first opening fill to the fill that closed it. Costs are signed: paid is negative."""

    __tablename__ = "round_trips"
    __table_args__ = (
        Index(None, "is_simulated", "closed_at"),
        Index(None, "symbol", "is_simulated", "closed_at"),
        Index(None, "entry_client_order_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    position_side: Mapped[str]
    side: Mapped[str]
    """BUY for a long, SELL for a short."""
    entry_client_order_id: Mapped[str]
    exit_reason: Mapped[str]
    """The role of the order that closed it; EXTERNAL if that was no order of the bot."""
    opened_at: Mapped[int]
    closed_at: Mapped[int]
    quantity: Mapped[Decimal]
    entry_price: Mapped[Decimal | None]
    """The average price of its opening fills; NULL if they were not recorded."""
    exit_price: Mapped[Decimal | None]
    """The average price of its closing fills; NULL if a person closed it elsewhere."""
    realized_pnl: Mapped[Decimal]
    commission: Mapped[Decimal]
    funding_fee: Mapped[Decimal]
    net_pnl: Mapped[Decimal]
    initial_risk: Mapped[Decimal | None]
    """What its first stop loss risked, in dollars; NULL if it had none."""
    r_multiple: Mapped[Decimal | None]
    """Net result divided by ``initial_risk``."""
    mfe: Mapped[Decimal | None]
    """Maximum favorable excursion in dollars, by the mark prices seen once a second; NULL unless seen throughout."""
    mae: Mapped[Decimal | None]
    """Maximum adverse excursion in dollars, negative or zero; NULL like ``mfe``."""
    has_manual_trades: Mapped[bool]
    is_complete: Mapped[bool]
    """Whether every fill, fee and payment of it is known, with its value in dollars."""
    is_simulated: Mapped[bool]


class DailyResultRow(BotBase):
    """The result of one symbol on one UTC day: its fills, payments and other income, and the positions it closed."""

    __tablename__ = "daily_results"

    is_simulated: Mapped[bool] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The start of the day, ms UTC."""
    symbol: Mapped[str] = mapped_column(primary_key=True)
    """Empty for the transfers of the account."""
    realized_pnl: Mapped[Decimal]
    commission: Mapped[Decimal]
    funding_fee: Mapped[Decimal]
    trades: Mapped[int]
    winning_trades: Mapped[int]
    losing_trades: Mapped[int]
    gross_profit: Mapped[Decimal]
    gross_loss: Mapped[Decimal]
    best_trade: Mapped[Decimal | None]
    worst_trade: Mapped[Decimal | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Exits by reason, and the amounts by asset that are in none of the sums."""


class StaleResultRow(BotBase):
    """A symbol whose round trips and daily results lack what was recorded from ``since`` on.

    Triggers add it with every fill and payment, in the same transaction, so that no kill loses one.
    """

    __tablename__ = "stale_results"

    is_simulated: Mapped[bool] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[int]


class PositionMarksRow(BotBase):
    """The highest and lowest mark price seen while a position was open; triggers write it with each position."""

    __tablename__ = "position_marks"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    position_side: Mapped[str] = mapped_column(primary_key=True)
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)
    opened_at: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    highest: Mapped[Decimal]
    lowest: Mapped[Decimal]
    seen_at: Mapped[int]
    has_gap: Mapped[bool]
    """Whether the bot did not see it for a minute or more: then its extremes are not known."""


class HourlyVolumeRow(BotBase):
    """Number and value of all liquidations of an hour."""

    __tablename__ = "hourly_volume"

    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The start of the hour, ms UTC."""
    liquidations: Mapped[int]
    volume: Mapped[float] = mapped_column(Float)
    """In USDT. Market statistics may be floats; results of our own trades never are."""


class SymbolVolumeRow(BotBase):
    """Number and value of the liquidations of a symbol in an hour or a day."""

    __tablename__ = "symbol_volume"
    __table_args__ = ({"sqlite_with_rowid": False},)

    span: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """An hour or a day, in ms."""
    begins_at: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    liquidations: Mapped[int]
    volume: Mapped[float] = mapped_column(Float)


class SummarizedRow(BotBase):
    """How far a table is summarized: up to which row id."""

    __tablename__ = "summarized"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_id: Mapped[int]


class DailyEquityRow(BotBase):
    """The highest margin balance of a day, less the net transfers until then; a trigger writes it."""

    __tablename__ = "daily_equity"

    is_simulated: Mapped[bool] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    highest: Mapped[float] = mapped_column(Float)
