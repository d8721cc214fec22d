"""Recognises another program's database at the bot's path, before anything is changed there."""

import os
import shlex
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from src.domain.errors import ConfigError

_RUNS = frozenset({"bot_runs", "runs"})
"""The bot's table of runs, by its names since the first version."""
OLDER_BOT, NODE_BOT = "the older bot's database", "the node bot's database"
_TABLES_OF_OLDER_BOT, _TABLES_OF_NODE_BOT = frozenset({"liquidations", "trades"}), frozenset({"liquidations"})
_COLUMNS_OF_NODE_BOT = frozenset({"event_time", "volume_usdt"})
"""Of its liquidations: later versions and copies of it may have more tables."""
_KNOWN_PROGRAMS = {
    "the dashboard's own control.db": frozenset({"operator_commands", "settings_history"}),
    "history imported from other bots": frozenset({"imports", "liquidations", "trades"}),
    "a database of freqtrade": frozenset({"trades", "orders", "pairlocks"}),
}
_NONE: frozenset[str] = frozenset()
_IS_WINDOWS = os.name == "nt"
_MAX_NAMED_TABLES = 6
IMPORT_COMMAND = "python main.py --import-db"
_ANOTHER_FILE = "set globals.db_path or DB_PATH to another file, for example data/hunter.db"


class ForeignDatabase(ConfigError):
    """The file belongs to another program; it was left as it is."""


def reject_foreign(path: Path) -> None:
    """Raise ForeignDatabase if the file belongs to another program. Changes neither the file nor its folder."""
    owner = foreign_owner(path)
    if owner is not None:
        raise ForeignDatabase(f"{foreign_message(path, owner)}: it was left as it is; {foreign_remedy(path, owner)}")


def foreign_message(path: Path, owner: str) -> str:
    return f"the database {path} belongs to another program, {owner}"


def foreign_remedy(path: Path, owner: str) -> str:
    """What to do, with the commands; the history of a known bot can be imported."""
    if owner not in (OLDER_BOT, NODE_BOT):
        return _ANOTHER_FILE
    target = _free_name(path)
    move, importing = _command("move" if _IS_WINDOWS else "mv", path, target), _command(IMPORT_COMMAND, target)
    return f"stop that program, then run `{move}` and `{importing}`, which takes over its history; or {_ANOTHER_FILE}"


def _free_name(path: Path) -> Path:
    names = (f"older-{path.name}" if number == 1 else f"older-{number}-{path.name}" for number in count(1))
    return next(target for name in names if not (target := path.with_name(name)).exists())


def _command(name: str, *paths: Path) -> str:
    """A command to copy into the terminal, with quotes around paths that need them."""
    return " ".join([name, *(f'"{path}"' if _IS_WINDOWS else shlex.quote(str(path)) for path in paths)])


def foreign_owner(path: Path) -> str | None:
    """Return what the database is, if it is not the bot's.

    None for the bot's own, of any version, and for a missing, empty, damaged or unreadable file.
    """
    try:
        tables, columns = _look_into(path) if path.is_file() and path.stat().st_size else (_NONE, _NONE)
    except (OSError, sqlite3.Error):
        return None
    if not tables or ("alembic_version" in tables and (tables & _RUNS or len(tables) == 1)):
        return None
    return _name(tables, columns)


def _look_into(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The tables of a file and the columns of its liquidations, read without a lock or a new file beside it.

    SQLite makes a log and its index when it opens a database in WAL mode, unless that is said to be immutable. One
    whose log holds changes must be read with it.
    """
    log = path.with_name(f"{path.name}-wal")
    has_log = log.is_file() and log.stat().st_size > 0
    address = f"{path.absolute().as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
    with closing(sqlite3.connect(address, uri=True, timeout=1)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        columns = connection.execute("SELECT name FROM pragma_table_info('liquidations')").fetchall()
    return (
        frozenset(name for (name,) in found if not name.startswith("sqlite_")),
        frozenset(name for (name,) in columns),
    )


def is_write_ahead(path: Path) -> bool:
    """Whether a database is in WAL mode, by its header (bytes 18 and 19 are 2). Raises OSError."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _name(tables: frozenset[str], columns: frozenset[str]) -> str:
    for program, known in _KNOWN_PROGRAMS.items():
        if known <= tables:
            return program
    if not tables & _RUNS and (tables == _TABLES_OF_NODE_BOT or columns >= _COLUMNS_OF_NODE_BOT):
        return NODE_BOT
    if not tables & _RUNS and tables >= _TABLES_OF_OLDER_BOT:
        return OLDER_BOT
    named = ", ".join(sorted(tables)[:_MAX_NAMED_TABLES])
    return f"with the tables {named}" + (", ..." if len(tables) > _MAX_NAMED_TABLES else "")
