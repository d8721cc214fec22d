"""``python -m src.database.compact data/bot.db``: give the free space of a database back to the disk.

Files made by this version do that by themselves. Older ones do it from their first compaction on.
"""

import argparse
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from src.database.foreign import reject_foreign
from src.database.open_database import DatabaseLock
from src.domain.errors import ConfigError


def compact(path: Path) -> tuple[int, int]:
    """Write the file anew without its free space; return its size before and after, in bytes.

    A kill leaves the old or the new content. Raises ConfigError if a bot uses the file or the disk has no room for it.
    """
    if not path.is_file():
        raise ConfigError(f"there is no database {path}")
    reject_foreign(path)
    before, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < 2 * before:  # SQLite writes a copy, and then the copy's pages to the log
        raise ConfigError(
            f"compacting needs {2 * before / 1e6:,.0f} MB of free disk space, there are {free / 1e6:,.0f} MB: "
            "delete old backups, or move the home to a larger disk"
        )
    lock = DatabaseLock(path)
    lock.acquire()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise ConfigError(f"the database {path} cannot be compacted: {error}; nothing in it was changed") from error
    finally:
        lock.release()
    return before, path.stat().st_size


def main() -> int:
    """Exit code: 0 done, 2 not possible; the message says why."""
    parser = argparse.ArgumentParser(prog="python -m src.database.compact", description=__doc__)
    parser.add_argument("database", type=Path, help="for example data/bot.db; stop the bot first")
    path = parser.parse_args().database
    try:
        before, after = compact(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{path}: {before / 1e6:,.0f} MB before, {after / 1e6:,.0f} MB now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
