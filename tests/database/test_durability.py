"""After a kill or a power cut at any time, acknowledged rows are stored and the file is intact."""

import os
import random
import shutil
import struct
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from src.database.db import open_reader, quick_check, read_transaction
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from tests.builders import NOW
from tests.database.helpers import WRITERS, kill, python, read_line, send_line

ROUNDS = int(os.environ.get("KILL_ROUNDS", "500"))
ROUNDS_A_FILE = 50
MAX_LIFETIME_SECONDS = 0.08
WAL_HEADER = 32
FRAME_HEADER = 24


def journal(path: Path) -> list[tuple[str, int]]:
    engine = open_reader(path)
    query = "SELECT kind, json_extract(payload, '$.number') FROM journal ORDER BY id"
    with read_transaction(engine) as connection:
        return [(kind, number) for kind, number in connection.execute(text(query))]


def pairs(numbers: range) -> list[tuple[str, int]]:
    """Rows of complete transactions: each writes two."""
    return [(kind, number) for number in numbers for kind in ("row", "twin")]


def write_until_killed(writers: subprocess.Popen[str], path: Path, first: int, lifetime: float) -> int:
    """Write numbered rows until killed; return the number after the last acknowledged one."""
    send_line(writers, f"{path} {first}")
    next_number, pid = first, 0
    while (line := read_line(writers)) not in ("", "dead"):
        if line.startswith("writer"):
            pid = int(line.split()[1])
            continue
        if next_number == first:
            threading.Timer(lifetime, kill, [pid]).start()
        next_number = int(line) + 1
    return next_number


@pytest.mark.slow
@pytest.mark.recovery
def test_acknowledged_rows_survive_kill_at_any_time(tmp_path: Path) -> None:
    """Each file is used for several rounds, so that its log has been checkpointed before."""
    rng, written = random.Random(7), 0
    with ExitStack() as running:
        writers = running.enter_context(python(WRITERS))
        for round_ in range(ROUNDS):
            if round_ % ROUNDS_A_FILE == 0:
                path, next_number = tmp_path / str(round_) / "bot.db", 0
            if writers.poll() is not None:  # without fork the kill has hit this process
                writers = running.enter_context(python(WRITERS))
            acknowledged = write_until_killed(writers, path, next_number, rng.uniform(0, MAX_LIFETIME_SECONDS))
            assert quick_check(path) is None
            found = journal(path)
            written += len(found) // 2 - next_number
            next_number = len(found) // 2
            assert found == pairs(range(next_number))
            # One more may be committed: the kill came before it was acknowledged.
            assert acknowledged <= next_number <= acknowledged + 1
    assert written > ROUNDS


def test_truncated_log_has_only_complete_transactions(path: Path, tmp_path: Path) -> None:
    engine = open_database(path, NOW).engine
    engine.dispose()  # writes the tables to the file, so that the log has only the rows
    engine = open_database(path, NOW).engine
    store = Store(engine, ManualClock(NOW))
    for number in range(20):
        with store.transaction():
            store.journal("row", {"number": number})
            store.journal("twin", {"number": number})
    seen = set()
    for cut in frame_boundaries(path.with_name("bot.db-wal")):
        copy = power_cut(path, tmp_path / "copy", cut)
        assert quick_check(copy) is None
        opened = open_database(copy, NOW)
        assert opened.quarantined_to is None
        opened.engine.dispose()
        found = journal(copy)
        assert found == pairs(range(len(found) // 2))
        seen.add(len(found))
    engine.dispose()
    assert seen == set(range(0, 42, 2))


def frame_boundaries(log: Path) -> range:
    """Every length at which the log ends with a complete frame (sqlite.org/fileformat2.html, The Write-Ahead Log)."""
    page_size = struct.unpack(">I", log.read_bytes()[8:12])[0]
    return range(WAL_HEADER, log.stat().st_size + 1, FRAME_HEADER + page_size)


def power_cut(path: Path, directory: Path, length: int) -> Path:
    """A copy of a database with its log cut after ``length`` bytes."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    copy = directory / path.name
    shutil.copyfile(path, copy)
    (directory / "bot.db-wal").write_bytes(path.with_name("bot.db-wal").read_bytes()[:length])
    return copy
