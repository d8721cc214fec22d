"""The figures of a run as a table, as JSON, and as docs/performance.md."""

import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
_SYNCS = 50
_HEADER = ("figure", "floor p50", "p99", "bot p50", "p99", "ratio p50", "p99", "goal", "met")


@dataclass(frozen=True, slots=True)
class Figures:
    """Values of one program by round; a figure is the median of the rounds'."""

    rounds: Sequence[Sequence[float]]

    def at(self, percent: int) -> float:
        return median(_percentile(each, percent) for each in self.rounds if each)

    def ratio(self, floor: "Figures", percent: int) -> float:
        """Median over the rounds of this program's figure divided by the floor's in the same round."""
        pairs = [(own, other) for own, other in zip(self.rounds, floor.rounds, strict=True) if own and other]
        return median(_percentile(own, percent) / _percentile(other, percent) for own, other in pairs)


def _percentile(values: Sequence[float], percent: int) -> float:
    return median(values) if percent == 50 or len(values) < 2 else quantiles(values, n=100)[percent - 1]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: latencies in milliseconds, compared with the floor's."""

    name: str
    floor: Figures
    bot: Figures
    max_ratio: float
    max_tail_ratio: float | None = None
    other_requests: int = 0

    @property
    def is_good(self) -> bool:
        tail = self.max_tail_ratio
        return self.bot.ratio(self.floor, 50) <= self.max_ratio and (
            tail is None or self.bot.ratio(self.floor, 99) <= tail
        )

    def cells(self) -> tuple[str, ...]:
        goal = f"≤ {self.max_ratio:g}" + (f" and {self.max_tail_ratio:g}" if self.max_tail_ratio else "")
        figures = (self.floor.at(50), self.floor.at(99), self.bot.at(50), self.bot.at(99))
        ratios = (self.bot.ratio(self.floor, 50), self.bot.ratio(self.floor, 99))
        return (self.name, *(f"{each:.2f}" for each in (*figures, *ratios)), goal, _yes(self.is_good))


@dataclass(frozen=True, slots=True)
class BurstRow:
    """One line of the table of bursts."""

    count: int
    floor: dict[str, float]
    bot: dict[str, float]
    min_rate: int = 20_000
    max_cpu_us: float = 45.0

    @property
    def is_good(self) -> bool:
        is_complete = self.bot["stored"] == self.count and not self.bot["dropped"]
        return is_complete and self._rate(self.bot) >= self.min_rate and self._cpu_us(self.bot) <= self.max_cpu_us

    def cells(self) -> tuple[str, ...]:
        each = (f"{self._rate(program):.0f} / {self._cpu_us(program):.1f}" for program in (self.floor, self.bot))
        lost = self.count - int(self.bot["stored"])
        return (str(self.count), *each, str(lost), f"{self.bot['grown_mb']:.0f}", _yes(self.is_good))

    def _rate(self, program: dict[str, float]) -> float:
        return self.count / program["seconds"]

    def _cpu_us(self, program: dict[str, float]) -> float:
        return program["cpu_seconds"] / self.count * 1e6


_BURST_HEADER = ("events", "floor: events/s / CPU µs each", "bot: events/s / CPU µs each", "lost", "grown MB", "met")


def _yes(is_good: bool) -> str:
    return "yes" if is_good else "no"


def machine(folder: Path) -> str:
    """The processor, its cores and how busy the machine is, how fast its disk is, and the versions that matter."""
    load = f", load {os.getloadavg()[0]:.1f} when the run began" if hasattr(os, "getloadavg") else ""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}{load}; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; writing 4 kB through to the disk of the database took "
        f"{_sync_ms(folder):.2f} ms (median), and the bot does it once before an order is sent"
    )


def _sync_ms(folder: Path) -> float:
    durations = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            durations.append((time.perf_counter() - started) * 1000)
    return median(durations)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def tables(rows: Sequence[Row], bursts: Sequence[BurstRow]) -> str:
    """Both tables in Markdown, which is readable in a terminal too."""
    parts = []
    if rows:
        parts.append(_markdown(_HEADER, [row.cells() for row in rows]))
    if bursts:
        parts.append(_markdown(_BURST_HEADER, [row.cells() for row in bursts]))
    return "\n\n".join(parts)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_json(rows: Sequence[Row], bursts: Sequence[BurstRow], where: str) -> str:
    """Every sample of the run, in milliseconds."""
    figures: list[dict[str, Any]] = [
        {"name": row.name, "floor": row.floor.rounds, "bot": row.bot.rounds, "met": row.is_good} for row in rows
    ]
    each = [{"events": row.count, "floor": row.floor, "bot": row.bot, "met": row.is_good} for row in bursts]
    return json.dumps({"machine": where, "latency": figures, "bursts": each}, indent=1)


def write_document(rows: Sequence[Row], bursts: Sequence[BurstRow], where: str, command: str) -> None:
    """Write docs/performance.md."""
    DOCUMENT.write_text(_TEXT.format(where=where, command=command, tables=tables(rows, bursts)), encoding="utf-8")


_TEXT = """# Performance

Written by `{command}`; do not edit. Machine: {where}.

An exchange of its own answers each order at once and notes when the last byte of a request was read. The floor program
receives the same frame, parses it, signs an order and sends it on a kept-alive session of `requests`. It decides,
checks and stores nothing. Floor and bot are measured in turn in the same run. The ratios tell more than the
milliseconds: each is the median over three rounds of the bot's figure divided by the floor's in the same round.
Times are milliseconds from the moment before the frame is written to the arrival of the order. The bot commits the
order to its database before it is sent.

{tables}

`v1` signs with an API key, `v3` with an API wallet; the milliseconds after it are the simulated round trip to the
exchange. In a burst, 300 symbols are liquidated, ten of them are configured, and each liquidation of those gets a
stored verdict. Both programs store the same rows.
"""
