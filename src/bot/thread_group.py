"""The threads that carry a bot: started together, looked at while they run, and ended together."""

import threading
from collections.abc import Callable

from src.core.worker import Monitored, Worker
from src.domain.clock import Clock

STUCK_MS = 15_000
JOIN_SECONDS = 1.0


class ThreadGroup:
    """Every thread of one bot, and how each is told to end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers: list[Worker] = []
        self._monitored: list[Monitored] = []
        self._closers: list[Callable[[], None]] = []

    def add(
        self, name: str, body: Callable[[Callable[[], None]], None], close: Callable[[], None] | None = None
    ) -> None:
        """A thread of ours; ``close`` asks it to end."""
        worker = Worker(name, body, self._clock)
        self._workers.append(worker)
        self.monitor(worker, close)

    def monitor(self, other: Monitored, close: Callable[[], None] | None = None) -> None:
        """Something that lives in threads we did not make."""
        self._monitored.append(other)
        if close is not None:
            self._closers.append(close)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def heartbeat(self) -> None:
        """The whole process stood still, and so did the threads: they have just as long to show that they live."""
        for each in self._monitored:
            each.heartbeat()

    def failed(self) -> str | None:
        """Who has died or shows no sign of life, in words; None while all are well (I32)."""
        for each in self._monitored:
            if not each.is_alive:
                return f"{each.name} has died"
            if each.ms_since_heartbeat > STUCK_MS:
                return f"{each.name} is stuck"
        return None

    def stop_all(self, last: Callable[[], None], timeout_seconds: float) -> list[str]:
        """Ask each to end, and ``last`` when all were asked; the names of those that still run after that patience."""
        closing = threading.Thread(target=self._close_all, args=[last], name="closing", daemon=True)
        closing.start()
        closing.join(JOIN_SECONDS)  # a lock that a stuck thread holds must not hold the end up
        return [worker.name for worker in self._workers if not worker.join(timeout_seconds)]

    def _close_all(self, last: Callable[[], None]) -> None:
        for close in self._closers:
            close()
        last()
