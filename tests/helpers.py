"""A clock with an offset, and free ports."""

import secrets
import socket

from src.domain.clock import SystemClock


class MachineClock:
    """The system clock, ahead by an offset that a test may change."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return SystemClock().monotonic_ms()


_FIRST_PORT, _PORT_COUNT = 20_000, 12_000


def free_port() -> int:
    """A free port below the ephemeral range, so that the system assigns it to no other test before it is bound."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORT_COUNT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
