"""Stores positions and their corrections, and loads positions from their rows."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Index, func, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Mapped, mapped_column

from src.database.models import BotBase, FillRow
from src.domain.enums import MarginType, PositionSide
from src.domain.positions import Correction, Position, PositionRecord, Protection


def position_values(record: PositionRecord) -> dict[str, Any]:
    position = record.position
    return {
        "symbol": position.symbol,
        "position_side": position.position_side.value,
        "quantity": position.quantity,
        "entry_price": position.entry_price,
        "mark_price": record.mark_price,
        "leverage": record.leverage,
        "margin_type": record.margin_type.value,
        "liquidation_price": record.liquidation_price,
        "take_profit_price": record.take_profit_price,
        "stop_loss_price": record.stop_loss_price,
        "protection": record.protection.value,
        "opened_at": record.opened_at,
        "updated_at": record.as_of,
        "entry_client_order_id": record.entry_client_order_id,
    }


def position_from(row: Any) -> PositionRecord:
    return PositionRecord(
        position=Position(row.symbol, PositionSide(row.position_side), row.quantity, row.entry_price),
        mark_price=row.mark_price,
        leverage=row.leverage,
        margin_type=MarginType(row.margin_type),
        liquidation_price=row.liquidation_price,
        take_profit_price=row.take_profit_price,
        stop_loss_price=row.stop_loss_price,
        protection=Protection(row.protection),
        opened_at=row.opened_at,
        as_of=row.updated_at,
        entry_client_order_id=row.entry_client_order_id,
    )


class CorrectionRow(BotBase):
    """A difference between the local position and the exchange's report."""

    __tablename__ = "position_corrections"
    __table_args__ = (Index(None, "recorded_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """Symbol, position side, quantity and last trade id: the same difference has the same id."""
    symbol: Mapped[str]
    position_side: Mapped[str]
    local_quantity: Mapped[Decimal]
    exchange_quantity: Mapped[Decimal]
    entry_price: Mapped[Decimal]
    last_trade_id: Mapped[int]
    is_expected: Mapped[bool]
    """Whether it arose while no stream was connected, so that it is no error."""
    recorded_at: Mapped[int]
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


def add_correction(connection: Connection, correction: Correction, *, is_simulated: bool) -> bool:
    """Store a correction; False if it is already stored."""
    values = asdict(correction) | {
        "position_side": correction.position_side.value,
        "id": correction.id,
        "is_simulated": is_simulated,
    }
    statement = upsert(CorrectionRow).values(values).on_conflict_do_nothing().returning(CorrectionRow.id)
    return connection.scalar(statement) is not None


def unexpected_corrections_since(connection: Connection, since_ms: int, *, is_simulated: bool) -> int:
    """Count the unexpected corrections after an instant."""
    row = CorrectionRow
    query = select(func.count()).where(
        row.recorded_at > since_ms, row.is_expected.is_(False), row.is_simulated == is_simulated
    )
    return connection.scalar(query) or 0


def last_trade_id(connection: Connection, symbol: str, *, is_simulated: bool) -> int:
    """Return the newest stored trade id of a symbol; 0 if there is none."""
    query = select(func.max(FillRow.trade_id)).where(FillRow.symbol == symbol, FillRow.is_simulated == is_simulated)
    return connection.scalar(query) or 0
