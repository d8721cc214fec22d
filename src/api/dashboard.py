"""What every view may use, built once by ``create_app``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Connection

from src.api.candles import Candles
from src.api.commands import Commands
from src.api.ledger import LedgerReader
from src.api.set_up import SetUp
from src.api.settings_editor import SettingsEditor
from src.api.sse import Streams
from src.domain.clock import Clock
from src.utils.config import Environment

EXTENSION = "hunter"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The parts of the API process."""

    environment: Environment
    clock: Clock
    ledger: LedgerReader
    commands: Commands
    settings: SettingsEditor
    candles: Candles
    streams: Streams
    set_up: SetUp
    token: str


def dashboard() -> Dashboard:
    """The dashboard of the request at hand."""
    found: Dashboard = current_app.extensions[EXTENSION]
    return found


@contextmanager
def reading() -> Iterator[Connection]:
    """One consistent view of the bot's database."""
    with dashboard().ledger.reading() as connection:
        yield connection
