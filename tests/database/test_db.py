"""SQLite connections, backups and checkpoints; liquidated volume in SQL and in memory."""

import os
import sqlite3
import stat
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import OperationalError

from src.database.db import (
    backup,
    checkpoint,
    data_version,
    get_usdt_volume_in_window,
    get_volume_in_window,
    insert_liquidation,
    make_private,
    open_reader,
    open_writer,
    quick_check,
    read_transaction,
)
from src.database.models import BotBase, JournalRow
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.enums import Side
from src.domain.errors import ConfigError
from src.domain.market import Liquidation, LiquidationWindow
from tests.builders import NOW, D, a_liquidation
from tests.database.helpers import HOLD_A_TRANSACTION, WRITERS, kill, python, read_line, send_line


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def journal_length(path: Path) -> int:
    engine = open_reader(path)
    with read_transaction(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM journal")).scalar_one())


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 5000), ("foreign_keys", 1), ("mmap_size", 0)],
)
def test_writer_pragmas_are_durable(engine: Engine, name: str, value: object) -> None:
    assert pragma(engine, name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("query_only", 1), ("wal_autocheckpoint", 0), ("busy_timeout", 5000), ("mmap_size", 0)]
)
def test_reader_pragmas_are_read_only(engine: Engine, path: Path, name: str, value: object) -> None:
    pragma(engine, "journal_mode")  # the file is there
    assert pragma(open_reader(path), name) == value


@pytest.mark.usefixtures("engine")
def test_reader_cannot_write(path: Path) -> None:
    reader = open_reader(path)
    with pytest.raises(OperationalError, match="readonly"), read_transaction(reader) as connection:
        connection.execute(insert(JournalRow).values(recorded_at=1, kind="news", payload={}))


def test_reader_does_not_create_missing_file(path: Path) -> None:
    with pytest.raises(OperationalError), read_transaction(open_reader(path)):
        pytest.fail("there is nothing to read")
    assert not path.exists()


def test_reader_works_after_clean_shutdown(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    engine.dispose()
    assert not path.with_name("bot.db-wal").exists()
    assert journal_length(path) == 1


def test_reader_sees_rows_committed_before_a_kill(path: Path) -> None:
    with python(WRITERS) as writers:
        send_line(writers, f"{path} 0")
        writer = int(read_line(writers).removeprefix("writer "))
        while read_line(writers) != "20":
            pass
        kill(writer)
        while read_line(writers) not in ("dead", ""):
            pass
    assert journal_length(path) >= 2 * 21


def test_read_transaction_is_consistent_while_bot_writes(path: Path, store: Store) -> None:
    with read_transaction(open_reader(path)) as connection:
        count = text("SELECT count(*) FROM journal")
        before = connection.execute(count).scalar_one()
        with store.transaction():
            store.journal("news", {})
        assert connection.execute(count).scalar_one() == before == 0
    assert journal_length(path) == 1


def test_data_version_changes_with_each_commit(path: Path, store: Store) -> None:
    with open_reader(path).connect() as connection:
        before = data_version(connection)
        assert data_version(connection) == before
        with store.transaction():
            store.journal("news", {})
        assert data_version(connection) != before


def test_second_writer_waits_for_the_first(path: Path, engine: Engine) -> None:
    with python(HOLD_A_TRANSACTION, path) as other:
        assert read_line(other) == "begun"
        release = threading.Timer(0.3, lambda: other.stdin and (other.stdin.write("\n"), other.stdin.flush()))
        release.start()
        with engine.begin() as connection:  # a deferred one would fail at once: "database is locked"
            assert connection.execute(text("SELECT version FROM bot_runs")).scalar_one() == "held"
        release.join()


def test_threads_share_the_writer(path: Path, engine: Engine) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            with engine.begin() as connection:
                connection.execute(insert(JournalRow).values(recorded_at=number, kind="news", payload={}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert journal_length(path) == 80


def test_decision_requires_liquidation(engine: Engine) -> None:
    values = {"symbol": "X", "liquidation_side": "BUY", "reason": "", "numbers": {}, "window_volume": 0, "threshold": 0}
    orphan = BotBase.metadata.tables["decisions"].insert().values(liquidation_id=7, decided_at=1, **values)
    with pytest.raises(Exception, match="FOREIGN KEY"), engine.begin() as connection:
        connection.execute(orphan)


STATISTICS = {"hourly_volume.volume", "symbol_volume.volume", "daily_equity.highest"}
"""Figures of the market and of a chart, from which no result and no limit is made."""


def test_money_must_be_decimal() -> None:
    floats = ("FLOAT", "REAL", "NUMERIC", "DOUBLE", "DECIMAL")
    columns = [column for table in BotBase.metadata.tables.values() for column in table.columns]
    assert {str(each) for each in columns if str(each.type).startswith(floats)} == STATISTICS


def test_backup_includes_write_ahead_log(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation()])
    target = tmp_path / "copy.db"
    backup(path, target)
    assert quick_check(target) is None
    restored = open_database(target, NOW).engine
    with Store(restored, store._clock).transaction():
        pass
    with restored.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM liquidations")).scalar_one() == 1
    restored.dispose()


def test_backup_keeps_log_of_running_bot(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    log = path.with_name("bot.db-wal")
    size = log.stat().st_size
    backup(path, tmp_path / "copy.db")
    assert log.stat().st_size == size > 0


def test_checkpoint_truncates_log(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    assert checkpoint(engine)
    assert path.with_name("bot.db-wal").stat().st_size == 0
    assert journal_length(path) == 1


def test_checkpoint_does_not_wait_for_reader(path: Path, engine: Engine, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    with read_transaction(open_reader(path)) as connection:
        connection.execute(text("SELECT count(*) FROM journal")).scalar_one()
        with store.transaction():
            store.journal("news", {})
        assert not checkpoint(engine)
    assert pragma(engine, "busy_timeout") == 5000
    assert journal_length(path) == 2


@pytest.mark.parametrize("name", ["with space", "per%20cent#hash", "币安人生", "what?mode=memory"])
def test_path_may_contain_special_characters(tmp_path: Path, name: str) -> None:
    if os.name == "nt" and "?" in name:
        pytest.skip("no such name on Windows")
    path = tmp_path / name / "bot.db"
    open_database(path, NOW).engine.dispose()
    assert path.exists()
    assert journal_length(path) == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_files_are_private_to_owner(path: Path, tmp_path: Path, store: Store) -> None:
    with store.transaction():
        store.journal("news", {})
    backup(path, tmp_path / "copy.db")
    files = [*path.parent.glob("bot.db*"), tmp_path / "copy.db"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert {each.name for each in files} >= {"bot.db", "bot.db-wal", "bot.db-shm"}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_readable_file_is_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    make_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("folder", ["Dropbox", "OneDrive - Family", "Google Drive", "iCloudDrive", "Mobile Documents"])
def test_synced_folder_is_warned_about(tmp_path: Path, folder: str, caplog: pytest.LogCaptureFixture) -> None:
    open_database(tmp_path / folder / "bot.db", NOW).engine.dispose()
    assert "synchronised" in caplog.text


def test_local_folder_is_not_warned_about(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_database(path, NOW).engine.dispose()
    assert caplog.text == ""


def test_directory_is_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        quick_check(tmp_path)


def test_failed_transaction_is_rolled_back_in_file(path: Path) -> None:
    make_private(path)
    engine = open_writer(path)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b)"))
        _ = 1 // 0
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    engine.dispose()


WINDOW_SEC = 60
SIDES = (None, Side.BUY, Side.SELL)

money = st.decimals("0.001", "1000000", places=3)
liquidations = st.builds(
    Liquidation,
    symbol=st.sampled_from(["BTCUSDT", "币安人生USDT"]),
    side=st.sampled_from(Side),
    quantity=money,
    price=money,
    average_price=st.just(D(0)) | money,
    filled_quantity=st.just(D(0)) | money,
    traded_at=st.integers(NOW - 150_000, NOW + 5_000),
    event_at=st.just(NOW),
    received_at=st.just(NOW),
)


def sql_answers(connection: Connection, symbol: str, now_ms: int) -> list[Decimal]:
    functions = (get_volume_in_window, get_usdt_volume_in_window)
    return [each(connection, symbol, WINDOW_SEC, now_ms, side) for each in functions for side in SIDES]


def window_answers(window: LiquidationWindow, symbol: str, now_ms: int) -> list[Decimal]:
    functions = (window.get_volume_in_window, window.get_usdt_volume_in_window)
    return [each(symbol, now_ms, side) for each in functions for side in SIDES]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(liquidations, st.integers(0, 90_000)), max_size=12))
def test_sql_and_memory_volumes_agree(steps: list[tuple[Liquidation, int]]) -> None:
    window, now_ms = LiquidationWindow(WINDOW_SEC * 1000), NOW - 90_000
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        engine = open_database(Path(directory) / "bot.db", NOW).engine
        with engine.begin() as connection:
            for liquidation, passed_ms in steps:
                insert_liquidation(connection, liquidation)
                window.add(liquidation)
                now_ms += passed_ms
                for symbol in ("BTCUSDT", "币安人生USDT"):
                    assert sql_answers(connection, symbol, now_ms) == window_answers(window, symbol, now_ms)
        engine.dispose()


def test_window_volume_is_exact(connection: Connection) -> None:
    for number in range(10):
        insert_liquidation(
            connection, a_liquidation(filled_quantity=D("0.1"), average_price=D(3), traded_at=NOW + number)
        )
    assert get_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW) == D("1.0")
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW) == D("3.0")


def test_window_start_is_exclusive(connection: Connection) -> None:
    insert_liquidation(connection, a_liquidation(1_000, traded_at=NOW - 60_000))
    insert_liquidation(connection, a_liquidation(2_000, traded_at=NOW - 59_999))
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW, Side.SELL) == 2_000
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW, Side.BUY) == 0


def test_liquidation_ids_are_unique(connection: Connection) -> None:
    ids = [insert_liquidation(connection, a_liquidation()) for _ in range(3)]
    assert len(set(ids)) == 3
