"""After a stall or a crash loop, entries are blocked until it is safe to trade (F42)."""

from dataclasses import replace

from src.core.event_queue import EventQueue
from src.core.events import ProcessStalled
from src.core.health.stall import QUIET_MS, StallDetector, block_entries
from src.core.trading_status import EntryBlock
from src.domain.clock import HOUR_MS, ManualClock, SteadyClock
from src.domain.commands import OperatorAction, TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from src.domain.events import SnapshotTaken
from tests.builders import NOW, a_mark, a_quote
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


def test_suspension_is_noticed_although_the_monotonic_clock_stood_still() -> None:
    """The bot's own clock follows the monotonic one, so only the machine's clock shows it."""
    machine = ManualClock(NOW)
    clock = SteadyClock(machine)
    detector = StallDetector(clock)
    machine.step(8 * HOUR_MS)
    assert detector.check() == ProcessStalled(8 * HOUR_MS, NOW)
    clock.resync()
    assert detector.check() is None


def test_clock_set_back_or_slowly_corrected_is_no_stall() -> None:
    machine = ManualClock(NOW)
    detector = StallDetector(SteadyClock(machine))
    for step in (-HOUR_MS, 900, -900, 4_000):
        machine.step(step)
        machine.advance(500)
        assert detector.check() is None


def test_clock_set_forward_costs_one_reading_of_the_account(harness: Harness) -> None:
    machine = ManualClock(NOW)
    detector = StallDetector(SteadyClock(machine))
    machine.step(10_000)
    stall = detector.check()
    assert stall is not None
    assert harness.feed(replace(stall, at=harness.now)) == [TakeSnapshot("process was suspended")]
    harness.snapshot()
    assert detector.check() is None
    assert harness.context.trading_status.state is TradingState.ACTIVE


def test_prices_that_waited_in_the_socket_open_nothing(harness: Harness) -> None:
    """After minutes of suspension old frames are read first; then the new connection brings a liquidation."""
    waited_since = harness.now
    harness.clock.advance(3 * 60_000)
    harness.feed(ProcessStalled(3 * 60_000, harness.now))
    harness.snapshot()
    harness.feed(a_mark(at=waited_since, received_at=harness.now), a_quote(at=waited_since, received_at=harness.now))
    harness.liquidate()
    assert harness.submitted(OrderRole.ENTRY) == []
    assert harness.verdicts()[-1] == Gate.PRICE_DEVIATION
    harness.feed(a_mark(at=harness.now, received_at=harness.now))
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.FRESH_QUOTE
    harness.prices()
    harness.liquidate()
    assert len(harness.submitted(OrderRole.ENTRY)) == 1


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
