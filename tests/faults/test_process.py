"""A thread dies or hangs: it is detected, and a new process takes over (F42)."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from src.domain.events import Task
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

_DETECTED_WITHIN_SECONDS = 17  # 15 s without a heartbeat, and the next check


def expect_exit(harness: FaultHarness, seconds: float) -> None:
    harness.measure("detected", lambda: harness.exit_code is not None, seconds)
    assert harness.exit_code == 1  # the launcher restarts it


def restart(harness: FaultHarness) -> None:
    harness.stop()
    harness.start()
    harness.wait_protected()
    harness.check_consistency()


@pytest.mark.parametrize("name", ["trader", "operator"])
def test_f42_thread_that_raises_ends_the_process(harness: FaultHarness, name: str) -> None:
    harness.open_position()
    [worker] = [each for each in harness.bot._threads._workers if each.name == name]
    if name == "trader":
        harness.bot._event_queue.put(cast(Any, "not an event"))
    else:
        cast(Any, harness.bot._commands).after = _raise
    expect_exit(harness, 15)
    assert isinstance(worker.failure, BaseException)
    restart(harness)


def _raise(*_: object) -> list[Any]:
    raise RuntimeError("unexpected error")


def hold(lock: Any, released: threading.Event) -> None:
    """Hold a lock in a thread until the event is set."""
    acquired = threading.Event()

    def keep() -> None:
        with lock:
            acquired.set()
            released.wait(60)

    threading.Thread(target=keep, daemon=True).start()
    assert acquired.wait(5)


def event_queue_lock(harness: FaultHarness) -> Any:
    return harness.bot._event_queue._arrived


def rate_limits_lock(harness: FaultHarness) -> Any:
    return harness.bot._limits._lock


@pytest.mark.slow
@pytest.mark.parametrize("lock", [event_queue_lock, rate_limits_lock])
def test_f42_deadlock_is_detected_by_missing_heartbeats(
    harness: FaultHarness, lock: Callable[[FaultHarness], Any]
) -> None:
    harness.open_position()
    released = threading.Event()
    hold(lock(harness), released)
    expect_exit(harness, _DETECTED_WITHIN_SECONDS + 5)  # and the time for an exit without that lock
    released.set()
    restart(harness)


def test_f42_paused_scheduler_is_detected(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.open_position()
    [scheduler] = [each for each in harness.bot._threads._monitored if each.name == "scheduler"]
    with monkeypatch.context() as shortened:
        shortened.setattr("src.bot.threads.STUCK_MS", 3_000)
        cast(Any, scheduler)._scheduler.pause()
        expect_exit(harness, 15)
    restart(harness)


def test_f42_slow_exchange_does_not_count_as_a_stuck_thread(
    harness: FaultHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five slow reads together exceed the heartbeat limit, but each of them counts as a heartbeat."""
    monkeypatch.setattr("src.bot.threads.STUCK_MS", 6_000)
    slow = Fault(FaultKind.DELAY, path="/fapi/", method="GET", times=FOREVER, value=1_500)
    harness.exchange.inject(slow)
    harness.run_task_now(Task.RECONCILE)
    wait_until(lambda: slow.times <= FOREVER - 8, 60, "the account is read slowly")
    assert harness.exit_code is None
    harness.exchange.clear_faults()
    harness.check_consistency(unprotected_ms=0)
