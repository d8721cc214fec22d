"""A lock file that the operating system releases with the last process that holds it."""

import sys
import time
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

from src.launch.errors import LaunchError


class FileLock:
    """An exclusive lock on a file; taken again only after every holder has let go or died."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")

    def fileno(self) -> int:
        """The descriptor; a child that inherits it (POSIX) holds the lock too."""
        return self._file.fileno()

    def take(self, patience_ms: int, refusal: str) -> None:
        """Wait up to ``patience_ms`` for the lock; raises `LaunchError` with ``refusal`` after that."""
        deadline = time.monotonic_ns() + patience_ms * 1_000_000
        while not self._try():
            if time.monotonic_ns() >= deadline:
                raise LaunchError(refusal)
            time.sleep(0.05)

    def release(self) -> None:
        """Let go; on POSIX the lock stays with children that inherited it."""
        self._file.close()

    def _try(self) -> bool:
        try:
            if sys.platform == "win32":
                msvcrt.locking(self.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
