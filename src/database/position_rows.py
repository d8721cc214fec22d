"""Positions as rows, and back."""

from typing import Any

from src.domain.enums import MarginType, PositionSide
from src.domain.positions import Position, PositionRecord, Protection


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
