import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from src.database import ledger
from src.database.db import quick_check
from src.database.ledger import newest_revision, open_ledger
from src.database.models import Ledger
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.errors import ConfigError
from tests.builders import NOW

ROOT = Path(__file__).parents[2]
NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9998"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
"""


def next_one(then: str = "") -> str:
    """A migration that follows all that are there."""
    newest = max(each.name for each in (ledger._MIGRATIONS / "versions").glob("0*.py"))
    return NEXT_MIGRATION.format(head=newest[:4], then=then)


@pytest.fixture
def next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The migrations, copied to where a second one can be added."""
    import shutil

    copy = tmp_path / "migrations"
    shutil.copytree(ledger._MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(ledger, "_MIGRATIONS", copy)
    yield copy / "versions" / "9998_notes.py"


def count_of_runs(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def open_with_a_run(path: Path) -> None:
    """A database with one row in it, closed again."""
    engine = open_ledger(path, NOW).engine
    store = Store(engine, ManualClock(NOW))
    with store.transaction():
        store.begin_run("1.0", 1)
    engine.dispose()


def test_a_fresh_database_has_every_table(path: Path) -> None:
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    assert opened.moved_aside is None
    assert tables_of(path) >= set(Ledger.metadata.tables)


def test_the_newest_migration_is_the_last_by_its_name() -> None:
    scripts = ScriptDirectory(str(ledger._MIGRATIONS))
    assert newest_revision() == scripts.get_current_head()


def test_a_database_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    open_with_a_run(path)
    script = (
        "import sys; from pathlib import Path; from src.database.ledger import open_ledger\n"
        "open_ledger(Path(sys.argv[1]), 1).engine.dispose(); print('alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Ledger.metadata) == []


def test_an_existing_database_keeps_its_rows_and_needs_no_copy(path: Path) -> None:
    open_with_a_run(path)
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    assert opened.moved_aside is None
    assert count_of_runs(path) == 1
    assert list(path.parent.glob("*.before-*")) == []


def test_a_database_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    open_with_a_run(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(ConfigError, match="newer version of this program"):
        open_ledger(path, NOW)
    assert count_of_runs(path) == 1


def test_a_database_of_another_program_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trades (id INTEGER)")
        connection.commit()
    with pytest.raises(ConfigError, match="another program"):
        open_ledger(path, NOW)
    assert tables_of(path) == {"trades"}


@pytest.mark.parametrize(
    "damage", [b"this is not a database at all, by no means" * 100, b"SQLite format 3\0" + bytes(900)]
)
def test_a_corrupt_database_is_moved_aside_whole(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_bytes(damage)
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    aside = path.with_name(f"bot.db.corrupt-{NOW}")
    assert opened.moved_aside == aside
    assert aside.read_bytes() == damage
    assert quick_check(path) is None
    assert tables_of(path) >= set(Ledger.metadata.tables)


def test_a_damaged_page_is_found_and_nothing_of_the_old_file_is_lost(path: Path) -> None:
    open_with_a_run(path)
    content = path.read_bytes()
    middle = len(content) // 2
    broken = content[:middle] + b"\xff" * 8192 + content[middle + 8192 :]
    path.write_bytes(broken)
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    assert opened.moved_aside is not None
    assert opened.moved_aside.read_bytes() == broken
    assert count_of_runs(path) == 0


def test_a_directory_that_cannot_be_made_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands where the directory should", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_ledger(tmp_path / "data" / "bot.db", NOW)


def test_a_sound_database_that_cannot_be_opened_now_is_not_moved_aside(path: Path) -> None:
    open_with_a_run(path)
    log = path.with_name("bot.db-wal")
    log.mkdir()
    with pytest.raises(ConfigError, match=r"bot\.db"):
        open_ledger(path, NOW)
    log.rmdir()
    assert count_of_runs(path) == 1
    assert list(path.parent.glob("*.corrupt-*")) == []


@pytest.mark.slow
def test_a_database_held_by_another_program_is_not_moved_aside(path: Path) -> None:
    open_with_a_run(path)
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match="locked"):
            open_ledger(path, NOW)
    assert count_of_runs(path) == 1


def test_a_migration_keeps_a_copy_of_what_was_before(path: Path, next_migration: Path) -> None:
    open_with_a_run(path)
    next_migration.write_text(next_one(), encoding="utf-8")
    open_ledger(path, NOW).engine.dispose()
    before = path.with_name("bot.db.before-9998")
    assert "notes" in tables_of(path)
    assert "notes" not in tables_of(before)
    assert (count_of_runs(path), count_of_runs(before)) == (1, 1)


def test_a_migration_that_breaks_off_leaves_the_old_database(path: Path, next_migration: Path) -> None:
    open_with_a_run(path)
    next_migration.write_text(next_one("raise KeyboardInterrupt"), encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        open_ledger(path, NOW)
    assert "notes" not in tables_of(path)
    next_migration.write_text(next_one(), encoding="utf-8")
    open_ledger(path, NOW).engine.dispose()
    assert "notes" in tables_of(path)
    assert count_of_runs(path) == 1


def test_a_database_held_by_another_program_is_opened_all_the_same(path: Path) -> None:
    """A bot that starts again must protect, and needs nothing written for that (F43)."""
    open_with_a_run(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = Store(open_ledger(path, NOW).engine, ManualClock(NOW))
        with store.transaction():
            assert store.load_open_orders() == []
        assert store.fault == "another program holds it"
        other.execute("ROLLBACK")


def test_a_new_database_that_is_held_by_another_program_is_to_be_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.database.db.BUSY_TIMEOUT_MS", 0)
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ledger.Unavailable, match="cannot be written"):
            open_ledger(path, NOW)


def spoil_an_index(path: Path) -> None:
    """A row that an index does not know: what a quick look does not see."""
    name = "ix_runs_spoilt"
    for step in range(3):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            if step == 0:
                connection.execute(f"CREATE INDEX {name} ON runs (version)")
                saved = connection.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,)).fetchone()
                connection.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
            elif step == 1:
                connection.execute("INSERT INTO runs (version, pid, started_at) VALUES ('2.0', 2, 2)")
            else:
                connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", saved)


def test_after_an_unclean_end_all_of_the_file_is_looked_at(path: Path) -> None:
    open_with_a_run(path)
    spoil_an_index(path)
    assert quick_check(path) is None
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    assert opened.moved_aside is not None
    assert opened.moved_aside.exists()
    assert count_of_runs(path) == 0


def test_after_a_clean_end_a_quick_look_is_enough(path: Path) -> None:
    open_with_a_run(path)
    spoil_an_index(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE runs SET ended_at = 5")
    opened = open_ledger(path, NOW)
    opened.engine.dispose()
    assert opened.moved_aside is None
