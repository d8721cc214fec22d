"""Another program's database at the bot's path is named and left as it is."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

import main as program
from src.database.foreign import OLDER_BOT as OLDER_NAME
from src.database.foreign import ForeignDatabase, foreign_owner, foreign_remedy, reject_foreign
from src.database.open_database import open_database
from src.settings.config import parse_settings, save_settings
from tests.builders import NOW
from tests.settings.documents import a_document

OLDER_BOT = ("liquidations", "trades", "order_relationships", "order_status", "positions", "position_tranches")


def make(path: Path, tables: Iterable[str], *, journal: str = "delete") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
        connection.commit()
    path.chmod(0o644)


def look_of(path: Path) -> tuple[bytes, int, int, list[str]]:
    """Content, mode and time of a file, and what else is in its folder."""
    found = path.stat()
    return path.read_bytes(), found.st_mode, found.st_mtime_ns, sorted(each.name for each in path.parent.iterdir())


@pytest.mark.parametrize(
    ("tables", "owner"),
    [
        (OLDER_BOT, "the older bot's database"),
        (("liquidations", "trades"), "the older bot's database"),
        (("liquidations",), "the node bot's database"),
        (("trades", "orders", "pairlocks"), "a database of freqtrade"),
        (("operator_commands", "settings_history"), "the dashboard's own control.db"),
        (("notes", "alembic_version"), "with the tables alembic_version, notes"),
        (tuple("abcdefgh"), "with the tables a, b, c, d, e, f, ..."),
    ],
)
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_other_database_is_named_and_left_as_it_is(
    path: Path, tables: tuple[str, ...], owner: str, journal: str
) -> None:
    make(path, tables, journal=journal)
    before = look_of(path)

    with pytest.raises(ForeignDatabase) as caught:
        open_database(path, NOW)

    assert str(caught.value) == (
        f"the database {path} belongs to another program, {owner}: it was left as it is; {foreign_remedy(path, owner)}"
    )
    assert look_of(path) == before


@pytest.mark.parametrize(("is_windows", "move"), [(False, "mv"), (True, "move")])
def test_remedy_has_the_commands_for_the_history_of_a_known_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool, move: str
) -> None:
    monkeypatch.setattr("src.database.foreign._IS_WINDOWS", is_windows)
    path = tmp_path / "my data" / "bot.db"
    make(path, OLDER_BOT)
    quote = '"' if is_windows else "'"
    source, target = (f"{quote}{path.with_name(name)}{quote}" for name in ("bot.db", "older-bot.db"))
    assert foreign_remedy(path, OLDER_NAME) == (
        f"stop that program, then run `{move} {source} {target}` and `python main.py --import-db {target}`, which "
        "takes over its history; or set globals.db_path or DB_PATH to another file, for example data/hunter.db"
    )
    make(path.with_name("older-bot.db"), OLDER_BOT)  # an earlier one is not overwritten
    assert f"{path.with_name('older-2-bot.db')}{quote}`" in foreign_remedy(path, OLDER_NAME)


def test_remedy_for_an_unknown_program_is_another_file(path: Path) -> None:
    assert foreign_remedy(path, "with the tables notes") == (
        "set globals.db_path or DB_PATH to another file, for example data/hunter.db"
    )


def test_database_that_its_program_is_writing_is_named(path: Path) -> None:
    make(path, OLDER_BOT)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        before = look_of(path)
        assert foreign_owner(path) == "the older bot's database"
        assert look_of(path) == before


def test_tables_that_are_only_in_the_log_are_seen(path: Path) -> None:
    make(path, (), journal="wal")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("CREATE TABLE notes (id INTEGER)")
        assert foreign_owner(path) == "with the tables notes"


def test_start_of_the_bot_leaves_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "data" / "bot.db", OLDER_BOT)
    (tmp_path / "data" / "logs").mkdir()
    save_settings(tmp_path / "settings.json", parse_settings(a_document()))
    monkeypatch.setattr(program, "stop_on_signals", lambda _: None)
    monkeypatch.setattr(program, "set_up_logging", lambda *_, **__: None)
    before = look_of(tmp_path / "data" / "bot.db")

    assert program.main(["--home", str(tmp_path)]) == 2

    assert "belongs to another program, the older bot's database" in capsys.readouterr().err
    assert look_of(tmp_path / "data" / "bot.db") == before


def test_own_database_is_not_foreign(path: Path) -> None:
    opened = open_database(path, NOW)
    assert foreign_owner(path) is None
    opened.engine.dispose()
    assert foreign_owner(path) is None


def test_database_of_the_first_version_is_not_foreign(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "bot_0003.sql").read_text(encoding="utf-8"))
    assert foreign_owner(path) is None


def test_own_database_whose_first_migration_was_interrupted_is_not_foreign(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    reject_foreign(path)
    open_database(path, NOW).engine.dispose()
    assert foreign_owner(path) is None


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100, b"SQLite format 3\0" + bytes(900)])
def test_missing_empty_or_damaged_file_is_not_foreign(path: Path, content: bytes | None) -> None:
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    assert foreign_owner(path) is None
