"""The threads of a bot: started together, monitored while they run, stopped together."""

import threading
from collections.abc import Callable

from src.core.worker import Monitored, Worker
from src.database.queries.account import HEARTBEAT_TIMEOUT_MS
from src.domain.clock import Clock

STUCK_MS = HEARTBEAT_TIMEOUT_MS
JOIN_SECONDS = 1.0


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
        closing.join(JOIN_SECONDS)  # a lock held by a stuck thread must not block the shutdown
        return [worker.name for worker in self._workers if not worker.join(timeout_seconds)]

    def _close_all(self, last: Callable[[], None]) -> None:
        for close in self._closers:
            close()
        last()
