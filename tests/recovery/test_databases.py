"""The process is killed during a checkpoint, a migration or a backup of the database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from src.database import open_database as opening
from src.database.db import backup, quick_check
from src.database.open_database import open_database
from src.domain.crash_points import Point
from src.utils.auth import ApiVersion
from tests.builders import NOW
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import PROCESS_SETUPS, BotHarness, Crash, each_setup, with_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

CHECKPOINT_LOOP = """
import sys
from pathlib import Path
from src.database.db import checkpoint
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import SystemClock
clock, number = SystemClock(), int(sys.argv[2])
engine = open_database(Path(sys.argv[1]), clock.now_ms()).engine
store = Store(engine, clock, is_simulated=False)
while True:
    for _ in range(50):
        with store.transaction():
            store.journal("row", {"number": number, "padding": "x" * 3_000})
        print(number, flush=True)
        number += 1
    checkpoint(engine)
"""
CHECKPOINTS = 20
_MAX_CHECKPOINT_MS = 6.0


@with_setup(with_launcher=False, scheme=ApiVersion.V1)
def test_kill_during_a_checkpoint_loses_nothing(make_harness: MakeHarness) -> None:
    harness, random, next_number = make_harness(), Random(19), 0
    path = harness.home / "other.db"
    for _ in range(CHECKPOINTS):
        harness.arm(Crash(Point.CHECKPOINT, after_ms=random.uniform(0, _MAX_CHECKPOINT_MS)))
        output = harness.home / "output.txt"
        output.unlink(missing_ok=True)
        harness.call("-c", CHECKPOINT_LOOP, str(path), str(next_number))
        acknowledged = int(output.read_text(encoding="utf-8").split()[-1])
        assert quick_check(path) is None
        found = numbers(path)
        assert found == list(range(len(found)))
        assert acknowledged <= found[-1] <= acknowledged + 1  # one more may be committed without being printed
        next_number = len(found)


@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_kill_during_a_migration_leaves_the_old_tables(make_harness: MakeHarness) -> None:
    """An updated bot is killed during its migration, then started again."""
    harness = a_database_of_an_older_version(make_harness)
    harness.arm(Crash(Point.MIGRATION))
    harness.launch()
    harness.wait_exited()
    assert quick_check(harness.home / "bot.db") is None
    assert revision(harness.home / "bot.db") == "0003"
    harness.start()
    assert revision(harness.home / "bot.db") == latest_revision()
    harness.open_position()
    harness.check_recovered()


@each_setup("passing", {"1": 1, "2": 2}, variants=[False])
def test_kill_during_first_migration_leaves_all_tables_or_none(make_harness: MakeHarness, passing: int) -> None:
    harness = make_harness()
    harness.arm(Crash(Point.MIGRATION, passing=passing))
    harness.launch()
    harness.wait_exited()
    assert revision(harness.home / "bot.db") == (None if passing == 1 else "0003")
    harness.start()
    harness.open_position()
    harness.check_recovered()


@each_setup("after_ms", {str(each): each for each in (None, 0.3, 1, 3)}, variants=[False])
def test_interrupted_backup_is_repeated(make_harness: MakeHarness, after_ms: float | None) -> None:
    harness = a_database_of_an_older_version(make_harness)
    harness.arm(Crash(Point.BACKUP, after_ms=after_ms))
    harness.launch()
    harness.wait_exited()
    assert quick_check(harness.home / "bot.db") is None
    harness.start()
    [copy] = harness.home.glob("bot.db.before-*")
    assert quick_check(copy) is None
    harness.open_position()
    harness.check_recovered()


@pytest.mark.parametrize(
    ("crash", "process_setup"),
    [
        pytest.param(
            Crash(Point.CHECKPOINT, after_ms=0.5),
            PROCESS_SETUPS[0],
            id=f"checkpoint-{PROCESS_SETUPS[0]}",
        ),
        pytest.param(Crash(Point.BACKUP, after_ms=0.5), PROCESS_SETUPS[1], id=f"daily backup-{PROCESS_SETUPS[1]}"),
    ],
)
def test_kill_during_scheduled_database_work_loses_nothing(harness: BotHarness, crash: Crash) -> None:
    harness.start()
    harness.open_position()
    harness.arm(crash)
    harness.wait_exited()
    assert quick_check(harness.home / "bot.db") is None
    harness.start()
    harness.check_recovered()


def _is_row(line: str) -> bool:
    """Whether the line inserts a row of the bot, not the version of the tables."""
    return line.startswith("INSERT") and "alembic_version" not in line


def a_database_of_an_older_version(make_harness: MakeHarness) -> BotHarness:
    """A home directory of an older version: the first tables, with rows."""
    harness = make_harness()
    dump = Path(__file__).parents[1] / "database" / "bot_0003.sql"
    tables = "".join(each for each in dump.read_text(encoding="utf-8").splitlines(True) if not _is_row(each))
    with closing(sqlite3.connect(harness.home / "bot.db")) as connection:
        connection.executescript(tables)
        rows = ((NOW, f'{{"number": {number}}}') for number in range(2_000))
        connection.executemany("INSERT INTO journal (at, kind, payload) VALUES (?, 'row', ?)", rows)
        connection.commit()
    return harness


def test_backup_replaces_an_interrupted_one(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "bot.db", NOW).engine
    engine.dispose()
    target, part = tmp_path / "copy.db", (tmp_path / "bot.db").read_bytes()[:5_000]
    for leftover in (target, tmp_path / "copy.db.unfinished", tmp_path / "copy.db.unfinished-journal"):
        leftover.write_bytes(part)
    backup(tmp_path / "bot.db", target)
    assert sorted(each.name for each in tmp_path.glob("copy.db*")) == ["copy.db"]
    assert quick_check(target) is None


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT json_extract(payload, '$.number') FROM journal ORDER BY id")
        return [number for (number,) in rows]


def revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(found[0]) if found else None


def latest_revision() -> str:
    return max(each.name[:4] for each in (opening._MIGRATIONS / "versions").glob("0*.py"))
