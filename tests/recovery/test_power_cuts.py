"""The power fails at a crash point: the log loses its last frames, and a bot starts on what the disk has kept."""

import shutil
from pathlib import Path

import pytest

from src.database.db import quick_check
from src.database.ledger import open_ledger
from src.domain.clock import SystemClock
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from tests.database.test_durability import frame_boundaries, power_cut
from tests.faults.rig import wait_until
from tests.recovery.conftest import MakeStage
from tests.recovery.lives import in_turn
from tests.recovery.rig import REQUEST_WRITTEN, Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ENTRY, STOP = OrderRole.ENTRY.value, OrderRole.STOP_LOSS.value
POINTS = {
    "C2": Crash(Point.ORDER_WRITTEN, ENTRY),
    "C3": Crash(Point.ORDER_COMMITTED, ENTRY),
    "C5": Crash(REQUEST_WRITTEN, ENTRY),
    "C6": Crash(Point.ANSWERED, ENTRY),
}
AFTER_THE_FILL = {
    "C8": Crash(Point.FILL_BOOKED, ENTRY),
    "C10": Crash(REQUEST_WRITTEN, STOP),
    "C11": Crash(Point.ANSWERED, STOP),
}
KEPT = {"all but one frame": 0.999, "half of the log": 0.5, "nothing of the log": 0.0}
_BOUNDARIES_TRIED = 8


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@in_turn("crash", POINTS, wholes=[False])
def test_an_entry_is_not_doubled_by_a_bot_that_has_forgotten_it(
    make_stage: MakeStage, crash: Crash, kept: float
) -> None:
    stage = make_stage().start()
    stage.arm(crash)
    stage.provoke()
    stage.wait_dead()
    entries = len(stage.arrived(OrderRole.ENTRY))
    lose_frames(stage, kept)
    stage.start()
    check_after_a_power_cut(stage, max(entries, 1))


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@in_turn("crash", AFTER_THE_FILL, wholes=[False])
def test_a_position_is_protected_or_said_by_a_bot_that_has_forgotten_it(
    make_stage: MakeStage, crash: Crash, kept: float
) -> None:
    stage = make_stage().start()
    stage.hunt()
    stage.arm(crash)
    stage.fill()
    stage.wait_dead()
    lose_frames(stage, kept)
    stage.start()
    check_after_a_power_cut(stage, 1)


def lose_frames(stage: Stage, kept: float) -> None:
    """Every shorter log is sound as well; the bot goes on with one of them."""
    path = stage.home / "bot.db"
    boundaries = frame_boundaries(path.with_name("bot.db-wal"))
    for cut in boundaries[:: max(1, len(boundaries) // _BOUNDARIES_TRIED)]:
        is_sound(power_cut(path, stage.home / "copy", cut))
    copy = power_cut(path, stage.home / "copy", boundaries[int(kept * (len(boundaries) - 1))])
    path.with_name("bot.db-shm").unlink(missing_ok=True)
    for file in copy.parent.iterdir():
        shutil.move(file, stage.home / file.name)


def is_sound(copy: Path) -> None:
    assert quick_check(copy) is None
    opened = open_ledger(copy, SystemClock().now_ms())
    opened.engine.dispose()
    assert opened.moved_aside is None


def check_after_a_power_cut(stage: Stage, entries: int) -> None:
    """I33: protected, or an alarm is raised; nothing is entered a second time, nothing sent twice."""
    stage.fill()

    def is_safe() -> bool:
        covered = not stage.position or bool(stage.orders(OrderRole.STOP_LOSS))
        return covered or any("BTCUSDT" in alert for alert in stage.alerts())

    wait_until(is_safe, 20, "protected, or said")
    assert len(stage.arrived(OrderRole.ENTRY)) <= entries
    assert stage.sent_twice() == {}
