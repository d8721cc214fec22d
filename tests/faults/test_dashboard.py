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

from src.utils.auth import ApiVersion
from tests.recovery.harness import BotHarness, ProcessSetup, with_setup

pytestmark = [pytest.mark.recovery, pytest.mark.slow]

_STALLED = 200
_CLIENTS, _REQUESTS = 4, 250
_PATHS = ("/api/stats", "/api/trades", "/api/positions", "/api/liquidations", "/api/health", "/")


@pytest.fixture
def harness(tmp_path: Path, process_setup: ProcessSetup) -> Iterator[BotHarness]:
    """Launcher, bot and dashboard."""
    harness = BotHarness(tmp_path, process_setup, globals={"cooldown_sec": 0})
    harness.start()
    yield harness
    harness.close()


def dashboard(harness: BotHarness) -> psutil.Process:
    [found] = [each for each in harness._processes() if any("api_server.py" in word for word in each.cmdline())]
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
def load_test(port: int) -> Iterator[list[int]]:
    """A thousand questions as fast as they are answered; the status of each."""
    answers: list[int] = []

    def strike() -> None:
        with requests.Session() as session:
            for blow in range(_REQUESTS):
                with suppress(requests.RequestException):
                    url = f"http://127.0.0.1:{port}{_PATHS[blow % len(_PATHS)]}"
                    answers.append(session.get(url, timeout=30).status_code)

    hammers = [threading.Thread(target=strike) for _ in range(_CLIENTS)]
    for each in hammers:
        each.start()
    yield answers
    for each in hammers:
        each.join()


def trade(harness: BotHarness, what: str) -> None:
    """An entry on a signal, its stop on the fill; how long the stop took is told."""
    harness.trigger_entry()
    harness.fill()
    harness.measure(what, lambda: harness.orders() and harness.position, 10)
    harness.wait_protected()


@with_setup(with_launcher=True, scheme=ApiVersion.V1)
def test_f45_a_hammered_dashboard_costs_the_bot_nothing(harness: BotHarness) -> None:
    files = dashboard(harness).num_fds() if os.name != "nt" else 0
    with stalled_readers(harness.port), load_test(harness.port) as answers:
        trade(harness, "protected under load")
    assert len(answers) == _CLIENTS * _REQUESTS
    assert set(answers) <= {200, 429, 503}
    harness.check_consistency(unprotected_ms=2_000)
    if os.name != "nt":
        harness.measure("file descriptors released", lambda: dashboard(harness).num_fds() <= files + 10, 45)


@with_setup(with_launcher=True, scheme=ApiVersion.V3)
def test_f45_a_dashboard_that_hangs_costs_the_bot_nothing(harness: BotHarness) -> None:
    hung = dashboard(harness)
    hung.suspend()
    try:
        trade(harness, "protected while the dashboard hangs")
        harness.shift("-3")
        harness.measure("close recorded", lambda: not harness.position and harness.recorded_position() == 0, 10)
    finally:
        hung.resume()
    harness.check_consistency(unprotected_ms=2_000)
