"""Free space goes back to the disk: step by step in a new file, by a command in an old one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from src.database import maintenance
from src.database.compact import compact
from src.database.open_database import AlreadyRunning, DatabaseLock
from src.database.repositories import Store
from src.database.tables.market import Cutoffs
from src.domain.errors import ConfigError
from tests.builders import NOW

ALL = Cutoffs(NOW + 1, NOW + 1, NOW + 1)


def free_pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def fill_and_prune(store: Store) -> None:
    with store.transaction():
        for _ in range(400):
            store.journal("news", {"text": "x" * 1_000})
    with store.transaction():
        store.maintenance.prune(ALL)
    store.checkpoint()


def test_new_file_gives_free_pages_back_in_steps(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_FREE_PAGES_KEPT", 10)
    monkeypatch.setattr(maintenance, "_PAGES_PER_STEP", 40)
    fill_and_prune(store)
    before = free_pages(path)
    assert before > 80
    store.maintenance.prune_before(ALL)
    with store.transaction():
        store.maintenance.step()
    assert free_pages(path) == before - 40
    for _ in range(10):
        with store.transaction():
            store.maintenance.step()
    assert free_pages(path) == 10


def test_old_file_is_compacted_by_the_command(store: Store, engine: Engine, path: Path) -> None:
    fill_and_prune(store)
    engine.dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum=NONE")
        connection.execute("VACUUM")  # as a file of an earlier version
        connection.execute("CREATE TABLE extra AS SELECT randomblob(500000) AS filling")
        connection.execute("DROP TABLE extra")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before, after = compact(path)
    assert after < before - 400_000
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_running_bot_prevents_compaction(store: Store, path: Path) -> None:
    assert store.error is None
    lock = DatabaseLock(path)
    lock.acquire()
    with pytest.raises(AlreadyRunning):
        compact(path)
    lock.release()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no database"):
        compact(tmp_path / "none.db")
