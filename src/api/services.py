"""The objects that the views share, created once by ``create_app``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Connection

from src.api.bot_database import BotDatabase, Commands, read_bot_state
from src.api.errors import ApiError
from src.api.market_cache import MarketCache
from src.api.settings_service import SettingsService
from src.api.setup_service import SetupService
from src.api.sse import EventHub
from src.domain.clock import Clock
from src.domain.commands import OperatorAction
from src.settings.config import Environment

EXTENSION = "hunter"


@dataclass(frozen=True, slots=True)
class Services:
    """The shared objects of one app."""

    environment: Environment
    clock: Clock
    bot_database: BotDatabase
    commands: Commands
    settings: SettingsService
    market_cache: MarketCache
    event_hub: EventHub
    setup_service: SetupService
    token: str
    hide_home: Callable[[str], str]
    """Shortens the paths in a text to what follows the home directory."""


def services() -> Services:
    """The services of the current app."""
    found: Services = current_app.extensions[EXTENSION]
    return found


@contextmanager
def read_bot_database() -> Iterator[Connection]:
    """A connection to the bot's database with one consistent view."""
    with services().bot_database.read_transaction() as connection:
        yield connection


def submit_command(action: OperatorAction, nonce: str, message: str, **details: Any) -> tuple[dict[str, Any], int]:
    """A 202 response with the command's id; the journal reports the outcome under it. Raises 409 if the bot is down."""
    with read_bot_database() as connection:
        bot = read_bot_state(connection, services().clock.now_ms())
    if not bot.is_alive:
        raise ApiError(409, "bot_silent", "The bot is not running.")
    command_id = services().commands.submit(action, nonce, **details)
    return {"success": True, "command_id": command_id, "message": message}, 202
