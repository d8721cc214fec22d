import threading
from collections.abc import Callable

from src.bot.threads import Worker
from src.domain.clock import ManualClock

DEADLINE_SECONDS = 20.0


def test_worker_runs_until_body_returns() -> None:
    clock, done = ManualClock(), threading.Event()
    worker = Worker("streamer", lambda _: done.set(), clock)
    worker.start()
    assert worker.join(DEADLINE_SECONDS)
    assert done.is_set()
    assert (worker.is_alive, worker.failure) == (False, None)


def test_escaped_exception_is_kept() -> None:
    def body(_: Callable[[], None]) -> None:
        raise RuntimeError("gone")

    worker = Worker("trader", body, ManualClock())
    worker.start()
    assert worker.join(DEADLINE_SECONDS)
    assert str(worker.failure) == "gone"


def test_missing_heartbeat_is_detected() -> None:
    clock, may_beat, has_beaten, may_end = ManualClock(), threading.Event(), threading.Event(), threading.Event()

    def body(heartbeat: Callable[[], None]) -> None:
        may_beat.wait(DEADLINE_SECONDS)
        heartbeat()
        has_beaten.set()
        may_end.wait(DEADLINE_SECONDS)

    worker = Worker("gateway-0", body, clock)
    worker.start()
    clock.advance(16_000)
    assert worker.ms_since_heartbeat == 16_000
    assert worker.is_alive
    assert not worker.join(0)
    may_beat.set()
    assert has_beaten.wait(DEADLINE_SECONDS)
    assert worker.ms_since_heartbeat == 0
    may_end.set()
    assert worker.join(DEADLINE_SECONDS)


def test_unstarted_worker_can_be_joined() -> None:
    assert Worker("listen key", lambda _: None, ManualClock()).join(0)
