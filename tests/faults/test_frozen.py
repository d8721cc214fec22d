"""The process is suspended, as on a sleeping computer, and resumes (F42)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.faults.harness import wait_until
from tests.helpers import suspended
from tests.recovery.harness import BotHarness, ProcessSetup, with_setup

pytestmark = [
    pytest.mark.recovery,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows cannot suspend a process by signal"),
]

_STOPPED_SECONDS = 17  # longer than the heartbeat limit of a thread
RESUMED = (
    "SELECT recorded_at FROM journal WHERE kind = 'state' AND payload LIKE '%\"ACTIVE\"%' AND id > :since ORDER BY id"
)


@pytest.fixture
def harness(tmp_path: Path, process_setup: ProcessSetup) -> Iterator[BotHarness]:
    harness = BotHarness(tmp_path, process_setup, globals={"cooldown_sec": 0})
    yield harness
    harness.close()


@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_f42_suspended_process_reads_the_account_before_entries(harness: BotHarness) -> None:
    """Meanwhile the stop closes the position and signals accumulate."""
    harness.start()
    harness.open_position()
    assert harness.process is not None
    with suspended(harness.process):
        harness.shift("-3")
        wait_until(lambda: not harness.position, 2, "the stop closes the position")
        time.sleep(_STOPPED_SECONDS)
        for _ in range(5):
            harness.move(harness.mid_price)
            harness.liquidate()
    harness.measure("close recorded after it", lambda: harness.recorded_position() == 0, 10)
    wait_until(lambda: any("process was suspended" in each for each in harness.alerts()), 15, "an alert is reported")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "trading resumes")
    assert harness.process.poll() is None, "the process has ended"
    entered_at = [row["created_at"] for row in harness.rows("SELECT created_at FROM trades WHERE role = 'ENTRY'")]
    alert, *_ = harness.rows("SELECT * FROM journal WHERE kind = 'alert' AND payload LIKE '%was suspended%'")
    resumed, *_ = harness.rows(RESUMED, since=alert["id"])
    stopped_at = alert["recorded_at"] - 1_000 * _STOPPED_SECONDS
    assert not [each for each in entered_at if stopped_at < each < resumed["recorded_at"]]
    harness.check_consistency()
