"""What a process uses, measured again and again, and whether that grew."""

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
"""Connections come and go with faults: so many more at the end are no growth."""


@dataclass(frozen=True, slots=True)
class Sample:
    threads: int
    files: int
    memory: int


@dataclass
class ProcessMetrics:
    """The life of one process in readings."""

    name: str
    process: psutil.Process
    samples: list[Sample] = field(default_factory=list)

    def sample(self) -> None:
        with self.process.oneshot():
            files = self.process.num_handles() if psutil.WINDOWS else self.process.num_fds()
            memory = self.process.memory_info().rss
            self.samples.append(Sample(self.process.num_threads(), files, memory))

    def growth(self) -> list[str]:
        """What is more in the last quarter than it was in the second, after the warm-up."""
        quarter = len(self.samples) // 4
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        memory = median(each.memory for each in late) / median(each.memory for each in early) * 100 - 100
        found = {
            f"threads: {_most(early, 'threads')} -> {_most(late, 'threads')}": _grew(early, late, "threads"),
            f"files: {_most(early, 'files')} -> {_most(late, 'files')}": _grew(early, late, "files"),
            f"memory: {memory:+.1f} %": memory > MAX_MEMORY_GROWTH_PCT,
        }
        return [f"{self.name}: {what}" for what, has_grown in found.items() if has_grown]

    def describe(self) -> str:
        """Beginning after the warm-up, and end."""
        first, last = self.samples[len(self.samples) // 4], self.samples[-1]
        return (
            f"{self.name}: threads {first.threads} -> {last.threads}, files {first.files} -> {last.files}, "
            f"memory {first.memory / 1e6:.1f} -> {last.memory / 1e6:.1f} MB"
        )


def _most(readings: list[Sample], what: str) -> int:
    return max(int(getattr(each, what)) for each in readings)


def _grew(early: list[Sample], late: list[Sample], what: str) -> bool:
    return _most(late, what) > _most(early, what) + ALLOWED_INCREASE


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
_SERVED_WITHIN_S = 60


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
        """How many lines of events the open page has read."""
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def open(self) -> None:
        wait_until(self._answers, _SERVED_WITHIN_S, "the dashboard answers")
        self._reader.start()

    def pages(self) -> dict[str, requests.Response]:
        """Every page and every resource, as it is now."""
        return {route: requests.get(self.url + route, timeout=30) for route in ROUTES}

    def close(self) -> None:
        self._stop.set()
        self.process.kill()
        self.process.wait(5)
        if self._reader.is_alive():
            self._reader.join(10)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _read(self) -> None:
        """As a browser does: connect again where the stream ends."""
        while not self._stop.is_set():
            try:
                with requests.get(f"{self.url}/api/stream", stream=True, timeout=60) as stream:
                    for line in stream.iter_lines(chunk_size=1):
                        self.events += line.startswith(b"event:")
            except requests.RequestException:
                self._stop.wait(0.5)
