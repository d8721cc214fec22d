"""Clocks, passed to whoever needs the time: instants are milliseconds UTC, durations are monotonic."""

import threading
import time
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Clock(Protocol):
    def now_ms(self) -> int:
        """Return the current time in milliseconds UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return a reading for measuring durations, in milliseconds; its zero is arbitrary."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class SteadyClock:
    """Wall-clock time that advances with the monotonic clock.

    A step of the machine's clock neither shortens nor extends a timeout measured by this one (I25).
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._zero_ms = 0
        self.resync()

    def now_ms(self) -> int:
        return self._zero_ms + self._machine.monotonic_ms()

    def monotonic_ms(self) -> int:
        return self._machine.monotonic_ms()

    @property
    def drift_ms(self) -> int:
        """How far the machine's clock is ahead of this one, in milliseconds."""
        return self._machine.now_ms() - self.now_ms()

    def resync(self) -> None:
        """Set this clock to the machine's time."""
        self._zero_ms = self._machine.now_ms() - self._machine.monotonic_ms()


class ManualClock:
    """A clock that moves only by its methods, for replay and tests."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._elapsed_ms = 0
        self._lock = threading.Lock()  # one thread advances while others read both values

    def now_ms(self) -> int:
        with self._lock:
            return self._now_ms

    def monotonic_ms(self) -> int:
        with self._lock:
            return self._elapsed_ms

    def advance(self, span_ms: int) -> None:
        """Move both clocks forward by ``span_ms``."""
        with self._lock:
            self._now_ms += span_ms
            self._elapsed_ms += span_ms

    def advance_to(self, instant_ms: int) -> None:
        """Move both clocks forward to an instant; an earlier one changes nothing."""
        self.advance(max(0, instant_ms - self.now_ms()))

    def step(self, span_ms: int) -> None:
        """Move only the wall clock, as an operator or NTP would."""
        with self._lock:
            self._now_ms += span_ms
