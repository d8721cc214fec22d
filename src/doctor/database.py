"""Checks of the bot's database and of a running bot; the database is only read."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from src.core.operator.control_files import ControlFiles
from src.database.db import open_reader, quick_check, read_transaction
from src.database.foreign import foreign_message, foreign_owner, foreign_remedy
from src.database.open_database import is_synced_folder, newest_revision, revision_of
from src.database.queries.account import is_bot_alive, is_run_ended, state
from src.domain.checks import Check, failed, passed, warned
from src.domain.commands import OperatorAction
from src.domain.enums import Network
from src.domain.errors import ConfigError

_DATABASE, _BOT, _SQLITE = "database", "bot", "sqlite"
_SEPARATE_DATABASES = "give each its own database (globals.db_path or DB_PATH)"
_FIXED_SQLITE = (3, 51, 3)
"""First version without the WAL reset bug (sqlite.org/wal.html#walresetbug)."""
_RESUME = "resume with python main.py --resume"


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    checks: tuple[Check, ...]
    is_bot_alive: bool = False
    bot_state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """State rows of the bot's database, by key."""


def check_sqlite() -> Check:
    """Report the SQLite version. Versions with the WAL reset bug are safe here: each file has only one writer."""
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= _FIXED_SQLITE:
        return passed(_SQLITE, found)
    return passed(_SQLITE, f"{found}; its WAL reset bug needs two writers, and each file has only one writer")


def check_database(database: Path, network: Network, now_ms: int) -> DatabaseReport:
    """Check location, integrity, version and owner of the database, then the bot that runs on it."""
    if (owner := foreign_owner(database)) is not None:
        return DatabaseReport((failed(_DATABASE, foreign_message(database, owner), foreign_remedy(database, owner)),))
    before = (*_check_location(database), *_check_halt(database))
    if not database.exists():
        return DatabaseReport((*before, passed(_DATABASE, f"{database} will be created at the first start")))
    try:
        fault = quick_check(database)
        if fault is not None:
            remedy = (
                "the bot moves it aside, creates a new one and reads positions from the exchange; keep the old file"
            )
            return DatabaseReport((*before, failed(_DATABASE, f"{database} is damaged ({fault})", remedy)))
        with read_transaction(open_reader(database)) as connection:
            revision = revision_of(connection)
            if revision is None:
                return DatabaseReport(
                    (*before, failed(_DATABASE, f"{database} belongs to another program", _SEPARATE_DATABASES))
                )
            if revision != newest_revision():
                return DatabaseReport((*before, _check_revision(database, revision)))
            found = tuple(_check_contents(connection, _Location(database, network), now_ms))
            return DatabaseReport((*before, *found), is_bot_alive(connection, now_ms), state(connection))
    except (ConfigError, SQLAlchemyError) as error:
        reason = getattr(error, "orig", None) or error
        remedy = "check whether another program locks it, and its permissions"
        return DatabaseReport((*before, failed(_DATABASE, f"{database} cannot be read: {reason}", remedy)))


def _check_location(database: Path) -> Iterator[Check]:
    if is_synced_folder(database):
        remedy = "move it to another folder (globals.db_path or DB_PATH)"
        yield warned(_DATABASE, f"{database} is in a synchronised folder, which can damage it", remedy)
    directory = next(each for each in database.parents if each.exists())
    if not os.access(directory, os.W_OK):
        yield failed(_DATABASE, f"{directory} is not writable", "give this user write permission")
    if os.name != "nt" and database.exists() and database.stat().st_mode & 0o077:
        yield warned(_DATABASE, f"other users of this machine can read {database}", f"chmod 600 {database}")


def _check_halt(database: Path) -> Iterator[Check]:
    files = ControlFiles(database)
    if files.is_halted:
        yield failed(_BOT, f"the file {files.halt_file} blocks entries", _RESUME)
    if any(request.action is OperatorAction.FLATTEN for request in files.pending()):
        remedy = f"delete it from {database.with_name('commands')} to withdraw it"
        yield warned(_BOT, "a command to close all positions is pending", remedy)


@dataclass(frozen=True, slots=True)
class _Location:
    database: Path
    network: Network


def _check_revision(database: Path, revision: str) -> Check:
    if revision > newest_revision():
        return failed(_DATABASE, f"{database} was written by a newer version of this program", "update the program")
    return passed(_DATABASE, f"{database} is intact, version {revision}; the next start upgrades it, after a backup")


def _check_contents(connection: Connection, location: _Location, now_ms: int) -> Iterator[Check]:
    known = state(connection)
    owner = known.get("network", {}).get("name", location.network)
    if owner != location.network:
        message = f"{location.database} holds trades of {owner}, but the configured network is {location.network}"
        yield failed(_DATABASE, message, _SEPARATE_DATABASES)
    else:
        yield passed(_DATABASE, f"{location.database} is intact, version {newest_revision()}")
    yield from _check_bot(connection, known, now_ms)


def _check_bot(connection: Connection, known: Mapping[str, Mapping[str, Any]], now_ms: int) -> Iterator[Check]:
    bot, trading = known.get("bot", {}), known.get("trading", {})
    if is_bot_alive(connection, now_ms):
        yield passed(_BOT, f"running (process {bot.get('pid')}): {trading.get('state')}")
        if trading.get("needs_resume"):
            yield failed(_BOT, f"entries are blocked: {trading.get('reason')}", _RESUME)
    elif bot and not is_run_ended(connection):
        remedy = "nothing to do: the next start reconciles with the exchange"
        yield warned(_BOT, "the last run did not shut down cleanly", remedy)
    else:
        yield passed(_BOT, "not running")
