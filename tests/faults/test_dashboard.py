"""The dashboard is hammered, or hangs: the bot does not notice (F45)."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from src.utils.auth import Scheme
from tests.recovery.lives import Life, once
from tests.recovery.rig import Stage

pytestmark = [pytest.mark.recovery, pytest.mark.slow]

_STALLED = 200
_HAMMERS, _BLOWS = 4, 250
_PATHS = ("/api/stats", "/api/trades", "/api/positions", "/api/liquidations", "/api/health", "/")


@pytest.fixture
def stage(tmp_path: Path, life: Life) -> Iterator[Stage]:
    """Launcher, bot and dashboard."""
    stage = Stage(tmp_path, life, globals={"cooldown_sec": 0})
    stage.start()
    yield stage
    stage.close()


def dashboard(stage: Stage) -> psutil.Process:
    [found] = [each for each in stage._processes() if any("api_server.py" in word for word in each.cmdline())]
    return found


@contextmanager
def stalled_readers(port: int) -> Iterator[None]:
    """Pages that ask for the stream and never read a byte of it."""
    with ExitStack() as pages:
        for _ in range(_STALLED):
            page = pages.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            page.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        yield


@contextmanager
def hammered(port: int) -> Iterator[list[int]]:
    """A thousand questions as fast as they are answered; the status of each."""
    answers: list[int] = []

    def strike() -> None:
        with requests.Session() as session:
            for blow in range(_BLOWS):
                with suppress(requests.RequestException):
                    url = f"http://127.0.0.1:{port}{_PATHS[blow % len(_PATHS)]}"
                    answers.append(session.get(url, timeout=30).status_code)

    hammers = [threading.Thread(target=strike) for _ in range(_HAMMERS)]
    for each in hammers:
        each.start()
    yield answers
    for each in hammers:
        each.join()


def trade(stage: Stage, what: str) -> None:
    """An entry on a signal, its stop on the fill; how long the stop took is told."""
    stage.hunt()
    stage.fill()
    stage.measure(what, lambda: stage.orders() and stage.position, 10)
    stage.wait_protected()


@once(whole=True, scheme=Scheme.V1)
def test_f45_a_hammered_dashboard_costs_the_bot_nothing(stage: Stage) -> None:
    files = dashboard(stage).num_fds() if os.name != "nt" else 0
    with stalled_readers(stage.port), hammered(stage.port) as answers:
        trade(stage, "protected while hammered")
    assert len(answers) == _HAMMERS * _BLOWS
    assert set(answers) <= {200, 429, 503}
    stage.check_books(naked_ms=2_000)
    if os.name != "nt":
        stage.measure("file descriptors back", lambda: dashboard(stage).num_fds() <= files + 10, 45)


@once(whole=True, scheme=Scheme.V3)
def test_f45_a_dashboard_that_hangs_costs_the_bot_nothing(stage: Stage) -> None:
    hung = dashboard(stage)
    hung.suspend()
    try:
        trade(stage, "protected while it hangs")
        stage.shift("-3")
        stage.measure("known as closed", lambda: not stage.position and stage.booked_position() == 0, 10)
    finally:
        hung.resume()
    stage.check_books(naked_ms=2_000)
