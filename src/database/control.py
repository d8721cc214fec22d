"""``control.db``: what the dashboard asks of the bot. The API process writes it, the bot only reads it."""

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import OperationalError

from src.database.control_models import Control, OperatorCommandRow, SettingsHistoryRow
from src.database.db import make_private, open_reader, open_writer, reading
from src.domain.enums import PositionSide
from src.domain.messages import OperatorAction, OperatorCommand

log = logging.getLogger("hunter.database")


def open_control(path: Path) -> Engine:
    """The API's own connection, its tables made where they are missing."""
    make_private(path)
    engine = open_writer(path)
    Control.metadata.create_all(engine)
    return engine


class CommandDesk:
    """Where the API process leaves its wishes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, action: OperatorAction, nonce: str, now_ms: int, **details: Any) -> int:
        """Write a wish down; asked again under the same nonce it is the same wish. Its number is returned."""
        row = OperatorCommandRow
        with self._engine.begin() as connection:
            known = connection.scalar(select(row.id).where(row.nonce == nonce))
            if known is not None:
                return known
            values = {"action": action.value, "nonce": nonce, "created_at": now_ms, **details}
            return connection.execute(insert(row).values(values).returning(row.id)).scalar_one()

    def keep_settings(self, document: dict[str, Any], message: str, now_ms: int) -> None:
        """Add a settings file to the history."""
        with self._engine.begin() as connection:
            connection.execute(insert(SettingsHistoryRow).values(document=document, message=message, at=now_ms))


class CommandReader:
    """Reads the wishes from the bot's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = open_reader(path)
        self._fault = ""

    def after(self, last_id: int) -> list[OperatorCommand]:
        """Wishes newer than a number, oldest first; none while the dashboard has never run."""
        if not self._path.exists():
            return []
        row = OperatorCommandRow
        query = select(row.__table__).where(row.id > last_id).order_by(row.id)
        try:
            with reading(self._engine) as connection:
                return [_command_from(each) for each in connection.execute(query)]
        except OperationalError as error:
            self._note(str(error.orig))
            return []

    def _note(self, fault: str) -> None:
        """A fault is said once; tables that are being made at this moment are none."""
        if fault != self._fault and "no such table" not in fault:
            log.error("commands of the operator cannot be read: %s", fault)
        self._fault = fault


def _command_from(row: Any) -> OperatorCommand:
    return OperatorCommand(
        id=row.id,
        action=OperatorAction(row.action),
        at=row.created_at,
        symbol=row.symbol,
        position_side=None if row.position_side is None else PositionSide(row.position_side),
        fraction=row.fraction,
        client_order_id=row.client_order_id,
    )
