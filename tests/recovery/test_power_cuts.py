"""Power cuts at a crash point: the WAL loses its last frames, and the bot starts with what is on disk."""

import shutil
from pathlib import Path

import pytest

from src.database.db import quick_check
from src.database.open_database import open_database
from src.domain.clock import SystemClock
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.database.test_durability import frame_boundaries, power_cut
from tests.faults.harness import wait_until
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import REQUEST_WRITTEN, BotHarness, Crash, each_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value
POINTS = {
    "before the commit": Crash(Point.ORDER_WRITTEN, ENTRY),
    "after the commit": Crash(Point.ORDER_COMMITTED, ENTRY),
    "before the response": Crash(REQUEST_WRITTEN, ENTRY),
    "after the response": Crash(Point.ANSWERED, ENTRY),
}
AFTER_FILL = {
    "fill recorded": Crash(Point.FILL_RECORDED, ENTRY),
    "stop sent": Crash(REQUEST_WRITTEN, STOP),
    "stop acknowledged": Crash(Point.ANSWERED, STOP),
}
KEPT = {"all but one frame": 0.999, "half of the WAL": 0.5, "nothing of the WAL": 0.0}
_BOUNDARIES_TRIED = 8


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@each_setup("crash", POINTS, variants=[False])
def test_entry_missing_from_the_database_is_not_repeated(make_harness: MakeHarness, crash: Crash, kept: float) -> None:
    harness = make_harness().start()
    harness.arm(crash)
    harness.trigger_crash()
    harness.wait_exited()
    entries = len(harness.received_orders(OrderRole.ENTRY))
    lose_frames(harness, kept)
    harness.start()
    check_after_a_power_cut(harness, max(entries, 1))


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@each_setup("crash", AFTER_FILL, variants=[False])
def test_position_missing_from_the_database_is_safe(make_harness: MakeHarness, crash: Crash, kept: float) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    harness.arm(crash)
    harness.fill()
    harness.wait_exited()
    lose_frames(harness, kept)
    harness.start()
    check_after_a_power_cut(harness, 1)


def lose_frames(harness: BotHarness, kept: float) -> None:
    """Check that any shorter WAL is valid, then continue with one of them."""
    path = harness.home / "bot.db"
    boundaries = frame_boundaries(path.with_name("bot.db-wal"))
    for cut in boundaries[:: max(1, len(boundaries) // _BOUNDARIES_TRIED)]:
        check_valid(power_cut(path, harness.home / "copy", cut))
    copy = power_cut(path, harness.home / "copy", boundaries[int(kept * (len(boundaries) - 1))])
    path.with_name("bot.db-shm").unlink(missing_ok=True)
    for file in copy.parent.iterdir():
        shutil.move(file, harness.home / file.name)


def check_valid(copy: Path) -> None:
    assert quick_check(copy) is None
    opened = open_database(copy, SystemClock().now_ms())
    opened.engine.dispose()
    assert opened.quarantined_to is None


def check_after_a_power_cut(harness: BotHarness, entries: int) -> None:
    """I33: the position is protected or an alert is raised; no entry is repeated, no order sent twice."""
    harness.fill()

    def is_safe() -> bool:
        covered = not harness.position or bool(harness.orders(OrderRole.STOP_LOSS))
        return covered or any("BTCUSDT" in alert for alert in harness.alerts())

    wait_until(is_safe, 20, "protected, or an alert")
    assert len(harness.received_orders(OrderRole.ENTRY)) <= entries
    assert harness.sent_twice() == {}
