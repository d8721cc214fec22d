"""A copy a day that can be opened, and never fills the disk."""

import os
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from src.core.archivist import Archivist
from src.database.backups import KEPT, Backups
from src.database.db import backup, open_reader, quick_check, reading
from src.database.ledger import open_ledger
from src.database.repositories import Store
from src.domain.clock import ManualClock
from tests.builders import an_order

DAY_MS = 24 * 3_600_000


def nobody() -> None:
    """Nobody waits for a sign of life."""


def write(store: Store, rows: int = 1) -> None:
    with store.transaction():
        for _ in range(rows):
            store.journal("row", {"text": "x" * 400})


def count(path: Path) -> int:
    with reading(open_reader(path)) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM journal").scalar_one())


def age(path: Path, at_ms: int) -> None:
    os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))


def test_one_a_day_and_the_newest_few_are_kept(store: Store, path: Path, clock: ManualClock) -> None:
    backups = Backups(path, clock)
    write(store)
    made = []
    for _ in range(KEPT + 2):
        copy = backups.make_when_due(nobody)
        assert copy is not None
        age(copy, clock.now_ms())
        assert Backups(path, clock).make_when_due(nobody) is None  # after a restart on the same day
        assert backups.make_when_due(nobody) is None
        made.append(copy)
        clock.advance(DAY_MS)
    assert backups.copies() == made[-KEPT:]
    assert made[0].name == "bot-2025-06-15.db"


def test_a_copy_takes_the_place_of_a_lost_ledger(store: Store, path: Path, clock: ManualClock) -> None:
    with store.transaction():
        store.record_order(an_order(), simulated=False)
    copy = Backups(path, clock).make_when_due(nobody)
    assert copy is not None
    restored = path.with_name("restored.db")
    shutil.copyfile(copy, restored)
    opened = open_ledger(restored, clock.now_ms())
    again = Store(opened.engine, clock)
    with again.transaction():
        assert [each.client_order_id for each in again.load_open_orders()] == [an_order().client_order_id]
    opened.engine.dispose()


def test_it_is_whole_though_the_bot_writes_on(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of the copying is followed by a commit: it must neither begin anew for ever nor mix two moments."""
    monkeypatch.setattr("src.database.db._PAGES_A_STEP", 20)
    write(store, 2_000)
    beats: list[int] = []

    def commit() -> None:
        beats.append(1)
        write(store)

    backup(path, path.with_name("copy.db"), commit)
    assert len(beats) > 5
    assert quick_check(path.with_name("copy.db")) is None
    assert count(path.with_name("copy.db")) == 2_000
    assert count(path) == 2_000 + len(beats)


def test_a_disk_without_room_is_left_alone(
    store: Store, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(store)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(100, 50, 50))
    backups = Backups(path, clock)
    assert backups.make_when_due(nobody) is None
    assert "too little room" in caplog.text
    monkeypatch.undo()
    assert backups.make_when_due(nobody) is None  # not each minute
    clock.advance(3_600_000)
    assert backups.make_when_due(nobody) is not None


def test_what_cannot_be_made_is_said_and_tried_again(
    store: Store, path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    write(store)
    path.with_name("backups").write_text("a file where the directory should be", encoding="utf-8")
    backups = Backups(path, clock)
    assert backups.make_when_due(nobody) is None
    assert "no copy of the database could be made" in caplog.text
    path.with_name("backups").unlink()
    clock.advance(3_600_000)
    assert backups.make_when_due(nobody) is not None


def test_the_archivist_looks_once_a_minute_and_ends_when_asked(
    store: Store, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store)
    monkeypatch.setattr("src.core.archivist._LOOK_EVERY", 1)
    backups = Backups(path, clock)
    archivist = Archivist(backups)
    made = threading.Event()

    def beat() -> None:
        if backups.copies():
            made.set()

    thread = threading.Thread(target=archivist.run, args=[beat])
    thread.start()
    assert made.wait(10)
    archivist.stop()
    thread.join(20)
    assert not thread.is_alive()
