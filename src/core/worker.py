"""A named thread: an exception that escapes it ends the process, and the next start recovers."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

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
