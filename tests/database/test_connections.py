import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import OperationalError

from src.database.db import (
    backup,
    checkpoint,
    data_version,
    make_private,
    open_reader,
    open_writer,
    quick_check,
    reading,
)
from src.database.ledger import open_ledger
from src.database.models import JournalRow, Ledger
from src.database.repositories import Store
from src.domain.errors import ConfigError
from tests.builders import NOW, a_liquidation
from tests.database.processes import HOLD_A_TRANSACTION, WRITERS, end, heard, python, tell


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def journal_length(path: Path) -> int:
    engine = open_reader(path)
    with reading(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM journal")).scalar_one())


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 5000), ("foreign_keys", 1), ("mmap_size", 0)],
)
def test_the_writer_is_set_for_durability(engine: Engine, name: str, value: object) -> None:
    assert pragma(engine, name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("query_only", 1), ("wal_autocheckpoint", 0), ("busy_timeout", 5000), ("mmap_size", 0)]
)
def test_the_reader_leaves_the_file_alone(engine: Engine, path: Path, name: str, value: object) -> None:
    pragma(engine, "journal_mode")  # the file is there
    assert pragma(open_reader(path), name) == value


@pytest.mark.usefixtures("engine")
def test_a_reader_cannot_write(path: Path) -> None:
    reader = open_reader(path)
    with pytest.raises(OperationalError, match="readonly"), reading(reader) as connection:
        connection.execute(insert(JournalRow).values(at=1, kind="news", payload={}))


def test_a_reader_of_a_file_that_is_not_there_makes_none(path: Path) -> None:
    with pytest.raises(OperationalError), reading(open_reader(path)):
        pytest.fail("there is nothing to read")
    assert not path.exists()


def test_a_reader_reads_after_a_clean_end_too(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    engine.dispose()
    assert not path.with_name("bot.db-wal").exists()
    assert journal_length(path) == 1


def test_a_reader_sees_what_was_committed_before_a_kill(path: Path) -> None:
    with python(WRITERS) as writers:
        tell(writers, f"{path} 0")
        writer = int(heard(writers).removeprefix("writer "))
        while heard(writers) != "20":
            pass
        end(writer)
        while heard(writers) not in ("dead", ""):
            pass
    assert journal_length(path) >= 2 * 21


def test_a_reader_keeps_one_view_while_the_bot_goes_on(path: Path, store: Store) -> None:
    with reading(open_reader(path)) as connection:
        count = text("SELECT count(*) FROM journal")
        before = connection.execute(count).scalar_one()
        with store.transaction():
            store.journal("news", {})
        assert connection.execute(count).scalar_one() == before == 0
    assert journal_length(path) == 1


def test_the_data_version_changes_with_a_commit_of_the_bot(path: Path, store: Store) -> None:
    with open_reader(path).connect() as connection:
        before = data_version(connection)
        assert data_version(connection) == before
        with store.transaction():
            store.journal("news", {})
        assert data_version(connection) != before


def test_a_second_writer_waits_for_the_first(path: Path, engine: Engine) -> None:
    with python(HOLD_A_TRANSACTION, path) as other:
        assert heard(other) == "begun"
        release = threading.Timer(0.3, lambda: other.stdin and (other.stdin.write("\n"), other.stdin.flush()))
        release.start()
        with engine.begin() as connection:  # a deferred one would fail at once: "database is locked"
            assert connection.execute(text("SELECT version FROM runs")).scalar_one() == "held"
        release.join()


def test_threads_that_share_the_writer_take_turns(path: Path, engine: Engine) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            with engine.begin() as connection:
                connection.execute(insert(JournalRow).values(at=number, kind="news", payload={}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert journal_length(path) == 80


def test_a_verdict_needs_its_liquidation(engine: Engine) -> None:
    orphan = Ledger.metadata.tables["decisions"].insert().values(
        liquidation_id=7, symbol="X", liquidation_side="BUY", at=1, reason="", numbers={}, window_volume=0, threshold=0
    )  # fmt: skip
    with pytest.raises(Exception, match="FOREIGN KEY"), engine.begin() as connection:
        connection.execute(orphan)


def test_money_is_never_a_binary_number() -> None:
    types = {str(column.type) for table in Ledger.metadata.tables.values() for column in table.columns}
    assert not [name for name in types if name.startswith(("FLOAT", "REAL", "NUMERIC", "DOUBLE", "DECIMAL"))]


def test_a_backup_holds_what_only_the_log_held(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation()])
    target = tmp_path / "copy.db"
    backup(path, target)
    assert quick_check(target) is None
    restored = open_ledger(target, NOW).engine
    with Store(restored, store._clock).transaction():
        pass
    with restored.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM liquidations")).scalar_one() == 1
    restored.dispose()


def test_a_backup_leaves_the_running_bot_its_log(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    log = path.with_name("bot.db-wal")
    size = log.stat().st_size
    backup(path, tmp_path / "copy.db")
    assert log.stat().st_size == size > 0


def test_a_checkpoint_empties_the_log(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    assert checkpoint(engine)
    assert path.with_name("bot.db-wal").stat().st_size == 0
    assert journal_length(path) == 1


def test_a_checkpoint_does_not_wait_for_a_reader(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    with reading(open_reader(path)) as connection:
        connection.execute(text("SELECT count(*) FROM journal")).scalar_one()
        with store.transaction():
            store.journal("news", {})
        assert not checkpoint(engine)
    assert pragma(engine, "busy_timeout") == 5000
    assert journal_length(path) == 2


@pytest.mark.parametrize("name", ["with space", "per%20cent#hash", "币安人生", "what?mode=memory"])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    if os.name == "nt" and "?" in name:
        pytest.skip("no such name on Windows")
    path = tmp_path / name / "bot.db"
    open_ledger(path, NOW).engine.dispose()
    assert path.exists()
    assert journal_length(path) == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_the_files_are_the_owners_alone(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    backup(path, tmp_path / "copy.db")
    files = [*path.parent.glob("bot.db*"), tmp_path / "copy.db"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert {each.name for each in files} >= {"bot.db", "bot.db-wal", "bot.db-shm"}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_a_file_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    make_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("folder", ["Dropbox", "OneDrive - Family", "Google Drive", "iCloudDrive", "Mobile Documents"])
def test_a_synchronised_folder_is_warned_of(tmp_path: Path, folder: str, caplog: pytest.LogCaptureFixture) -> None:
    open_ledger(tmp_path / folder / "bot.db", NOW).engine.dispose()
    assert "synchronised" in caplog.text


def test_an_ordinary_folder_is_not_warned_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_ledger(path, NOW).engine.dispose()
    assert caplog.text == ""


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        quick_check(tmp_path)


def test_a_transaction_that_fails_is_rolled_back_in_the_file(path: Path) -> None:
    make_private(path)
    engine = open_writer(path)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b)"))
        _ = 1 // 0
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    engine.dispose()
