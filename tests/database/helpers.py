"""Helper processes of the database tests: each runs a script and talks in lines."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

ROOT = Path(__file__).parents[2]

HOLD_THE_LOCK = """
import sys
from pathlib import Path
from src.database.open_database import DatabaseLock
lock = DatabaseLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""

WRITERS = """
import os, sys
from pathlib import Path
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import SystemClock

def write(path, number):
    clock = SystemClock()
    store = Store(open_database(Path(path), clock.now_ms()).engine, clock)
    while True:
        with store.transaction():
            store.journal("row", {"number": number})
            store.journal("twin", {"number": number})
        os.write(1, b"%d\\n" % number)  # atomic
        number += 1

for line in sys.stdin:
    path, number = line.rstrip().rsplit(" ", 1)
    child = os.fork() if hasattr(os, "fork") else 0
    if not child:
        print("writer", os.getpid(), flush=True)
        write(path, int(number))
    os.waitpid(child, 0)
    print("dead", flush=True)
"""

HOLD_A_TRANSACTION = """
import sys
from pathlib import Path
from src.database.db import open_writer
engine = open_writer(Path(sys.argv[1]))
with engine.begin() as connection:
    connection.exec_driver_sql("INSERT INTO bot_runs (version, pid, started_at) VALUES ('held', 1, 1)")
    print("begun", flush=True)
    sys.stdin.readline()
engine.dispose()
"""


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script in its own process; kill it at the end if it still runs."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Read the next line without its line end; empty if the process has exited."""
    if process.stdout is None:
        raise ValueError("the process has no output pipe")
    return process.stdout.readline().rstrip()


def send_line(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is None:
        raise ValueError("the process has no input pipe")
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def kill(pid: int) -> None:
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows SIGTERM kills too


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]
