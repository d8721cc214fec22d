"""A thread dies or hangs, the process stands still: it is noticed, and the next process takes over (F42)."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from src.domain.events import Task
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

_NOTICED_WITHIN_SECONDS = 17  # 15 s of silence, and the next look at it


def expect_the_end(harness: FaultHarness, seconds: float) -> None:
    harness.measure("detected", lambda: harness.exit_code is not None, seconds)
    assert harness.exit_code == 1  # the launcher starts it again


def start_again(harness: FaultHarness) -> None:
    harness.stop()
    harness.start()
    harness.wait_protected()
    harness.check_consistency()


@pytest.mark.parametrize("name", ["trader", "operator"])
def test_f42_a_thread_that_raises_ends_the_process(harness: FaultHarness, name: str) -> None:
    harness.open_position()
    [worker] = [each for each in harness.bot._threads._workers if each.name == name]
    if name == "trader":
        harness.bot._event_queue.put(cast(Any, "no event at all"))
    else:
        cast(Any, harness.bot._commands).after = _raise
    expect_the_end(harness, 15)
    assert isinstance(worker.failure, BaseException)
    start_again(harness)


def _raise(*_: object) -> list[Any]:
    raise RuntimeError("an error nobody thought of")


def hold(lock: Any, until: threading.Event) -> None:
    """A thread that never gives a lock back."""
    taken = threading.Event()

    def keep() -> None:
        with lock:
            taken.set()
            until.wait(60)

    threading.Thread(target=keep, daemon=True).start()
    assert taken.wait(5)


def the_inbox(harness: FaultHarness) -> Any:
    return harness.bot._event_queue._arrived


def the_limits(harness: FaultHarness) -> Any:
    return harness.bot._limits._lock


@pytest.mark.slow
@pytest.mark.parametrize("lock", [the_inbox, the_limits])
def test_f42_a_deadlock_is_noticed_by_its_silence(harness: FaultHarness, lock: Callable[[FaultHarness], Any]) -> None:
    harness.open_position()
    released = threading.Event()
    hold(lock(harness), released)
    expect_the_end(harness, _NOTICED_WITHIN_SECONDS + 5)  # and the time its end takes without that lock
    released.set()
    start_again(harness)


def test_f42_a_scheduler_that_falls_silent_is_noticed(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.open_position()
    [scheduler] = [each for each in harness.bot._threads._monitored if each.name == "scheduler"]
    with monkeypatch.context() as impatient:
        impatient.setattr("src.bot.thread_group.STUCK_MS", 3_000)
        cast(Any, scheduler)._scheduler.pause()
        expect_the_end(harness, 15)
    start_again(harness)


def test_f42_a_slow_exchange_is_no_stuck_thread(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five reads, each slow: together longer than a thread may be silent, one by one a sign of life."""
    monkeypatch.setattr("src.bot.thread_group.STUCK_MS", 6_000)
    slow = Fault(FaultKind.DELAY, path="/fapi/", method="GET", times=FOREVER, value=1_500)
    harness.exchange.inject(slow)
    harness.run_task_now(Task.RECONCILE)
    wait_until(lambda: slow.times <= FOREVER - 8, 60, "the account is read slowly")
    assert harness.exit_code is None
    harness.exchange.clear_faults()
    harness.check_consistency(unprotected_ms=0)
