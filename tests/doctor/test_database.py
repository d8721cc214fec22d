"""Checks of the database and of a running bot; the database is never written."""

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
    """Write the state rows of a bot run."""
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


def found(path: Path, level: CheckLevel, network: Network = Network.MAINNET) -> list[Check]:
    return [check for check in check_database(path, network, NOW).checks if check.level is level]


def test_missing_database_is_not_created(path: Path) -> None:
    [check] = check_database(path, Network.MAINNET, NOW).checks
    assert (check.level, "first start" in check.message) == (OK, True)
    assert not path.parent.exists()


def test_running_bot_is_reported_without_writing(path: Path) -> None:
    a_run(path)
    before = path.read_bytes()
    findings = check_database(path, Network.MAINNET, NOW)
    assert findings.is_bot_alive
    assert [check.line for check in findings.checks if check.name == "bot"] == [
        "ok    bot: running (process 7): ACTIVE"
    ]
    assert path.read_bytes() == before
    log = path.with_name("bot.db-wal")  # created by SQLite for any reader
    assert not log.exists() or log.stat().st_size == 0


def test_bot_that_needs_resume_fails_the_check(path: Path) -> None:
    a_run(path, state="REDUCE_ONLY", reason="paused on the page", needs_resume=True)
    [check] = found(path, FAIL)
    assert "paused on the page" in check.message
    assert "--resume" in check.remedy


def test_only_an_unclean_shutdown_is_a_warning(path: Path) -> None:
    a_run(path, beat_at=NOW - 60_000)
    assert [check.message for check in found(path, WARN)] == ["the last run did not shut down cleanly"]
    a_run(path, ended=True, beat_at=NOW - 60_000)
    assert found(path, WARN) == []


def test_halt_and_pending_flatten_are_reported(path: Path) -> None:
    files = ControlFiles(path)
    files.halt()
    files.write_command(OperatorAction.FLATTEN, NOW)
    [halted], [pending] = found(path, FAIL), found(path, WARN)
    assert "blocks entries" in halted.message
    assert "close all positions" in pending.message


def test_database_of_another_network_fails_the_check(path: Path) -> None:
    a_run(path)
    [check] = found(path, FAIL, Network.TESTNET)
    assert "holds trades of mainnet" in check.message


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
    assert said in check.message


def test_database_of_another_program_is_reported(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trades (id INTEGER)")
        connection.commit()
    path.chmod(0o644)
    before = path.read_bytes(), path.stat().st_mode, list(path.parent.iterdir())
    findings = check_database(path, Network.MAINNET, NOW)
    [check] = findings.checks
    assert check.message == f"the database {path} belongs to another program, with the tables trades"
    assert "to another file, for example data/hunter.db" in check.line
    assert (path.read_bytes(), path.stat().st_mode, list(path.parent.iterdir())) == before
    assert not findings.is_bot_alive


def test_older_database_will_be_upgraded(path: Path) -> None:
    path.parent.mkdir()
    dump = Path(__file__).parents[1] / "database" / "bot_0003.sql"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    path.chmod(0o600)
    [check] = found(path, OK)
    assert check.message == f"{path} is intact, version 0003; the next start upgrades it, after a backup"


def test_damaged_database_is_reported_and_unchanged(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, by no means" * 100)
    path.chmod(0o600)
    [check] = found(path, FAIL)
    assert "is damaged" in check.message
    assert path.read_bytes().startswith(b"this is no database")


def test_unreadable_database_is_reported(path: Path) -> None:
    a_run(path)
    path.with_name("bot.db-wal").unlink(missing_ok=True)
    path.with_name("bot.db-wal").mkdir()
    [check] = found(path, FAIL)
    assert "cannot be read" in check.message


@pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX permissions")
def test_readable_database_is_reported(path: Path) -> None:
    a_run(path, ended=True)
    path.chmod(0o644)
    assert [check.remedy for check in found(path, WARN)] == [f"chmod 600 {path}"]


def test_synced_folder_is_reported(tmp_path: Path) -> None:
    [check] = found(tmp_path / "Dropbox" / "bot.db", WARN)
    assert "synchronised folder" in check.message


@pytest.mark.parametrize(("version", "said"), [((3, 40, 1), "only one writer"), ((3, 51, 3), "")])
def test_bug_of_older_sqlite_is_explained(
    version: tuple[int, int, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", version)
    check = check_sqlite()
    assert check.level is OK
    assert said in check.message
    assert ("bug" in check.message) is bool(said)
