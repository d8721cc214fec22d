"""Daily backups can be opened and never fill the disk."""

import os
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from src.database.backups import BACKUPS_KEPT, Backups, BackupWorker
from src.database.db import backup, open_reader, quick_check, read_transaction
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from tests.builders import an_order

DAY_MS = 24 * 3_600_000


def no_heartbeat() -> None:
    """Heartbeat that does nothing."""


def write(store: Store, rows: int = 1) -> None:
    with store.transaction():
        for _ in range(rows):
            store.journal("row", {"text": "x" * 400})


def count(path: Path) -> int:
    with read_transaction(open_reader(path)) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM journal").scalar_one())


def age(path: Path, at_ms: int) -> None:
    os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))


def test_daily_backups_keep_only_newest(store: Store, path: Path, clock: ManualClock) -> None:
    backups = Backups(path, clock)
    write(store)
    made = []
    for _ in range(BACKUPS_KEPT + 2):
        copy = backups.make_when_due(no_heartbeat)
        assert copy is not None
        age(copy, clock.now_ms())
        assert Backups(path, clock).make_when_due(no_heartbeat) is None  # after a restart on the same day
        assert backups.make_when_due(no_heartbeat) is None
        made.append(copy)
        clock.advance(DAY_MS)
    assert backups.copies() == made[-BACKUPS_KEPT:]
    assert made[0].name == "bot-2025-06-15.db"


def test_backup_replaces_lost_database(store: Store, path: Path, clock: ManualClock) -> None:
    with store.transaction():
        store.record_order(an_order(), simulated=False)
    copy = Backups(path, clock).make_when_due(no_heartbeat)
    assert copy is not None
    restored = path.with_name("restored.db")
    shutil.copyfile(copy, restored)
    opened = open_database(restored, clock.now_ms())
    again = Store(opened.engine, clock)
    with again.transaction():
        assert [each.client_order_id for each in again.load_open_orders()] == [an_order().client_order_id]
    opened.engine.dispose()


def test_backup_is_consistent_while_bot_writes(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit after each step must neither restart the backup nor mix two states."""
    monkeypatch.setattr("src.database.db._PAGES_PER_STEP", 20)
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


def test_no_backup_when_disk_is_nearly_full(
    store: Store, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(store)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(100, 50, 50))
    backups = Backups(path, clock)
    assert backups.make_when_due(no_heartbeat) is None
    assert "too little free disk space" in caplog.text
    monkeypatch.undo()
    assert backups.make_when_due(no_heartbeat) is None  # not each minute
    clock.advance(3_600_000)
    assert backups.make_when_due(no_heartbeat) is not None


def test_failed_backup_is_logged_and_retried(
    store: Store, path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    write(store)
    path.with_name("backups").write_text("a file where the directory should be", encoding="utf-8")
    backups = Backups(path, clock)
    assert backups.make_when_due(no_heartbeat) is None
    assert "backup of the database failed" in caplog.text
    path.with_name("backups").unlink()
    clock.advance(3_600_000)
    assert backups.make_when_due(no_heartbeat) is not None


def test_backup_worker_checks_every_minute_and_stops(
    store: Store, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store)
    monkeypatch.setattr("src.database.backups._CHECK_EVERY_SECONDS", 1)
    backups = Backups(path, clock)
    worker = BackupWorker(backups)
    made = threading.Event()

    def beat() -> None:
        if backups.copies():
            made.set()

    thread = threading.Thread(target=worker.run, args=[beat])
    thread.start()
    assert made.wait(10)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
