"""A process that stood still reads the account before it makes another entry (F42)."""

from dataclasses import replace

from src.core.inbox import Inbox
from src.core.standing import Obstacle
from src.core.watch.standstill import StoodStill, Turns
from src.domain.clock import ManualClock
from src.domain.enums import OrderRole
from src.domain.messages import SnapshotTaken, TakeSnapshot
from tests.builders import NOW
from tests.core.rig import Rig


def test_an_ordinary_turn_is_no_standstill() -> None:
    clock = ManualClock(NOW)
    turns = Turns(clock)
    clock.advance(5_000)
    assert turns.stood_still() is None
    assert turns.stood_still() is None


def test_a_turn_that_took_too_long_is_one_by_either_clock() -> None:
    clock = ManualClock(NOW)
    turns = Turns(clock)
    clock.advance(60_000)
    assert turns.stood_still() == StoodStill(60_000, NOW + 60_000)
    clock.step(7_000)  # a suspended machine, whose other clock stood still with it
    assert turns.stood_still() == StoodStill(7_000, NOW + 67_000)
    clock.step(-3_600_000)
    assert turns.stood_still() is None


def test_entries_wait_until_the_account_was_asked_for_after_it(rig: Rig) -> None:
    rig.clock.advance(60_000)
    before = rig.a_snapshot()
    rig.feed(StoodStill(60_000, rig.now + 1))
    assert rig.desk.standing.has(Obstacle.STANDSTILL)
    rig.prices()
    rig.liquidate()
    assert rig.submitted(OrderRole.ENTRY) == []
    asked = len(rig.of(TakeSnapshot))
    rig.feed(SnapshotTaken(before, "it was under way"))
    assert rig.desk.standing.has(Obstacle.STANDSTILL)
    assert len(rig.of(TakeSnapshot)) == asked + 1
    rig.feed(SnapshotTaken(replace(before, asked_at=rig.now + 1, taken_at=rig.now + 2), "after it"))
    assert not rig.desk.standing.has(Obstacle.STANDSTILL)
    rig.liquidate()
    assert len(rig.submitted(OrderRole.ENTRY)) == 1


def test_it_is_noticed_before_anything_that_waited_is_judged(rig: Rig) -> None:
    """The loop of the trader's thread, turned once by hand."""
    inbox = Inbox()

    def stand_still() -> None:
        rig.clock.advance(60_000)
        inbox.close()

    rig.trader.run(inbox, rig.sent.extend, stand_still)
    [told] = [each["message"] for each in rig.journal("alert") if "stood still" in each["message"]]
    assert told == "the process stood still for 60 s: the account is being read"
