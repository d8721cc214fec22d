"""The settings that were put in force, from the dashboard's own database."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from src.database.control_models import SettingsHistoryRow


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """One settings document, and since when it was in force."""

    id: int
    at: int
    document: dict[str, Any]
    message: str


def settings_history(connection: Connection, limit: int) -> list[SettingsVersion]:
    """The newest first."""
    row = SettingsHistoryRow
    query = select(row.id, row.at, row.document, row.message).order_by(row.id.desc()).limit(limit)
    return [SettingsVersion(*found) for found in connection.execute(query)]
