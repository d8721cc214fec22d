"""Protect-only after a crash loop, and the ways out of it (I34)."""

from src.core.standing import Obstacle
from src.core.watch.crash_loop import QUIET_MS, hold_back
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction
from tests.core.rig import Rig


def entries_after_a_signal(rig: Rig) -> int:
    rig.prices()
    rig.snapshot()
    rig.liquidate()
    return len(rig.submitted(OrderRole.ENTRY))


def test_a_quiet_hour_ends_it(rig: Rig) -> None:
    hold_back(rig.desk, is_supervised=True)
    assert entries_after_a_signal(rig) == 0
    rig.clock.advance(QUIET_MS - 1_000)
    rig.audit()
    assert rig.desk.standing.has(Obstacle.CRASH_LOOP)
    rig.clock.advance(1_000)
    rig.audit()
    assert not rig.desk.standing.has(Obstacle.CRASH_LOOP)
    told = [each["message"] for each in rig.journal("alert")]
    assert told.count("the bot has run an hour without a crash: entries are made again") == 1
    assert rig.desk.standing.reason_of(Obstacle.CRASH_LOOP) is None


def test_a_person_ends_it_at_once_and_the_page_offers_that(rig: Rig) -> None:
    hold_back(rig.desk, is_supervised=True)
    assert rig.desk.standing.awaits_resume
    assert "or until you resume" in rig.desk.standing.reason
    rig.command(OperatorAction.RESUME)
    assert entries_after_a_signal(rig) == 1


def test_what_a_person_started_so_stays_so_until_a_person_resumes(rig: Rig) -> None:
    hold_back(rig.desk, is_supervised=False)
    rig.clock.advance(2 * QUIET_MS)
    rig.audit()
    assert rig.desk.standing.has(Obstacle.PROTECT_ONLY)
    rig.command(OperatorAction.RESUME)
    assert not rig.desk.standing.has(Obstacle.PROTECT_ONLY)


def test_meanwhile_positions_are_protected(rig: Rig) -> None:
    entry = rig.enter()
    hold_back(rig.desk, is_supervised=True)
    rig.fill(entry)
    assert rig.submitted(OrderRole.STOP_LOSS)
