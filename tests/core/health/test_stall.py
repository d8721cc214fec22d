"""A process that stood still reads the account before it makes another entry (F42)."""

from dataclasses import replace

from src.core.event_queue import EventQueue
from src.core.events import ProcessStalled
from src.core.health.stall import QUIET_MS, StallDetector, block_entries
from src.core.trading_status import EntryBlock
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction, TakeSnapshot
from src.domain.enums import OrderRole
from src.domain.events import SnapshotTaken
from tests.builders import NOW
from tests.core.harness import Harness


def test_an_ordinary_turn_is_no_standstill() -> None:
    clock = ManualClock(NOW)
    turns = StallDetector(clock)
    clock.advance(5_000)
    assert turns.check() is None
    assert turns.check() is None


def test_a_turn_that_took_too_long_is_one_by_either_clock() -> None:
    clock = ManualClock(NOW)
    turns = StallDetector(clock)
    clock.advance(60_000)
    assert turns.check() == ProcessStalled(60_000, NOW + 60_000)
    clock.step(7_000)  # a suspended machine, whose other clock stood still with it
    assert turns.check() == ProcessStalled(7_000, NOW + 67_000)
    clock.step(-3_600_000)
    assert turns.check() is None


def test_entries_wait_until_the_account_was_asked_for_after_it(harness: Harness) -> None:
    harness.clock.advance(60_000)
    before = harness.a_snapshot()
    harness.feed(ProcessStalled(60_000, harness.now + 1))
    assert harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    harness.prices()
    harness.liquidate()
    assert harness.submitted(OrderRole.ENTRY) == []
    asked = len(harness.commands_of(TakeSnapshot))
    harness.feed(SnapshotTaken(before, "it was under way"))
    assert harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    assert len(harness.commands_of(TakeSnapshot)) == asked + 1
    harness.feed(SnapshotTaken(replace(before, requested_at=harness.now + 1, taken_at=harness.now + 2), "after it"))
    assert not harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    harness.liquidate()
    assert len(harness.submitted(OrderRole.ENTRY)) == 1


def test_it_is_noticed_before_anything_that_waited_is_judged(harness: Harness) -> None:
    """The loop of the trader's thread, turned once by hand."""
    event_queue = EventQueue()

    def stand_still() -> None:
        harness.clock.advance(60_000)
        event_queue.close()

    harness.trader.run(event_queue, harness.sent.extend, stand_still)
    [messages] = [each["message"] for each in harness.journal("alert") if "process was suspended" in each["message"]]
    assert messages == "process was suspended for 60 s, resyncing"


def entries_after_a_signal(harness: Harness) -> int:
    harness.prices()
    harness.snapshot()
    harness.liquidate()
    return len(harness.submitted(OrderRole.ENTRY))


def test_a_quiet_hour_ends_it(harness: Harness) -> None:
    block_entries(harness.context, is_supervised=True)
    assert entries_after_a_signal(harness) == 0
    harness.clock.advance(QUIET_MS - 1_000)
    harness.audit()
    assert harness.context.trading_status.has(EntryBlock.CRASH_LOOP)
    harness.clock.advance(1_000)
    harness.audit()
    assert not harness.context.trading_status.has(EntryBlock.CRASH_LOOP)
    messages = [each["message"] for each in harness.journal("alert")]
    assert messages.count("an hour without a crash: entries resumed") == 1
    assert harness.context.trading_status.reason_of(EntryBlock.CRASH_LOOP) is None


def test_a_person_ends_it_at_once_and_the_page_offers_that(harness: Harness) -> None:
    block_entries(harness.context, is_supervised=True)
    assert harness.context.trading_status.needs_resume
    assert "or until you resume" in harness.context.trading_status.reason
    harness.command(OperatorAction.RESUME)
    assert entries_after_a_signal(harness) == 1


def test_what_a_person_started_so_stays_so_until_a_person_resumes(harness: Harness) -> None:
    block_entries(harness.context, is_supervised=False)
    harness.clock.advance(2 * QUIET_MS)
    harness.audit()
    assert harness.context.trading_status.has(EntryBlock.PROTECT_ONLY)
    harness.command(OperatorAction.RESUME)
    assert not harness.context.trading_status.has(EntryBlock.PROTECT_ONLY)


def test_meanwhile_positions_are_protected(harness: Harness) -> None:
    entry = harness.enter()
    block_entries(harness.context, is_supervised=True)
    harness.fill(entry)
    assert harness.submitted(OrderRole.STOP_LOSS)
