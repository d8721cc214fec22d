"""Other processes for the database tests: real ones, told what to do by a script, heard line by line."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

HOLD_THE_LOCK = """
import sys
from pathlib import Path
from src.database.ledger import LedgerLock
lock = LedgerLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""

JOURNAL_FOR_EVER = """
import os, sys
from pathlib import Path
from src.database.ledger import open_ledger
from src.database.repositories import Store
from src.domain.clock import SystemClock
clock = SystemClock()
store = Store(open_ledger(Path(sys.argv[1]), clock.now_ms()).engine, clock)
number = int(sys.argv[2])
while True:
    with store.transaction():
        store.journal("row", {"number": number})
        store.journal("twin", {"number": number})
    print(number, flush=True)
    number += 1
"""

HOLD_A_TRANSACTION = """
import sys
from pathlib import Path
from src.database.db import open_writer
engine = open_writer(Path(sys.argv[1]))
with engine.begin() as connection:
    connection.exec_driver_sql("INSERT INTO runs (version, pid, started_at) VALUES ('held', 1, 1)")
    print("begun", flush=True)
    sys.stdin.readline()
engine.dispose()
"""


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs a script; killed at the end where it still lives."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """Its next line, without the line end; empty where it has ended."""
    if process.stdout is None:
        raise ValueError("the process has no output to listen to")
    return process.stdout.readline().rstrip()
