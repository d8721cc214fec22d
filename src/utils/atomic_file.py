"""Atomic file replacement: a reader sees either the old or the new content, even after a power failure."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomic(path: Path, text: str, mode: int) -> None:
    """Replace a file with ``text`` and set its permissions. On OSError the old file stays unchanged.

    The temporary file is readable by its owner only.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    """Flush the rename to disk, where the system supports it (Windows does not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
