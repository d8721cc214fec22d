"""The bot's threads: each is monitored, and one that dies or hangs ends the process; the next start recovers (I32)."""

import gc
import logging
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from src.database.queries.account import HEARTBEAT_TIMEOUT_MS
from src.domain.clock import Clock

log = logging.getLogger(__name__)

_current = threading.local()


class Monitored(Protocol):
    """A part that must keep running; the bot exits when one dies or shows no heartbeat."""

    @property
    def name(self) -> str: ...

    @property
    def is_alive(self) -> bool: ...

    @property
    def ms_since_heartbeat(self) -> int: ...

    def heartbeat(self) -> None: ...


def heartbeat_current_thread() -> None:
    """Record a heartbeat of the worker that runs this thread; called before each request to the exchange."""
    worker: Worker | None = getattr(_current, "worker", None)
    if worker is not None:
        worker.heartbeat()


class Worker:
    """Runs ``body`` in a thread of its own until it returns.

    The body calls ``heartbeat`` in every loop; a worker without one for a while is stuck (I32).
    """

    def __init__(self, name: str, body: Callable[[Callable[[], None]], None], clock: Clock) -> None:
        self.name = name
        self._body = body
        self._clock = clock
        self._last_heartbeat_at = clock.monotonic_ms()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        self.heartbeat()
        self._thread.start()

    def heartbeat(self) -> None:
        self._last_heartbeat_at = self._clock.monotonic_ms()

    def join(self, timeout_seconds: float) -> bool:
        """Wait until it ends; returns False if it is still running after the timeout."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def ms_since_heartbeat(self) -> int:
        """Milliseconds since the last heartbeat."""
        return self._clock.monotonic_ms() - self._last_heartbeat_at

    def _run(self) -> None:
        _current.worker = self
        try:
            self._body(self.heartbeat)
        except BaseException as error:  # nothing above this: the supervisor ends the process
            self.failure = error
            log.critical("worker died name=%s", self.name, exc_info=error)


STUCK_MS = HEARTBEAT_TIMEOUT_MS
JOIN_SECONDS = 3.0
"""For all threads together."""
_CLOSE_SECONDS = 1.0
_GC_THRESHOLDS = (20_000, 20, 50)
"""New objects before a collection, and how many of each generation before the next one is collected too."""
_SWITCH_SECONDS = 0.0005


class ThreadGroup:
    """The threads of one bot, each with a callback that stops it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers: list[Worker] = []
        self._monitored: list[Monitored] = []
        self._closers: list[Callable[[], None]] = []

    def add(
        self, name: str, body: Callable[[Callable[[], None]], None], close: Callable[[], None] | None = None
    ) -> None:
        """Add a thread; ``close`` asks it to stop."""
        worker = Worker(name, body, self._clock)
        self._workers.append(worker)
        self.monitor(worker, close)

    def monitor(self, other: Monitored, close: Callable[[], None] | None = None) -> None:
        """Monitor something that runs its own threads."""
        self._monitored.append(other)
        if close is not None:
            self._closers.append(close)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def heartbeat(self) -> None:
        """Reset every heartbeat after the process was suspended, so that no thread counts as stuck."""
        for each in self._monitored:
            each.heartbeat()

    def failed(self) -> str | None:
        """Describes a thread that has died or is stuck; None if all are healthy (I32)."""
        for each in self._monitored:
            if not each.is_alive:
                return f"{each.name} has died"
            if each.ms_since_heartbeat > STUCK_MS:
                return f"{each.name} is stuck"
        return None

    def stop_all(self, last: Callable[[], None], timeout_seconds: float) -> list[str]:
        """Stop every thread, then call ``last``; returns the names of threads still running after the timeout."""
        closing = threading.Thread(target=self._close_all, args=[last], name="closing", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)  # a lock held by a stuck thread must not block the shutdown
        deadline_ms = self._clock.monotonic_ms() + round(timeout_seconds * 1000)
        return [
            worker.name
            for worker in self._workers
            if not worker.join(max(0, deadline_ms - self._clock.monotonic_ms()) / 1000)
        ]

    def _close_all(self, last: Callable[[], None]) -> None:
        for close in self._closers:
            close()
        last()


def tune_interpreter() -> None:
    """Keep the interpreter's own work off the path from an event to its order.

    What exists after the start lives as long as the process: the collector need not look at it again. A thread that
    has work waits at most half a millisecond for one that computes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_SECONDS)
