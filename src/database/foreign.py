"""Recognises another program's database at the bot's path, before anything is changed there."""

import sqlite3
from contextlib import closing
from pathlib import Path

from src.domain.errors import ConfigError

_RUNS = frozenset({"bot_runs", "runs"})
"""The bot's table of runs, by its names since the first version."""
_OLDER_BOT = frozenset({"liquidations", "trades"})
_KNOWN_PROGRAMS = {
    "the dashboard's own control.db": frozenset({"operator_commands", "settings_history"}),
    "a database of freqtrade": frozenset({"trades", "orders", "pairlocks"}),
}
_MAX_NAMED_TABLES = 6
FOREIGN_REMEDY = "set globals.db_path or DB_PATH to another file, for example data/hunter.db"


class ForeignDatabase(ConfigError):
    """The file belongs to another program; it was left as it is."""


def reject_foreign(path: Path) -> None:
    """Raise ForeignDatabase if the file belongs to another program. Changes neither the file nor its folder."""
    owner = foreign_owner(path)
    if owner is not None:
        raise ForeignDatabase(f"{foreign_message(path, owner)}: it was left as it is; {FOREIGN_REMEDY}")


def foreign_message(path: Path, owner: str) -> str:
    return f"the database {path} belongs to another program, {owner}"


def foreign_owner(path: Path) -> str | None:
    """Return what the database is, if it is not the bot's.

    None for the bot's own, of any version, and for a missing, empty, damaged or unreadable file.
    """
    try:
        tables = _tables(path) if path.is_file() and path.stat().st_size else frozenset()
    except (OSError, sqlite3.Error):
        return None
    if not tables or ("alembic_version" in tables and (tables & _RUNS or len(tables) == 1)):
        return None
    return _name(tables)


def _tables(path: Path) -> frozenset[str]:
    """The tables of a file, read without a lock or a new file beside it.

    SQLite makes a log and its index when it opens a database in WAL mode, unless that is said to be immutable. One
    whose log holds changes must be read with it.
    """
    log = path.with_name(f"{path.name}-wal")
    has_log = log.is_file() and log.stat().st_size > 0
    address = f"{path.absolute().as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
    with closing(sqlite3.connect(address, uri=True, timeout=1)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset(name for (name,) in found if not name.startswith("sqlite_"))


def _name(tables: frozenset[str]) -> str:
    for program, known in _KNOWN_PROGRAMS.items():
        if known <= tables:
            return program
    if tables >= _OLDER_BOT and not tables & _RUNS:
        return "the older bot's database"
    named = ", ".join(sorted(tables)[:_MAX_NAMED_TABLES])
    return f"with the tables {named}" + (", ..." if len(tables) > _MAX_NAMED_TABLES else "")
