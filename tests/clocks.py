"""Clocks for tests that must run on, and be wrong."""

from src.domain.clock import SystemClock


class MachineClock:
    """This computer's clock, which a test may set."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return SystemClock().monotonic_ms()
