"""The power fails at a crash point: the log loses its last frames, and a bot starts on what the disk has kept."""

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
    "C2": Crash(Point.ORDER_WRITTEN, ENTRY),
    "C3": Crash(Point.ORDER_COMMITTED, ENTRY),
    "C5": Crash(REQUEST_WRITTEN, ENTRY),
    "C6": Crash(Point.ANSWERED, ENTRY),
}
AFTER_THE_FILL = {
    "C8": Crash(Point.FILL_RECORDED, ENTRY),
    "C10": Crash(REQUEST_WRITTEN, STOP),
    "C11": Crash(Point.ANSWERED, STOP),
}
KEPT = {"all but one frame": 0.999, "half of the log": 0.5, "nothing of the log": 0.0}
_BOUNDARIES_TRIED = 8


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@each_setup("crash", POINTS, variants=[False])
def test_an_entry_is_not_doubled_by_a_bot_that_has_forgotten_it(
    make_harness: MakeHarness, crash: Crash, kept: float
) -> None:
    harness = make_harness().start()
    harness.arm(crash)
    harness.trigger_crash()
    harness.wait_exited()
    entries = len(harness.received_orders(OrderRole.ENTRY))
    lose_frames(harness, kept)
    harness.start()
    check_after_a_power_cut(harness, max(entries, 1))


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@each_setup("crash", AFTER_THE_FILL, variants=[False])
def test_a_position_is_protected_or_said_by_a_bot_that_has_forgotten_it(
    make_harness: MakeHarness, crash: Crash, kept: float
) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    harness.arm(crash)
    harness.fill()
    harness.wait_exited()
    lose_frames(harness, kept)
    harness.start()
    check_after_a_power_cut(harness, 1)


def lose_frames(harness: BotHarness, kept: float) -> None:
    """Every shorter log is sound as well; the bot goes on with one of them."""
    path = harness.home / "bot.db"
    boundaries = frame_boundaries(path.with_name("bot.db-wal"))
    for cut in boundaries[:: max(1, len(boundaries) // _BOUNDARIES_TRIED)]:
        is_sound(power_cut(path, harness.home / "copy", cut))
    copy = power_cut(path, harness.home / "copy", boundaries[int(kept * (len(boundaries) - 1))])
    path.with_name("bot.db-shm").unlink(missing_ok=True)
    for file in copy.parent.iterdir():
        shutil.move(file, harness.home / file.name)


def is_sound(copy: Path) -> None:
    assert quick_check(copy) is None
    opened = open_database(copy, SystemClock().now_ms())
    opened.engine.dispose()
    assert opened.quarantined_to is None


def check_after_a_power_cut(harness: BotHarness, entries: int) -> None:
    """I33: protected, or an alarm is raised; nothing is entered a second time, nothing sent twice."""
    harness.fill()

    def is_safe() -> bool:
        covered = not harness.position or bool(harness.orders(OrderRole.STOP_LOSS))
        return covered or any("BTCUSDT" in alert for alert in harness.alerts())

    wait_until(is_safe, 20, "protected, or said")
    assert len(harness.received_orders(OrderRole.ENTRY)) <= entries
    assert harness.sent_twice() == {}
