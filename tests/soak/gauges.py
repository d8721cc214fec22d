"""What a process uses, measured again and again, and whether that grew."""

from dataclasses import dataclass, field
from statistics import median

import psutil

MEMORY_GROWS_BY_PCT = 10
FEW_MORE = 2
"""Connections come and go with faults: so many more at the end are no growth."""


@dataclass(frozen=True, slots=True)
class Reading:
    threads: int
    files: int
    memory: int


@dataclass
class Gauge:
    """The life of one process in readings."""

    name: str
    process: psutil.Process
    readings: list[Reading] = field(default_factory=list)

    def read(self) -> None:
        with self.process.oneshot():
            files = self.process.num_handles() if psutil.WINDOWS else self.process.num_fds()
            memory = self.process.memory_info().rss
            self.readings.append(Reading(self.process.num_threads(), files, memory))

    def growth(self) -> list[str]:
        """What is more in the last quarter than it was in the second, after the warm-up."""
        quarter = len(self.readings) // 4
        early, late = self.readings[quarter : 2 * quarter], self.readings[-quarter:]
        memory = median(each.memory for each in late) / median(each.memory for each in early) * 100 - 100
        found = {
            f"threads: {_most(early, 'threads')} -> {_most(late, 'threads')}": _grew(early, late, "threads"),
            f"files: {_most(early, 'files')} -> {_most(late, 'files')}": _grew(early, late, "files"),
            f"memory: {memory:+.1f} %": memory > MEMORY_GROWS_BY_PCT,
        }
        return [f"{self.name}: {what}" for what, has_grown in found.items() if has_grown]

    def told(self) -> str:
        """Beginning after the warm-up, and end."""
        first, last = self.readings[len(self.readings) // 4], self.readings[-1]
        return (
            f"{self.name}: threads {first.threads} -> {last.threads}, files {first.files} -> {last.files}, "
            f"memory {first.memory / 1e6:.1f} -> {last.memory / 1e6:.1f} MB"
        )


def _most(readings: list[Reading], what: str) -> int:
    return max(int(getattr(each, what)) for each in readings)


def _grew(early: list[Reading], late: list[Reading], what: str) -> bool:
    return _most(late, what) > _most(early, what) + FEW_MORE
