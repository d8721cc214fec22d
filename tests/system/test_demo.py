"""The README's first command, as a newcomer gives it."""

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

SERVED_WITHIN_S = 180
OPENED_WITHIN_S = 60
CLOSED_WITHIN_S = 300
ENDED_WITHIN_S = 20
_NOT_OURS = shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", ".*_cache", ".hypothesis")


class Demo:
    """A launcher of its own, in a copy of the project."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self._said = root / "said.txt"
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "launcher.py", "--demo"],
                cwd=root,
                env={**os.environ, "PORT": str(self.port)},
                stdout=output,
                stderr=output,
            )

    def get(self, route: str) -> Any:
        """The JSON of a route; None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{route}", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            return None

    @property
    def output(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def descendants(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    root = tmp_path / "project"
    shutil.copytree(ROOT, root, ignore=_NOT_OURS)
    if (ROOT / ".venv").exists() and os.name != "nt":
        (root / ".venv").symlink_to(ROOT / ".venv")
    demo = Demo(root)
    yield demo
    for process in [*(demo.descendants() if demo.process.poll() is None else []), demo.process]:
        process.kill()


def is_protected(positions: Any) -> bool:
    return any(each["takeProfitPrice"] and each["stopLossPrice"] for each in positions or [])


def is_settled(trades: Any) -> bool:
    exits = [each for each in trades or [] if each["role"] in ("STOP_LOSS", "TAKE_PROFIT")]
    return any(float(each["realized_pnl"]) and float(each["commission"]) for each in exits)


def test_the_demo_trades_protects_closes_and_ends(demo: Demo) -> None:
    wait_until(lambda: demo.get("/api/health") is not None, SERVED_WITHIN_S, "the page")
    health = demo.get("/api/health")
    assert health["mode"] == "SANDBOX"
    wait_until(lambda: is_protected(demo.get("/api/positions")), OPENED_WITHIN_S, "a protected position")
    wait_until(lambda: is_settled(demo.get("/api/trades")), CLOSED_WITHIN_S, "a position closed by its TP or SL")

    family = demo.descendants()
    assert len(family) >= 3
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(ENDED_WITHIN_S) == 0, demo.output
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
