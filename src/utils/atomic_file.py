"""Files that are replaced as a whole: whoever reads one sees the old text or the new one, also after a power cut."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomic(path: Path, text: str, mode: int) -> None:
    """Put ``text`` in the place of a file, as it is, with these permissions. OSError leaves the old one untouched.

    Until it takes its place the new file is readable for its owner alone.
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
    """The new name too outlives a power cut, where the system lets a directory be synchronised (Windows does not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
