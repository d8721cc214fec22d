"""Atomic file replacement and file locks. Standard library only: the launcher uses it before packages are installed."""

import errno
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock_exclusively(descriptor: int) -> None:
    """Lock an open file without waiting; OSError if another process holds it.

    The operating system releases the lock when the file is closed by this process and, on POSIX, by every child that
    inherited it.
    """
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_MOUNTED = frozenset({errno.EBUSY, errno.EXDEV})
"""The answers to a rename onto a file that is mounted by itself, as containers do with settings.json and .env."""


def close_to_others(folder: Path, except_for: str) -> None:
    """Create a folder that only its owner can enter, or close an existing one together with the files in it.

    Files with names that begin with ``except_for`` keep their permissions.
    What belongs to another user stays as it is; whoever writes there next reports what is wrong.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (folder, *(each for each in folder.iterdir() if not each.name.startswith(except_for))):
            _close_to_others(path)


def _close_to_others(path: Path) -> None:
    with suppress(OSError):  # a temporary file may be gone already
        mode = path.lstat().st_mode
        if mode & 0o077 and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            path.chmod(stat.S_IMODE(mode) & 0o700)


def write_atomic(path: Path, text: str, mode: int) -> None:
    """Replace a file with ``text`` and set its permissions. On OSError the old file stays unchanged.

    A reader sees the old content or the new, even after a power failure. The temporary file is readable by its owner
    only. A file that is mounted by itself cannot be replaced and is overwritten in place; its old content stays beside
    it until that has succeeded.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        _write(handle, text)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _MOUNTED:
            temporary.unlink(missing_ok=True)
            raise
        shutil.copyfile(path, temporary)
        _overwrite(path, text, temporary)
    _sync_directory(path.parent)


def _overwrite(path: Path, text: str, copy: Path) -> None:
    """Write in place; on OSError the old content is restored, or left in ``copy`` if that fails too."""
    old = path.read_bytes()
    try:
        _write(os.open(path, os.O_WRONLY | os.O_TRUNC), text)
    except OSError:
        path.write_bytes(old)
        copy.unlink(missing_ok=True)
        raise
    copy.unlink(missing_ok=True)


def _write(handle: int, text: str) -> None:
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(folder: Path) -> None:
    """Flush the rename to disk, where the system supports it (Windows does not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
