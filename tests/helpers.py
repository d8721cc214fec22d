"""Clocks for tests that must run on, and be wrong."""

import secrets
import socket

from src.domain.clock import SystemClock


class MachineClock:
    """This computer's clock, which a test may set."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return SystemClock().monotonic_ms()


_LOWEST, _COUNT = 20_000, 12_000


def free_port() -> int:
    """Free, and below those that the system hands out: no test beside this one is given it before it is bound."""
    while True:
        port = _LOWEST + secrets.randbelow(_COUNT)
        with socket.socket() as door:
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
