"""The tables of ``control.db``: what a person asked for. Written by the API process alone."""

import logging
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Engine, func, insert, inspect, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.database.db import make_private, open_reader, open_writer, quarantine, quick_check, read_transaction
from src.database.models import COLUMN_TYPES, new_metadata
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide

log = logging.getLogger("hunter.database")

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
    """What a person asked the bot to do; the outcome is a journal row that names the id."""

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
    """The asker's own name for the request: asked twice, done once."""
    created_at: Mapped[int]


class SettingsHistoryRow(ControlBase):
    """Every settings file that was put in force from the dashboard."""

    __tablename__ = "settings_history"

    id: Mapped[int] = mapped_column(primary_key=True)
    saved_at: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    message: Mapped[str]


def open_control(path: Path) -> Engine:
    """The API's own connection, its tables made where they are missing; a damaged file is moved aside.

    Raises ConfigError where the file cannot be read or written.
    """
    fault = quick_check(path)
    if fault is not None:
        moved = quarantine(path, path.stat().st_mtime_ns // 1_000_000)
        log.error("the database of the dashboard was damaged (%s) and lies now at %s", fault, moved)
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
    """A file of an earlier version learns what may be asked for since; nothing in it is changed."""
    known = {column["name"] for column in inspect(engine).get_columns(OperatorCommandRow.__tablename__)}
    with engine.begin() as connection:
        for column in OperatorCommandRow.__table__.columns:
            if column.name not in known:
                kind = column.type.compile(engine.dialect)
                connection.exec_driver_sql(f"ALTER TABLE operator_commands ADD COLUMN {column.name} {kind}")


class CommandWriter:
    """Where the API process leaves its wishes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, action: OperatorAction, idempotency_key: str, now_ms: int, **details: Any) -> int:
        """Write a wish down; asked again under the same nonce it is the same wish. Its number is returned.

        Numbers follow the clock: the wishes in a file that was begun anew are still newer than those the bot has seen.
        """
        row = OperatorCommandRow
        with self._engine.begin() as connection:
            known = connection.scalar(select(row.id).where(row.idempotency_key == idempotency_key))
            if known is not None:
                return known
            newest = connection.scalar(select(func.max(row.id))) or 0
            values = {"id": max(now_ms, newest + 1), "action": action.value, "created_at": now_ms}
            values["idempotency_key"] = idempotency_key
            return connection.execute(insert(row).values(values | details).returning(row.id)).scalar_one()

    def add_settings_version(self, document: dict[str, Any], message: str, now_ms: int) -> None:
        """Add a settings file to the history."""
        with self._engine.begin() as connection:
            connection.execute(insert(SettingsHistoryRow).values(document=document, message=message, saved_at=now_ms))


class CommandReader:
    """Reads the wishes from the bot's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = open_reader(path)
        self._last_error = ""

    def after(self, last_id: int) -> list[OperatorCommand]:
        """Wishes newer than a number, oldest first; none while the dashboard has never run."""
        if not self._path.exists():
            return []
        row = OperatorCommandRow
        query = select(row.__table__).where(row.id > last_id).order_by(row.id)
        try:
            with read_transaction(self._engine) as connection:
                return [_command_from(each) for each in connection.execute(query) if self._is_known(each.action)]
        except DatabaseError as error:  # a damaged file too: the bot goes on protecting without it
            self._log_once(str(error.orig))
            return []

    def _is_known(self, action: str) -> bool:
        """A dashboard of a newer version may ask for more than this bot can do."""
        if action not in _ACTIONS:
            self._log_once(f"no such action: {action}")
        return action in _ACTIONS

    def _log_once(self, error: str) -> None:
        """A fault is said once; tables that are being made at this moment are none."""
        if error != self._last_error and not error.startswith(_TABLES_NOT_READY):
            log.error("commands of the operator cannot be read: %s", error)
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
    """One settings document, and since when it was in force."""

    id: int
    saved_at: int
    document: dict[str, Any]
    message: str


def settings_history(connection: Connection, limit: int) -> list[SettingsVersion]:
    """The newest first."""
    row = SettingsHistoryRow
    query = select(row.id, row.saved_at, row.document, row.message).order_by(row.id.desc()).limit(limit)
    return [SettingsVersion(*found) for found in connection.execute(query)]
