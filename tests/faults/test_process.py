"""A thread dies or hangs, the process stands still: it is noticed, and the next process takes over (F42)."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from src.domain.messages import Duty
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

_NOTICED_WITHIN_SECONDS = 17  # 15 s of silence, and the next look at it


def expect_the_end(rig: Rig, seconds: float) -> None:
    rig.measure("noticed", lambda: rig.code is not None, seconds)
    assert rig.code == 1  # the launcher starts it again


def start_again(rig: Rig) -> None:
    rig.stop()
    rig.start()
    rig.wait_protected()
    rig.check_books()


@pytest.mark.parametrize("name", ["trader", "operator"])
def test_f42_a_thread_that_raises_ends_the_process(rig: Rig, name: str) -> None:
    rig.open_position()
    [worker] = [each for each in rig.bot._crew._workers if each.name == name]
    if name == "trader":
        rig.bot._inbox.post(cast(Any, "no event at all"))
    else:
        cast(Any, rig.bot._commands).after = _raise
    expect_the_end(rig, 15)
    assert isinstance(worker.failure, BaseException)
    start_again(rig)


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


def the_inbox(rig: Rig) -> Any:
    return rig.bot._inbox._arrived


def the_limits(rig: Rig) -> Any:
    return rig.bot._limits._lock


@pytest.mark.slow
@pytest.mark.parametrize("lock", [the_inbox, the_limits])
def test_f42_a_deadlock_is_noticed_by_its_silence(rig: Rig, lock: Callable[[Rig], Any]) -> None:
    rig.open_position()
    released = threading.Event()
    hold(lock(rig), released)
    expect_the_end(rig, _NOTICED_WITHIN_SECONDS + 5)  # and the time its end takes without that lock
    released.set()
    start_again(rig)


def test_f42_a_scheduler_that_falls_silent_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.open_position()
    [scheduler] = [each for each in rig.bot._crew._watched if each.name == "scheduler"]
    with monkeypatch.context() as impatient:
        impatient.setattr("src.bot.crew.STUCK_MS", 3_000)
        cast(Any, scheduler)._scheduler.pause()
        expect_the_end(rig, 15)
    start_again(rig)


def test_f42_a_slow_exchange_is_no_stuck_thread(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five reads, each slow: together longer than a thread may be silent, one by one a sign of life."""
    monkeypatch.setattr("src.bot.crew.STUCK_MS", 6_000)
    slow = Fault(FaultKind.DELAY, path="/fapi/", method="GET", times=FOREVER, value=1_500)
    rig.exchange.inject(slow)
    rig.remind(Duty.RECONCILE)
    wait_until(lambda: slow.times <= FOREVER - 8, 60, "the account is read slowly")
    assert rig.code is None
    rig.exchange.clear_faults()
    rig.check_books(naked_ms=0)
