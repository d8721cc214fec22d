from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from tests.builders import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bot.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """A new bot database, open for writing."""
    engine = open_database(path, NOW).engine
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine, clock: ManualClock) -> Store:
    return Store(engine, clock)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """The bot's own connection, inside a transaction."""
    with engine.begin() as connection:
        yield connection
