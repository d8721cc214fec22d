"""How far our clock is off the exchange's, and when to compare them again (I25)."""

import logging

from src.domain.clock import Clock, SteadyClock

log = logging.getLogger("hunter.rest")

_LASTS_MS = 10 * 60_000
_LASTS_WHILE_OFF_MS = 10_000
"""Somebody is setting the clock right, one hopes."""
_MOST_MS = 1_000
_NEAR_MS = 500


class ClockOffset:
    """The exchange's clock minus ours. ``steady`` where ours does not follow every step of the machine's."""

    def __init__(self, clock: Clock, steady: SteadyClock | None = None) -> None:
        self._clock = clock
        self._steady = steady
        self._measured_at = 0
        self.ms: int | None = None
        """None before it was measured."""

    @property
    def strayed_ms(self) -> int:
        """How far the machine's clock is ahead of ours."""
        return self._steady.strayed_ms if self._steady is not None else 0

    @property
    def is_due(self) -> bool:
        """Time to compare: now and then, and often while something is off."""
        if self.ms is None:
            return True
        is_off = max(abs(self.ms), abs(self.ms - self.strayed_ms)) > _MOST_MS
        age_ms = self._clock.monotonic_ms() - self._measured_at
        return age_ms >= (_LASTS_WHILE_OFF_MS if is_off else _LASTS_MS)

    def learn(self, offset_ms: int, measured_at: int) -> int:
        """The exchange has told its time; where the machine's clock is right and ours is not, ours follows it."""
        self._measured_at = measured_at
        strayed_ms = self.strayed_ms
        if self._steady is not None and abs(offset_ms) > _NEAR_MS >= abs(offset_ms - strayed_ms):
            self._steady.follow()
            log.warning("the clock was set by %s ms, as the exchange confirms", strayed_ms)
            offset_ms -= strayed_ms
        self.ms = offset_ms
        return offset_ms
