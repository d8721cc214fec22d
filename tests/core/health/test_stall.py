"""After a stall or a crash loop, entries are blocked until it is safe to trade (F42)."""

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


def test_normal_iteration_is_no_stall() -> None:
    clock = ManualClock(NOW)
    detector = StallDetector(clock)
    clock.advance(5_000)
    assert detector.check() is None
    assert detector.check() is None


def test_long_iteration_is_a_stall_by_either_clock() -> None:
    clock = ManualClock(NOW)
    detector = StallDetector(clock)
    clock.advance(60_000)
    assert detector.check() == ProcessStalled(60_000, NOW + 60_000)
    clock.step(7_000)  # a suspended machine with a paused monotonic clock
    assert detector.check() == ProcessStalled(7_000, NOW + 67_000)
    clock.step(-3_600_000)
    assert detector.check() is None


def test_f42_entries_wait_for_snapshot_requested_after_stall(harness: Harness) -> None:
    harness.clock.advance(60_000)
    before = harness.a_snapshot()
    harness.feed(ProcessStalled(60_000, harness.now + 1))
    assert harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    harness.prices()
    harness.liquidate()
    assert harness.submitted(OrderRole.ENTRY) == []
    requested = len(harness.commands_of(TakeSnapshot))
    harness.feed(SnapshotTaken(before, "already pending"))
    assert harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1
    harness.feed(SnapshotTaken(replace(before, requested_at=harness.now + 1, taken_at=harness.now + 2), "after it"))
    assert not harness.context.trading_status.has(EntryBlock.PROCESS_STALLED)
    harness.liquidate()
    assert len(harness.submitted(OrderRole.ENTRY)) == 1


def test_f42_stall_is_detected_before_queued_events(harness: Harness) -> None:
    """Runs one iteration of the trader's loop."""
    event_queue = EventQueue()

    def stall() -> None:
        harness.clock.advance(60_000)
        event_queue.close()

    harness.trader.run(event_queue, harness.sent.extend, stall)
    [message] = [each["message"] for each in harness.journal("alert") if "process was suspended" in each["message"]]
    assert message == "process was suspended for 60 s, resyncing"


def entries_after_a_signal(harness: Harness) -> int:
    harness.prices()
    harness.snapshot()
    harness.liquidate()
    return len(harness.submitted(OrderRole.ENTRY))


def test_hour_without_crash_resumes_entries(harness: Harness) -> None:
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


def test_resume_ends_crash_loop_block(harness: Harness) -> None:
    block_entries(harness.context, is_supervised=True)
    assert harness.context.trading_status.needs_resume
    assert "or until you resume" in harness.context.trading_status.reason
    harness.command(OperatorAction.RESUME)
    assert entries_after_a_signal(harness) == 1


def test_protect_only_lasts_until_resume(harness: Harness) -> None:
    block_entries(harness.context, is_supervised=False)
    harness.clock.advance(2 * QUIET_MS)
    harness.audit()
    assert harness.context.trading_status.has(EntryBlock.PROTECT_ONLY)
    harness.command(OperatorAction.RESUME)
    assert not harness.context.trading_status.has(EntryBlock.PROTECT_ONLY)


def test_crash_loop_block_keeps_protection(harness: Harness) -> None:
    entry = harness.enter()
    block_entries(harness.context, is_supervised=True)
    harness.fill(entry)
    assert harness.submitted(OrderRole.STOP_LOSS)
