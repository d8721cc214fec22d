"""The process stands still, as by a suspended computer, and goes on (F42)."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.faults.harness import wait_until
from tests.recovery.harness import BotHarness, ProcessSetup, with_setup

pytestmark = [
    pytest.mark.recovery,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stops a process"),
]

_STOPPED_SECONDS = 17  # more than a thread may be silent
TRADES_AGAIN = "SELECT at FROM journal WHERE kind = 'state' AND payload LIKE '%\"ACTIVE\"%' AND id > :since ORDER BY id"


@pytest.fixture
def harness(tmp_path: Path, process_setup: ProcessSetup) -> Iterator[BotHarness]:
    harness = BotHarness(tmp_path, process_setup, globals={"cooldown_sec": 0})
    yield harness
    harness.close()


@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_f42_a_process_that_was_stopped_reads_the_account_before_it_enters(harness: BotHarness) -> None:
    """While it stands still the stop closes its position, and signals pile up."""
    harness.start()
    harness.open_position()
    assert harness.process is not None
    harness.process.send_signal(signal.SIGSTOP)
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the resting stop closes")
    time.sleep(_STOPPED_SECONDS)
    for _ in range(5):
        harness.move(harness.mid_price)
        harness.liquidate()
    harness.process.send_signal(signal.SIGCONT)
    harness.measure("close recorded after it", lambda: harness.recorded_position() == 0, 10)
    wait_until(lambda: any("process was suspended" in each for each in harness.alerts()), 15, "it is told")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "it trades again")
    assert harness.process.poll() is None, "the same process goes on"
    entered = [row["at"] for row in harness.rows("SELECT created_at AS at FROM trades WHERE role = 'ENTRY'")]
    told, *_ = harness.rows(
        "SELECT id, at FROM journal WHERE kind = 'alert' AND payload LIKE '%process was suspended%'"
    )
    again, *_ = harness.rows(TRADES_AGAIN, since=told["id"])
    assert not [at for at in entered if told["at"] - 1_000 * _STOPPED_SECONDS < at < again["at"]]
    harness.check_consistency()
