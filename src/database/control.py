"""``control.db``: operator commands and the settings history. Only the API process writes it."""

import logging
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Engine, delete, func, insert, inspect, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.database.db import make_private, open_reader, open_writer, quarantine, quick_check, read_transaction
from src.database.models import COLUMN_TYPES, new_metadata
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide

log = logging.getLogger("hunter.database")

MAX_COMMANDS = 1_000
"""The bot carries commands out within a second; older ones only serve to recognise a repeated request."""
MAX_SETTINGS_VERSIONS = 100
_ACTIONS = frozenset(action.value for action in OperatorAction)
_NEW_COLUMN_NAMES = {
    "operator_commands": {
        "fraction": "close_fraction",
        "nonce": "idempotency_key",
        "terms": "terms_fingerprint",
    },
    "settings_history": {"at": "saved_at"},
}
"""Columns an earlier version named differently, by table."""
_TABLES_NOT_READY = ("no such table", "no such column")
"""SQLite's messages for a file the dashboard is creating or upgrading at this moment."""


class ControlBase(DeclarativeBase):
    """The dashboard's database."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


class OperatorCommandRow(ControlBase):
    """A command for the bot; its outcome is a journal entry with the same id."""

    __tablename__ = "operator_commands"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str]
    symbol: Mapped[str | None]
    position_side: Mapped[str | None]
    close_fraction: Mapped[Decimal] = mapped_column(default=Decimal(1))
    client_order_id: Mapped[str | None]
    terms_fingerprint: Mapped[str | None]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    """Chosen by the client: a repeated request with the same key is executed once."""
    created_at: Mapped[int]


class SettingsHistoryRow(ControlBase):
    """A settings file saved from the dashboard."""

    __tablename__ = "settings_history"

    id: Mapped[int] = mapped_column(primary_key=True)
    saved_at: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    message: Mapped[str]


def open_control(path: Path) -> Engine:
    """Open the connection of the API process and create missing tables; a damaged file is renamed.

    Raises ConfigError if the file cannot be read or written.
    """
    damage = quick_check(path)
    if damage is not None:
        moved = quarantine(path, path.stat().st_mtime_ns // 1_000_000)
        log.error("control database damaged (%s), moved to %s; a new one is created", damage, moved)
    make_private(path)
    engine = open_writer(path)
    _rename_old_columns(engine)
    ControlBase.metadata.create_all(engine)
    _add_missing_columns(engine)
    return engine


def _rename_old_columns(engine: Engine) -> None:
    """Give the columns of an earlier version's file their new names."""
    tables = inspect(engine).get_table_names()
    with engine.begin() as connection:
        for table in ControlBase.metadata.tables.keys() & set(tables):
            columns = {column["name"] for column in inspect(connection).get_columns(table)}
            for old in columns & _NEW_COLUMN_NAMES[table].keys():
                connection.exec_driver_sql(
                    f'ALTER TABLE {table} RENAME COLUMN "{old}" TO {_NEW_COLUMN_NAMES[table][old]}'
                )


def _add_missing_columns(engine: Engine) -> None:
    """Add columns that a file of an earlier version lacks."""
    known = {column["name"] for column in inspect(engine).get_columns(OperatorCommandRow.__tablename__)}
    with engine.begin() as connection:
        for column in OperatorCommandRow.__table__.columns:
            if column.name not in known:
                kind = column.type.compile(engine.dialect)
                connection.exec_driver_sql(f"ALTER TABLE operator_commands ADD COLUMN {column.name} {kind}")


class CommandWriter:
    """Adds operator commands and settings versions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, action: OperatorAction, idempotency_key: str, now_ms: int, **details: Any) -> int:
        """Add a command and return its id; a repeated ``idempotency_key`` returns the id of the first.

        Ids follow the clock, so that commands in a new file are newer than those the bot has executed.
        """
        row = OperatorCommandRow
        with self._engine.begin() as connection:
            known = connection.scalar(select(row.id).where(row.idempotency_key == idempotency_key))
            if known is not None:
                return known
            newest = connection.scalar(select(func.max(row.id))) or 0
            values = {"id": max(now_ms, newest + 1), "action": action.value, "created_at": now_ms}
            values["idempotency_key"] = idempotency_key
            new_id: int = connection.execute(insert(row).values(values | details).returning(row.id)).scalar_one()
            _keep_newest(connection, row, MAX_COMMANDS)
            return new_id

    def add_settings_version(self, document: dict[str, Any], message: str, now_ms: int) -> None:
        """Add a settings file to the history, which keeps the newest MAX_SETTINGS_VERSIONS."""
        with self._engine.begin() as connection:
            connection.execute(insert(SettingsHistoryRow).values(document=document, message=message, saved_at=now_ms))
            _keep_newest(connection, SettingsHistoryRow, MAX_SETTINGS_VERSIONS)


def _keep_newest(connection: Connection, row: type[OperatorCommandRow | SettingsHistoryRow], count: int) -> None:
    oldest_kept = select(row.id).order_by(row.id.desc()).offset(count - 1).limit(1).scalar_subquery()
    connection.execute(delete(row).where(row.id < oldest_kept))


class CommandReader:
    """Reads operator commands for the bot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = open_reader(path)
        self._last_error = ""

    def after(self, last_id: int) -> list[OperatorCommand]:
        """Return commands with a higher id, oldest first; empty if the dashboard has never run."""
        if not self._path.exists():
            return []
        row = OperatorCommandRow
        query = select(row.__table__).where(row.id > last_id).order_by(row.id)
        try:
            with read_transaction(self._engine) as connection:
                return [_command_from(each) for each in connection.execute(query) if self._is_known(each.action)]
        except DatabaseError as error:  # also for a damaged file: the bot goes on without it
            self._log_once(str(error.orig))
            return []

    def newest_settings(self) -> dict[str, Any] | None:
        """The settings that the dashboard saved last; None if there are none or they cannot be read."""
        if not self._path.exists():
            return None
        try:
            with read_transaction(self._engine) as connection:
                return next((version.document for version in settings_history(connection, 1)), None)
        except DatabaseError as error:
            self._log_once(str(error.orig))
            return None

    def _is_known(self, action: str) -> bool:
        """Whether this bot knows the action; a newer dashboard may send others."""
        if action not in _ACTIONS:
            self._log_once(f"unknown action: {action}")
        return action in _ACTIONS

    def _log_once(self, error: str) -> None:
        """Log an error once; tables that are just being created are no error."""
        if error != self._last_error and not error.startswith(_TABLES_NOT_READY):
            log.error("operator commands cannot be read: %s", error)
        self._last_error = error


def _command_from(row: Any) -> OperatorCommand:
    return OperatorCommand(
        id=row.id,
        action=OperatorAction(row.action),
        at=row.created_at,
        symbol=row.symbol,
        position_side=None if row.position_side is None else PositionSide(row.position_side),
        close_fraction=row.close_fraction,
        client_order_id=row.client_order_id,
        terms_fingerprint=row.terms_fingerprint,
    )


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """One saved settings document."""

    id: int
    saved_at: int
    document: dict[str, Any]
    message: str
    previous: dict[str, Any] | None = None
    """The settings before it, of an edit by hand; the dashboard's versions follow one another."""


def settings_history(connection: Connection, limit: int) -> list[SettingsVersion]:
    """Return saved settings, newest first."""
    row = SettingsHistoryRow
    query = select(row.id, row.saved_at, row.document, row.message).order_by(row.id.desc()).limit(limit)
    return [SettingsVersion(*found) for found in connection.execute(query)]
