"""A large database is checked while the bot runs; what is damaged is moved aside by the next start."""

import sqlite3
from contextlib import closing
from pathlib import Path
from queue import Queue

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from src.database import open_database as opening
from src.database.db import open_writer
from src.database.integrity import IntegrityCheck, damage_mark
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from tests.builders import NOW

SECONDS = 20


@pytest.fixture
def large(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database that counts as large, with some rows, cleanly closed."""
    engine = open_database(path, NOW).engine
    store = Store(engine, ManualClock(NOW))
    with store.transaction():
        for number in range(2_000):
            store.journal("news", {"text": "x" * 50, "number": number})
    engine.dispose()
    monkeypatch.setattr(opening, "CHECKED_AT_START_BYTES", 1_000)
    return path


def damage(path: Path) -> None:
    """Overwrite some pages of the journal."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'journal'"
        root_page, page_size = (connection.execute(sql).fetchone()[0] for sql in (query, "PRAGMA page_size"))
    with path.open("r+b") as file:
        file.seek((root_page - 1) * page_size)
        file.write(b"\xff" * page_size)


def checked(path: Path) -> str | None:
    found: Queue[str | None] = Queue()
    IntegrityCheck(path, found.put, delay_seconds=0).start()
    return found.get(timeout=SECONDS)


def test_large_database_is_opened_without_reading_it(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("it was read")

    monkeypatch.setattr(opening, "quick_check", fail)
    opened = open_database(large, NOW)
    opened.engine.dispose()
    assert (opened.needs_check, opened.quarantined_to) == (True, None)


def test_small_database_is_checked_before_it_is_used(path: Path) -> None:
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert not opened.needs_check


def test_intact_database_passes_the_check(large: Path) -> None:
    assert checked(large) is None
    assert not damage_mark(large).exists()


def test_damage_is_reported_and_moved_aside_by_the_next_start(large: Path) -> None:
    damage(large)
    opened = open_database(large, NOW)
    opened.engine.dispose()
    assert opened.needs_check, "it is not read at the start"
    assert checked(large) is not None
    again = open_database(large, NOW + 1)
    again.engine.dispose()
    assert (again.quarantined_to, again.needs_check) == (large.with_name(f"{large.name}.corrupt-{NOW + 1}"), False)
    assert not damage_mark(large).exists()


def test_damage_met_by_the_writer_is_found_at_the_next_start(large: Path) -> None:
    damage(large)
    engine = open_writer(large)
    store = Store(engine, ManualClock(NOW))
    with pytest.raises(DatabaseError), store.transaction():
        store.read(lambda connection: connection.execute(text("SELECT count(payload) FROM journal")).all())
    engine.dispose()
    again = open_database(large, NOW)
    again.engine.dispose()
    assert again.quarantined_to is not None


def test_mark_beside_an_intact_database_is_removed(large: Path) -> None:
    damage_mark(large).write_text("of the file that was here before", encoding="utf-8")
    opened = open_database(large, NOW)
    opened.engine.dispose()
    assert (opened.quarantined_to, opened.needs_check) == (None, False)
    assert not damage_mark(large).exists()


def test_large_file_of_another_kind_is_moved_aside_at_once(large: Path) -> None:
    large.write_bytes(b"this is not a database at all, by no means" * 100)
    opened = open_database(large, NOW)
    opened.engine.dispose()
    assert (opened.quarantined_to is not None, opened.needs_check) == (True, False)
