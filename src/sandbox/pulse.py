"""The thread that lets the market run: it performs what is due and waits for the next."""

import threading
from collections.abc import Callable

from src.sandbox.exchange import SandboxExchange

_LONGEST_WAIT_MS = 50
_SHORTEST_WAIT_MS = 1
"""Never none: a replay that is late must not keep the lock from those who ask."""


class Pulse:
    def __init__(self, exchange: SandboxExchange, on_failure: Callable[[], None] = lambda: None) -> None:
        self._exchange = exchange
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-market", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _run(self) -> None:
        has_failed = True
        try:
            while not self._stop.is_set():
                due_at = self._exchange.advance()
                wait_ms = min(max(due_at - self._exchange.now_ms(), _SHORTEST_WAIT_MS), _LONGEST_WAIT_MS)
                self._stop.wait(wait_ms / 1000)
            has_failed = False
        finally:
            if has_failed:
                self._on_failure()
