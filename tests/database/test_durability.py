"""The bot is killed at any instant, or the power fails: what was acknowledged is there, and the file is sound."""

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
LONGEST_LIFE_SECONDS = 0.08
WAL_HEADER = 32
FRAME_HEADER = 24


def journal(path: Path) -> list[tuple[str, int]]:
    engine = open_reader(path)
    query = "SELECT kind, json_extract(payload, '$.number') FROM journal ORDER BY id"
    with read_transaction(engine) as connection:
        return [(kind, number) for kind, number in connection.execute(text(query))]


def both(numbers: range) -> list[tuple[str, int]]:
    """The rows of whole transactions: each writes two."""
    return [(kind, number) for number in numbers for kind in ("row", "twin")]


def acknowledged_until_killed(writers: subprocess.Popen[str], path: Path, first: int, life: float) -> int:
    """Write numbered rows, be killed; the number after the last that was acknowledged."""
    send_line(writers, f"{path} {first}")
    following, pid = first, 0
    while (line := read_line(writers)) not in ("", "dead"):
        if line.startswith("writer"):
            pid = int(line.split()[1])
            continue
        if following == first:
            threading.Timer(life, kill, [pid]).start()
        following = int(line) + 1
    return following


@pytest.mark.slow
@pytest.mark.recovery
def test_every_acknowledged_row_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    """Files that have grown a little, as a log that was folded several times is another case than a young one."""
    draw, written = random.Random(7), 0
    with ExitStack() as running:
        writers = running.enter_context(python(WRITERS))
        for round_ in range(ROUNDS):
            if round_ % ROUNDS_A_FILE == 0:
                path, following = tmp_path / str(round_) / "bot.db", 0
            if writers.poll() is not None:  # without fork it is the writer itself that was killed
                writers = running.enter_context(python(WRITERS))
            acknowledged = acknowledged_until_killed(writers, path, following, draw.uniform(0, LONGEST_LIFE_SECONDS))
            assert quick_check(path) is None
            found = journal(path)
            written += len(found) // 2 - following
            following = len(found) // 2
            assert found == both(range(following))
            # One more may be committed: it was killed before it could say so.
            assert acknowledged <= following <= acknowledged + 1
    assert written > ROUNDS


def test_a_log_cut_at_any_frame_holds_whole_transactions(path: Path, tmp_path: Path) -> None:
    engine = open_database(path, NOW).engine
    engine.dispose()  # folds the tables into the file: the log holds the rows alone
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
        assert found == both(range(len(found) // 2))
        seen.add(len(found))
    engine.dispose()
    assert seen == set(range(0, 42, 2))


def frame_boundaries(log: Path) -> range:
    """Every length at which the log ends with a whole frame (sqlite.org/fileformat2.html, The Write-Ahead Log)."""
    page_size = struct.unpack(">I", log.read_bytes()[8:12])[0]
    return range(WAL_HEADER, log.stat().st_size + 1, FRAME_HEADER + page_size)


def power_cut(path: Path, directory: Path, length: int) -> Path:
    """A copy of a database whose log ends after ``length`` bytes."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    copy = directory / path.name
    shutil.copyfile(path, copy)
    (directory / "bot.db-wal").write_bytes(path.with_name("bot.db-wal").read_bytes()[:length])
    return copy
