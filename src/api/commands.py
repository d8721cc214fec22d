"""What the dashboard asks of the bot: written to ``control.db``, carried out by the bot, answered in the journal."""

import threading
from typing import Any

from sqlalchemy import Engine

from src.database.control import CommandDesk
from src.database.db import reading
from src.database.queries.control import SettingsVersion, settings_history
from src.domain.clock import Clock
from src.domain.messages import OperatorAction


class Commands:
    """The API's side of ``control.db``. Safe from every request's thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._desk = CommandDesk(engine)
        self._clock = clock
        self._lock = threading.Lock()  # one connection writes this file, and requests come side by side

    def ask(self, action: OperatorAction, nonce: str, **details: Any) -> int:
        """Write a wish down; asked again under the same nonce it stays one. Its number is returned."""
        with self._lock:
            return self._desk.ask(action, nonce, self._clock.now_ms(), **details)

    def keep_settings(self, document: dict[str, Any], message: str) -> None:
        with self._lock:
            self._desk.keep_settings(document, message, self._clock.now_ms())

    def settings_history(self, limit: int) -> list[SettingsVersion]:
        """The newest first."""
        with self._lock, reading(self._engine) as connection:
            return settings_history(connection, limit)
