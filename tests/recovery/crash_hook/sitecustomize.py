"""Loaded by every Python process that a recovery test starts: ends it by force at the line the test has named.

Python imports this module by its name before anything else, where its folder stands in PYTHONPATH. The real
``main.py`` and ``launcher.py`` run; only ``crash_points.reached`` is another one than in production.
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

FORCE = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows both end a process without a farewell


class CrashHook:
    """Watches the lines of this process against the order the test has left in a file.

    A file ``{"point", "subject", "passing", "launcher", "after_ms"}``; it is renamed when it has struck, so that
    it strikes once, whichever process and whichever life of it comes first.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hits: dict[str, int] = {}
        self._lock = threading.Lock()

    def reached(self, point: str, subject: str = "") -> None:
        if not self._file.exists():
            return
        with self._lock, suppress(FileNotFoundError):
            order = self._file.read_text(encoding="utf-8")
            wanted = json.loads(order)
            if (wanted["point"], wanted["subject"] or subject) == (str(point), str(subject)):
                self._hits[order] = self._hits.get(order, 0) + 1
                if self._hits[order] == wanted["passing"]:
                    self._file.rename(self._file.with_name("struck"))
                    self._crash(wanted)

    def _crash(self, wanted: dict[str, Any]) -> None:
        if wanted["after_ms"] is None:
            end(with_launcher=wanted["launcher"])
        else:  # in the middle of what follows the line
            threading.Timer(wanted["after_ms"] / 1000, end, kwargs={"with_launcher": wanted["launcher"]}).start()


def end(*, with_launcher: bool) -> None:
    """As a power cut or an out-of-memory killer does it: no farewell."""
    if with_launcher:
        os.kill(os.getppid(), FORCE)
    os.kill(os.getpid(), FORCE)


def watch_requests(hook: CrashHook) -> None:
    """Between the last byte of a request and its answer there is no line of ours: the library's own is watched."""
    under_way = threading.local()
    plain_reached, plain_response = hook.reached, http.client.HTTPConnection.getresponse

    def reached(point: str, subject: str = "") -> None:
        if point == "sending":
            under_way.subject = subject
        plain_reached(point, subject)

    def getresponse(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        plain_reached("request written", getattr(under_way, "subject", ""))
        return plain_response(connection)

    hook.reached = reached  # type: ignore[method-assign]
    http.client.HTTPConnection.getresponse = getresponse  # type: ignore


def arm(file: Path) -> None:
    sys.path.append(str(Path(__file__).parents[3]))
    from src.domain import crash_points

    hook = CrashHook(file)
    watch_requests(hook)
    crash_points.reached = hook.reached


if order := os.environ.get("HUNTER_CRASH"):
    arm(Path(order))
