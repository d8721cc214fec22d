import subprocess
import sys
from pathlib import Path

import pytest

from src.launch.errors import LaunchError
from src.launch.home import FileLock


def test_a_second_holder_is_refused_with_the_sentence(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "new" / "a.lock"), FileLock(tmp_path / "new" / "a.lock")
    first.acquire(0, "never")
    with pytest.raises(LaunchError, match="already there"):
        second.acquire(100, "already there")
    first.release()
    second.acquire(1_000, "still held")
    second.release()


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are inherited on POSIX only")
def test_a_child_that_inherits_the_lock_keeps_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    first.acquire(0, "never")
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=(first.fileno(),)) as child:
        first.release()
        with pytest.raises(LaunchError):
            second.acquire(0, "held by the child")
        child.communicate()
    second.acquire(1_000, "still held")
    second.release()
