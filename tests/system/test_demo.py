"""The first command of the README: the demo."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers import free_port
from tests.system.harness import ROOT, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

STARTED_WITHIN_S = 180
OPENED_WITHIN_S = 60
CLOSED_WITHIN_S = 300
STOPPED_WITHIN_S = 20
_IGNORED = shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", ".*_cache", ".hypothesis")


class Demo:
    """A launcher in a copy of the project."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self._output = root / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "launcher.py", "--demo"],
                cwd=root,
                env={**os.environ, "PORT": str(self.port)},
                stdout=output,
                stderr=output,
            )

    def get(self, route: str) -> Any:
        """The JSON of a route; None without a response."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{route}", timeout=5) as response:
                return json.load(response)
        except (urllib.error.URLError, OSError):
            return None

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def descendants(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    root = tmp_path / "project"
    shutil.copytree(ROOT, root, ignore=_IGNORED)
    if (ROOT / ".venv").exists() and os.name != "nt":
        (root / ".venv").symlink_to(ROOT / ".venv")
    demo = Demo(root)
    yield demo
    for process in [*(demo.descendants() if demo.process.poll() is None else []), demo.process]:
        process.kill()


def is_sandbox(health: Any) -> bool:
    return health is not None and health["mode"] == "SANDBOX"


def is_protected(positions: Any) -> bool:
    return any(each["takeProfitPrice"] and each["stopLossPrice"] for each in positions or [])


def is_settled(trades: Any) -> bool:
    exits = [each for each in trades or [] if each["role"] in ("STOP_LOSS", "TAKE_PROFIT")]
    return any(float(each["realized_pnl"]) and float(each["commission"]) for each in exits)


def test_demo_opens_protects_and_closes_positions(demo: Demo) -> None:
    wait_until(lambda: is_sandbox(demo.get("/api/health")), STARTED_WITHIN_S, "the dashboard")
    wait_until(lambda: is_protected(demo.get("/api/positions")), OPENED_WITHIN_S, "a protected position")
    wait_until(lambda: is_settled(demo.get("/api/trades")), CLOSED_WITHIN_S, "a position closed by its TP or SL")

    processes = demo.descendants()
    assert len(processes) >= 3
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(STOPPED_WITHIN_S) == 0, demo.output
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
