"""Resource usage of processes over time, and the dashboard as a process."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
import requests

from src.launch.home import MALLOC_ENV
from tests.helpers import free_port
from tests.system.harness import ROOT, wait_until

MAX_MEMORY_GROWTH_PCT = 10
ALLOWED_INCREASE = 2
"""Tolerance: the pools of connections grow to their size at different times."""


@dataclass(frozen=True, slots=True)
class Sample:
    threads: int
    files: int
    memory: int


@dataclass
class ProcessMetrics:
    """Samples of the resource usage of one process."""

    name: str
    process: psutil.Process
    samples: list[Sample] = field(default_factory=list)

    def sample(self) -> None:
        with self.process.oneshot():
            files = self.process.num_handles() if psutil.WINDOWS else self.process.num_fds()
            memory = self.process.memory_info().rss
            self.samples.append(Sample(self.process.num_threads(), files, memory))

    def growth(self) -> list[str]:
        """Resources that grew from the second quarter, after the warm-up, to the last."""
        quarter = len(self.samples) // 4
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        memory = median(each.memory for each in late) / median(each.memory for each in early) * 100 - 100
        checks = {
            f"threads: {_lowest(early, 'threads')} -> {_lowest(late, 'threads')}": _grew(early, late, "threads"),
            f"files: {_lowest(early, 'files')} -> {_lowest(late, 'files')}": _grew(early, late, "files"),
            f"memory: {memory:+.1f} %": memory > MAX_MEMORY_GROWTH_PCT,
        }
        return [f"{self.name}: {change}" for change, has_grown in checks.items() if has_grown]

    def describe(self) -> str:
        """Usage after the warm-up and at the end."""
        first, last = self.samples[len(self.samples) // 4], self.samples[-1]
        return (
            f"{self.name}: threads {first.threads} -> {last.threads}, files {first.files} -> {last.files}, "
            f"memory {first.memory / 1e6:.1f} -> {last.memory / 1e6:.1f} MB"
        )


def _lowest(samples: list[Sample], name: str) -> int:
    """A leak raises the lowest count; a burst of faults raises the highest one for a moment only."""
    return min(int(getattr(each, name)) for each in samples)


def _grew(early: list[Sample], late: list[Sample], name: str) -> bool:
    return _lowest(late, name) > _lowest(early, name) + ALLOWED_INCREASE


ROUTES = (
    "/",
    "/setup",
    "/api/health",
    "/api/positions",
    "/api/account",
    "/api/orders",
    "/api/liquidations",
    "/api/trades",
    "/api/stats",
    "/api/config",
    "/api/journal",
    "/api/decisions",
    "/api/pnl/stats",
    "/api/pnl/symbols",
    "/api/trades.csv",
    "/api/setup",
)
_STARTED_WITHIN_S = 60


class Dashboard:
    def __init__(self, home: Path) -> None:
        self._output = home / "dashboard.out"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "src" / "api" / "api_server.py"), "--home", str(home)],
                cwd=ROOT,
                env={**os.environ, **MALLOC_ENV, "PORT": str(port)},
                stdout=output,
                stderr=output,
            )
        self.events = 0
        """Number of events read from the stream."""
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def open(self) -> None:
        wait_until(self._is_up, _STARTED_WITHIN_S, "the dashboard is up")
        self._reader.start()

    def pages(self) -> dict[str, requests.Response]:
        """Request all pages and API routes."""
        return {route: requests.get(self.url + route, timeout=30) for route in ROUTES}

    def close(self) -> None:
        self._stop.set()
        self.process.kill()
        self.process.wait(5)
        if self._reader.is_alive():
            self._reader.join(10)

    def _is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _read(self) -> None:
        """Read the event stream and reconnect when it ends, as a browser does."""
        while not self._stop.is_set():
            try:
                with requests.get(f"{self.url}/api/stream", stream=True, timeout=60) as stream:
                    for line in stream.iter_lines(chunk_size=1):
                        self.events += line.startswith(b"event:")
            except requests.RequestException:
                self._stop.wait(0.5)
