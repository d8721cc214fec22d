"""The database and the bot on it, read and never written."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from src.core.operator.control_files import ControlFiles
from src.database.open_database import open_database
from src.database.repositories import Store
from src.doctor.database import check_database, check_sqlite
from src.domain.checks import Check, CheckLevel
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction
from src.domain.enums import Network
from tests.builders import NOW

OK, WARN, FAIL = CheckLevel


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bot.db"


def a_run(path: Path, *, ended: bool = False, beat_at: int = NOW, **trading: object) -> None:
    """A bot that has written what a bot writes."""
    engine = open_database(path, NOW).engine
    store = Store(engine, ManualClock(NOW))
    with store.transaction():
        store.begin_run("1.0", 7)
        store.set_state("network", {"name": "mainnet"})
        store.set_state("bot", {"pid": 7, "heartbeat_at": beat_at})
        store.set_state("trading", {"state": "ACTIVE", **trading})
        if ended:
            store.end_run()
    engine.dispose()


def found(path: Path, verdict: CheckLevel, network: Network = Network.MAINNET) -> list[Check]:
    return [check for check in check_database(path, network, NOW).checks if check.verdict is verdict]


def test_before_the_first_start_there_is_nothing_to_find_and_nothing_is_made(path: Path) -> None:
    [check] = check_database(path, Network.MAINNET, NOW).checks
    assert (check.verdict, "first start" in check.sentence) == (OK, True)
    assert not path.parent.exists()


def test_running_bot_is_reported_and_its_database_untouched(path: Path) -> None:
    a_run(path)
    before = path.read_bytes()
    findings = check_database(path, Network.MAINNET, NOW)
    assert findings.is_bot_alive
    assert [check.line for check in findings.checks if check.name == "bot"] == [
        "ok    bot: one is running (process 7): ACTIVE"
    ]
    assert path.read_bytes() == before
    log = path.with_name("bot.db-wal")  # SQLite's own, as any reader of a database at rest leaves it
    assert not log.exists() or log.stat().st_size == 0


def test_a_bot_that_waits_for_a_resume_cannot_trade(path: Path) -> None:
    a_run(path, state="REDUCE_ONLY", reason="paused on the page", awaits_resume=True)
    [check] = found(path, FAIL)
    assert "paused on the page" in check.sentence
    assert "--resume" in check.remedy


def test_an_end_that_was_no_end_is_worth_a_look_and_a_clean_one_is_not(path: Path) -> None:
    a_run(path, beat_at=NOW - 60_000)
    assert [check.sentence for check in found(path, WARN)] == ["the last one did not end by itself"]
    a_run(path, ended=True, beat_at=NOW - 60_000)
    assert found(path, WARN) == []


def test_halt_and_pending_flatten_are_reported(path: Path) -> None:
    files = ControlFiles(path)
    files.halt()
    files.write_command(OperatorAction.FLATTEN, NOW)
    [halted], [asked] = found(path, FAIL), found(path, WARN)
    assert "forbids entries" in halted.sentence
    assert "close all positions" in asked.sentence


def test_a_database_of_another_network_is_refused(path: Path) -> None:
    a_run(path)
    [check] = found(path, FAIL, Network.TESTNET)
    assert "holds the trades of mainnet" in check.sentence


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer version"),
        ("DROP TABLE alembic_version", "another program"),
    ],
)
def test_unknown_database_is_reported(path: Path, statement: str, said: str) -> None:
    a_run(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    [check] = found(path, FAIL)
    assert said in check.sentence


def test_a_database_with_nothing_of_ours_in_it_is_another_programs(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trades (id INTEGER)")
        connection.commit()
    path.chmod(0o600)
    findings = check_database(path, Network.MAINNET, NOW)
    assert [check.sentence for check in findings.checks] == [f"{path} belongs to another program"]
    assert not findings.is_bot_alive


def test_an_older_database_is_sound_and_will_be_brought_up_to_date(path: Path) -> None:
    a_run(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    assert any("brought up to date" in check.sentence for check in found(path, OK))


def test_damage_is_reported_and_not_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, by no means" * 100)
    path.chmod(0o600)
    [check] = found(path, FAIL)
    assert "is damaged" in check.sentence
    assert path.read_bytes().startswith(b"this is no database")


def test_a_file_that_cannot_be_opened_is_one_plain_line(path: Path) -> None:
    a_run(path)
    path.with_name("bot.db-wal").unlink(missing_ok=True)
    path.with_name("bot.db-wal").mkdir()
    [check] = found(path, FAIL)
    assert "cannot be read" in check.sentence


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights elsewhere")
def test_readable_database_is_reported(path: Path) -> None:
    a_run(path, ended=True)
    path.chmod(0o644)
    assert [check.remedy for check in found(path, WARN)] == [f"chmod 600 {path}"]


def test_synced_folder_is_reported(tmp_path: Path) -> None:
    [check] = found(tmp_path / "Dropbox" / "bot.db", WARN)
    assert "synchronised folder" in check.sentence


@pytest.mark.parametrize(("version", "said"), [((3, 40, 1), "each file has one"), ((3, 51, 3), "")])
def test_the_known_fault_of_older_sqlite_is_explained(
    version: tuple[int, int, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", version)
    check = check_sqlite()
    assert check.verdict is OK
    assert said in check.sentence
    assert ("fault" in check.sentence) is bool(said)
