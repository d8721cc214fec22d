"""The process stands still, as by a suspended computer, and goes on (F42)."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.utils.auth import Scheme
from tests.faults.rig import wait_until
from tests.recovery.lives import Life, once
from tests.recovery.rig import Stage

pytestmark = [
    pytest.mark.recovery,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process"),
]

_STOPPED_SECONDS = 17  # more than a thread may be silent
TRADES_AGAIN = "SELECT at FROM journal WHERE kind = 'state' AND payload LIKE '%\"ACTIVE\"%' AND id > :since ORDER BY id"


@pytest.fixture
def stage(tmp_path: Path, life: Life) -> Iterator[Stage]:
    stage = Stage(tmp_path, life, globals={"cooldown_sec": 0})
    yield stage
    stage.close()


@once(whole=False, scheme=Scheme.V3)
def test_f42_a_process_that_was_stopped_reads_the_account_before_it_enters(stage: Stage) -> None:
    """While it stands still the stop closes its position, and signals pile up."""
    stage.start()
    stage.open_position()
    assert stage.process is not None
    stage.process.send_signal(signal.SIGSTOP)
    stage.shift("-3")
    wait_until(lambda: not stage.position, 2, "the resting stop closes")
    time.sleep(_STOPPED_SECONDS)
    for _ in range(5):
        stage.move(stage.middle)
        stage.liquidate()
    stage.process.send_signal(signal.SIGCONT)
    stage.measure("known after it", lambda: stage.booked_position() == 0, 10)
    wait_until(lambda: any("stood still" in each for each in stage.alerts()), 15, "it is told")
    wait_until(lambda: stage.trading()[0] == "ACTIVE", 30, "it trades again")
    assert stage.process.poll() is None, "the same process goes on"
    entered = [row["at"] for row in stage.rows("SELECT created_at AS at FROM trades WHERE role = 'ENTRY'")]
    told, *_ = stage.rows("SELECT id, at FROM journal WHERE kind = 'alert' AND payload LIKE '%stood still%'")
    again, *_ = stage.rows(TRADES_AGAIN, since=told["id"])
    assert not [at for at in entered if told["at"] - 1_000 * _STOPPED_SECONDS < at < again["at"]]
    stage.check_books()
