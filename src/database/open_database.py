"""Opens the bot's database: checks it, migrates it, and locks it for one bot."""

import errno
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError, OperationalError

from src.database.db import make_private, open_reader, open_writer, quarantine, quick_check, read_transaction
from src.database.foreign import reject_foreign
from src.database.integrity import damage_mark
from src.database.writer import is_transient
from src.domain.errors import ConfigError
from src.utils.files import lock_exclusively

log = logging.getLogger("hunter.database")

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCKED_ERRNOS = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""Errors of a lock held by another process."""
CHECKED_AT_START_BYTES = 16 * 1024 * 1024
"""A larger database is checked while the bot runs (``IntegrityCheck``): to read it from a cold disk takes seconds."""
_MOUNTS = Path("/proc/mounts")
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "ncpfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "davfs")
_SYNC_FOLDERS = ("dropbox", "onedrive", "google drive", "googledrive", "icloud", "mobile documents")


class AlreadyRunning(ConfigError):
    """Another bot uses this database."""


class DatabaseBusy(ConfigError):
    """The database cannot be used now, for no reason in the settings; a later start may succeed."""


@dataclass(frozen=True, slots=True)
class OpenedDatabase:
    """An open database, ready for writing."""

    engine: Engine
    quarantined_to: Path | None
    """The new path of the previous database, if it was corrupt."""
    needs_check: bool = False
    """Whether its integrity has yet to be checked."""


def open_database(path: Path, now_ms: int) -> OpenedDatabase:
    """Check, migrate and open the bot's database. Raises ConfigError if it cannot be used."""
    if is_synced_folder(path):
        log.warning("the database %s is in a synchronised folder, which can damage it: move it elsewhere", path)
    if is_network_drive(path):
        log.warning("the database %s is on a network drive, which can damage it: move it to a local disk", path)
    reject_foreign(path)
    needs_check = _is_large(path) and not damage_mark(path).exists()
    damage = _open_fault(path) if needs_check else quick_check(path, thorough=not _is_large(path) and _was_killed(path))
    with suppress(OSError):  # then the next start checks the whole file again
        damage_mark(path).unlink(missing_ok=True)
    quarantined = None
    if damage is not None:
        quarantined = quarantine(path, now_ms)
        log.error("database damaged (%s), moved to %s; a new one is created", damage, quarantined)
    make_private(path)
    engine = open_writer(path)
    try:
        _migrate(engine, path)
    except ConfigError:
        engine.dispose()
        raise
    except OperationalError as error:
        engine.dispose()
        kind = DatabaseBusy if is_transient(error) else ConfigError
        raise kind(f"the database {path} cannot be written: {error.orig}") from error
    return OpenedDatabase(engine, quarantined, needs_check and quarantined is None)


def _is_large(path: Path) -> bool:
    return path.exists() and path.stat().st_size > CHECKED_AT_START_BYTES


def _open_fault(path: Path) -> str | None:
    """Why a file cannot even be opened as a database; None if it can."""
    try:
        with read_transaction(open_reader(path)) as connection:
            revision_of(connection)
    except OperationalError as error:
        raise ConfigError(f"the database {path} cannot be read: {error.orig}") from error
    except DatabaseError as error:
        return str(error.orig)
    return None


def _was_killed(path: Path) -> bool:
    """Whether the last run did not end cleanly: then indexes are checked too."""
    if not path.exists():
        return False
    try:
        with read_transaction(open_reader(path)) as connection:
            table = connection.scalar(text("SELECT name FROM sqlite_master WHERE name IN ('bot_runs', 'runs')"))
            found = connection.execute(text(f"SELECT ended_at FROM {table} ORDER BY id DESC LIMIT 1")).first()
    except DatabaseError:  # a new file, or a damaged one, which the quick check finds too
        return False
    return found is not None and found.ended_at is None


def is_synced_folder(path: Path) -> bool:
    """Whether a sync program such as Dropbox watches the folder."""
    folders = " ".join(path.absolute().parent.parts).lower()
    return any(name in folders for name in _SYNC_FOLDERS)


def _migrate(engine: Engine, path: Path) -> None:
    """Migrate if needed. An up-to-date file is not written, so that a bot can start while it is locked (F43)."""
    with read_transaction(open_reader(path)) as connection:
        found = revision_of(connection)
    if found != newest_revision():
        from src.database.upgrade import migrate

        migrate(engine, path, _MIGRATIONS)


def newest_revision() -> str:
    """Return the latest revision; the names of migration files start with their revision."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database; None if it is not one of the bot."""
    if connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


class DatabaseLock:
    """A file lock that allows one bot per database (I31); the system releases it when the process exits."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Acquire the lock without waiting. Raises AlreadyRunning with the process that holds it."""
        make_private(self._path)
        file = self._path.open("r+", encoding="ascii")
        try:
            lock_exclusively(file.fileno())
        except OSError as error:
            file.close()
            raise self._lock_error(error) from error
        self._file = file
        with suppress(OSError):  # a full disk must not prevent the start
            self._path.with_suffix(".pid").write_text(str(os.getpid()), encoding="ascii")

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lock_error(self, error: OSError) -> ConfigError:
        database = self._path.with_suffix("")
        if error.errno not in _LOCKED_ERRNOS:
            return ConfigError(f"the database {database} cannot be locked ({error.strerror}): keep it on a local disk")
        pid = ""
        with suppress(OSError):  # it may not exist
            pid = self._path.with_suffix(".pid").read_text(encoding="ascii").strip()
        return AlreadyRunning(f"another bot (process {pid or 'unknown'}) uses the database {database}: stop it first")


def is_network_drive(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the path is on a network file system, by its mount; by its UNC path on Windows."""
    absolute = path.absolute()
    if absolute.drive.startswith("\\\\"):
        return True
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mounted = [fields for line in lines if len(fields := line.split(" ")) > 2]
    parents = [fields for fields in mounted if absolute.is_relative_to(fields[1].replace("\\040", " "))]
    nearest = max(parents, key=lambda fields: len(fields[1]), default=["", "", ""])
    return nearest[2].startswith(_NETWORK_FILE_SYSTEMS)
