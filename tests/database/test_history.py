"""A database with a long history: the benchmark's generator, and the queries of the page and of the trader on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from benchmarks.history_data import Scale, make_history
from src.database.db import open_reader, read_transaction
from src.database.models import DecisionRow, FillRow, JournalRow, LiquidationRow

SCALE = Scale(0.0005)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_history(tmp_path_factory.mktemp("history"), SCALE)


@pytest.fixture
def reader(history: Path) -> Iterator[Connection]:
    with read_transaction(open_reader(history)) as connection:
        yield connection


def test_generated_history_has_the_rows_of_its_scale(reader: Connection) -> None:
    rows = [
        reader.scalar(select(func.count()).select_from(row)) for row in (LiquidationRow, DecisionRow, JournalRow, FillRow)
    ]
    assert rows == [SCALE.liquidations, SCALE.verdicts, SCALE.journal, 3 * SCALE.trips]
