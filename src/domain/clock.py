"""Clocks, passed to whoever needs the time: instants are milliseconds UTC, durations are monotonic."""

import threading
import time
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MAX_CLOCK_OFFSET_MS = 1_000
"""How far our clock may be off the exchange's; entries are blocked beyond it."""


class Clock(Protocol):
    def now_ms(self) -> int:
        """Return the current time in milliseconds UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return a reading for measuring durations, in milliseconds; its zero is arbitrary."""
        ...


def _suspension_clocks() -> tuple[int, int] | None:
    """Two clocks of this machine that differ by the time it was suspended; None where the monotonic one counts it."""
    for with_sleep, without_sleep in (("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"), ("CLOCK_MONOTONIC", "CLOCK_UPTIME_RAW")):
        if hasattr(time, with_sleep) and hasattr(time, without_sleep):  # Linux, macOS; Windows counts it
            return getattr(time, with_sleep), getattr(time, without_sleep)
    return None


class _Suspension:
    """How long the machine has been suspended since it was started."""

    def __init__(self) -> None:
        self._clocks = _suspension_clocks()
        self._known_ns = 0
        self._lock = threading.Lock()  # the value must never decrease

    def read_ns(self) -> int:
        if self._clocks is None:
            return 0
        with_sleep, without_sleep = self._clocks
        with self._lock:
            # The second reading is later, so the difference is too small rather than too large.
            self._known_ns = max(
                self._known_ns, time.clock_gettime_ns(with_sleep) - time.clock_gettime_ns(without_sleep)
            )
            return self._known_ns


_suspension = _Suspension()


class SystemClock:
    """The clocks of this machine. The monotonic one counts the time during which the machine was suspended: what was
    decided before that is as old as it is.
    """

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return (time.monotonic_ns() + _suspension.read_ns()) // 1_000_000


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


def drift_ms(clock: Clock) -> int:
    """How far the machine's clock is ahead of this one, in milliseconds; only a ``SteadyClock`` can drift."""
    return clock.drift_ms if isinstance(clock, SteadyClock) else 0


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
