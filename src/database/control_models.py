"""The tables of ``control.db``: what a person asked for. Written by the API process alone."""

from decimal import Decimal
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.database.columns import TYPES, new_metadata


class Control(DeclarativeBase):
    """The dashboard's database."""

    metadata = new_metadata()
    type_annotation_map = TYPES


class OperatorCommandRow(Control):
    """What a person asked the bot to do; the outcome is a journal row that names the id."""

    __tablename__ = "operator_commands"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str]
    symbol: Mapped[str | None]
    position_side: Mapped[str | None]
    fraction: Mapped[Decimal] = mapped_column(default=Decimal(1))
    client_order_id: Mapped[str | None]
    terms: Mapped[str | None]
    nonce: Mapped[str] = mapped_column(unique=True)
    """The asker's own name for the request: asked twice, done once."""
    created_at: Mapped[int]


class SettingsHistoryRow(Control):
    """Every settings file that was put in force from the dashboard."""

    __tablename__ = "settings_history"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    message: Mapped[str]
