"""Opening the bot's database: sound, of this version, and locked for one bot alone."""

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
from src.database.writer import is_transient
from src.domain.errors import ConfigError
from src.utils.files import lock_exclusively

log = logging.getLogger("hunter.database")

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCKED_ERRNOS = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What a lock says that another process holds."""
_MAX_FULL_CHECK_BYTES = 256 * 1024 * 1024
_SYNC_FOLDERS = ("dropbox", "onedrive", "google drive", "googledrive", "icloud", "mobile documents")


class AlreadyRunning(ConfigError):
    """Another bot holds this database."""


class DatabaseBusy(ConfigError):
    """The database cannot be used now, by no fault of the settings: the next start may find it well."""


@dataclass(frozen=True, slots=True)
class OpenedDatabase:
    """The database, ready to be written."""

    engine: Engine
    quarantined_to: Path | None
    """Where a corrupt predecessor lies now."""


def open_database(path: Path, now_ms: int) -> OpenedDatabase:
    """Check, migrate and open the bot's database; ConfigError where it cannot be used as it is."""
    if is_synced_folder(path):
        log.warning("the database %s lies in a synchronised folder, which can damage it: keep it elsewhere", path)
    if is_network_drive(path):
        log.warning("the database %s lies on a network share, which can damage it: keep it on a local disk", path)
    fault = quick_check(path, thorough=_was_killed(path))
    quarantined = None
    if fault is not None:
        quarantined = quarantine(path, now_ms)
        log.error("the database was damaged (%s) and lies now at %s; a new one is started", fault, quarantined)
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
    return OpenedDatabase(engine, quarantined)


def _was_killed(path: Path) -> bool:
    """The last run has no end: all of the file is looked at, where that does not hold protection up for long (S8)."""
    if not path.exists() or path.stat().st_size > _MAX_FULL_CHECK_BYTES:
        return False
    try:
        with read_transaction(open_reader(path)) as connection:
            table = connection.scalar(text("SELECT name FROM sqlite_master WHERE name IN ('bot_runs', 'runs')"))
            found = connection.execute(text(f"SELECT ended_at FROM {table} ORDER BY id DESC LIMIT 1")).first()
    except DatabaseError:  # a new file, or a damaged one: the quick look finds that, too
        return False
    return found is not None and found.ended_at is None


def is_synced_folder(path: Path) -> bool:
    """Whether a program that copies files elsewhere watches over the folder."""
    folders = " ".join(path.absolute().parent.parts).lower()
    return any(name in folders for name in _SYNC_FOLDERS)


def _migrate(engine: Engine, path: Path) -> None:
    """Where all is up to date nothing is written: another program may hold the file, and a bot that starts again
    protects all the same (F43)."""
    with read_transaction(open_reader(path)) as connection:
        found = revision_of(connection)
    if found != newest_revision():
        from src.database.upgrade import migrate

        migrate(engine, path, _MIGRATIONS)


def newest_revision() -> str:
    """The version of the tables that this program writes: the migrations' files begin with their numbers."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """The version of the tables that are there; None where they are not ours."""
    if connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


class DatabaseLock:
    """Held as long as the bot runs: one bot per database (I31). The operating system releases it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take it at once or raise AlreadyRunning, naming the process that holds it."""
        make_private(self._path)
        file = self._path.open("r+", encoding="ascii")
        try:
            lock_exclusively(file.fileno())
        except OSError as error:
            file.close()
            raise self._lock_error(error) from error
        self._file = file
        with suppress(OSError):  # on a full disk, too, what is open is protected
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
        with suppress(OSError):  # it may not have been written
            pid = self._path.with_suffix(".pid").read_text(encoding="ascii").strip()
        return AlreadyRunning(f"another bot (process {pid or 'unknown'}) uses the database {database}: stop it first")


_MOUNTS = Path("/proc/mounts")
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "ncpfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "davfs")


def is_network_drive(path: Path, mounts: Path = _MOUNTS) -> bool:
    """By the name of its file system, where the system tells it; by its address on Windows."""
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
