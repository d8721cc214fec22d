"""Loaded by all Python processes that a recovery test starts: kills them at the crash point the test has chosen.

Python imports a module of this name at startup if its directory is in PYTHONPATH. The real ``main.py`` and
``launcher.py`` run; only ``crash_points.reached`` is replaced.
"""

import http.client
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

FORCE = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows both kill a process


class CrashHook:
    """Kills this process at the crash point that a file of the test names.

    The file holds ``{"point", "subject", "passing", "launcher", "after_ms"}``. It is renamed before the kill, so that
    only the first process to get there is killed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hits: dict[str, int] = {}
        self._lock = threading.Lock()

    def reached(self, point: str, subject: str = "") -> None:
        if not self._file.exists():
            return
        with self._lock, suppress(FileNotFoundError):
            text = self._file.read_text(encoding="utf-8")
            crash = json.loads(text)
            if (crash["point"], crash["subject"] or subject) == (str(point), str(subject)):
                self._hits[text] = self._hits.get(text, 0) + 1
                if self._hits[text] == crash["passing"]:
                    self._file.rename(self._file.with_name("crashed"))
                    self._crash(crash)

    def _crash(self, crash: dict[str, Any]) -> None:
        if crash["after_ms"] is None:
            kill(with_launcher=crash["launcher"])
        else:  # during the work that follows the crash point
            threading.Timer(crash["after_ms"] / 1000, kill, kwargs={"with_launcher": crash["launcher"]}).start()


def kill(*, with_launcher: bool) -> None:
    """Kill the process without a shutdown, as a power cut or the out-of-memory killer does."""
    if with_launcher:
        os.kill(os.getppid(), FORCE)
    os.kill(os.getpid(), FORCE)


def watch_requests(hook: CrashHook) -> None:
    """Add a crash point between a request and its response, in the library's code."""
    in_flight = threading.local()
    original_reached, original_getresponse = hook.reached, http.client.HTTPConnection.getresponse

    def reached(point: str, subject: str = "") -> None:
        if point == "sending":
            in_flight.subject = subject
        original_reached(point, subject)

    def getresponse(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        original_reached("request written", getattr(in_flight, "subject", ""))
        return original_getresponse(connection)

    hook.reached = reached  # type: ignore[method-assign]
    http.client.HTTPConnection.getresponse = getresponse  # type: ignore


def arm(file: Path) -> None:
    sys.path.append(str(Path(__file__).parents[3]))
    from src.domain import crash_points

    hook = CrashHook(file)
    watch_requests(hook)
    crash_points.reached = hook.reached


if crash_file := os.environ.get("HUNTER_CRASH"):
    arm(Path(crash_file))
