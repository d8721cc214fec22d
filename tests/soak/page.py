"""The dashboard's process, with a reader of its event stream as an open page is one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import requests

from src.launch.home import FEW_ARENAS
from tests.ports import free_port
from tests.system.rig import ROOT, wait_until

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
        self._said = home / "dashboard.out"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "src" / "api" / "api_server.py"), "--home", str(home)],
                cwd=ROOT,
                env={**os.environ, **FEW_ARENAS, "PORT": str(port)},
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
