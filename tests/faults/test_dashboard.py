"""An overloaded or hanging dashboard does not affect the bot (F45)."""

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
    [found] = [each for each in harness._processes() if any("api_server.py" in argument for argument in each.cmdline())]
    return found


@contextmanager
def stalled_readers(port: int) -> Iterator[None]:
    """Clients that request the event stream and never read from it."""
    with ExitStack() as clients:
        for _ in range(_STALLED):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            client.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        yield


@contextmanager
def load_test(port: int) -> Iterator[list[int]]:
    """Send a thousand requests as fast as possible; yields their status codes."""
    statuses: list[int] = []

    def send_requests() -> None:
        with requests.Session() as session:
            for number in range(_REQUESTS):
                with suppress(requests.RequestException):
                    url = f"http://127.0.0.1:{port}{_PATHS[number % len(_PATHS)]}"
                    statuses.append(session.get(url, timeout=30).status_code)

    threads = [threading.Thread(target=send_requests) for _ in range(_CLIENTS)]
    for each in threads:
        each.start()
    yield statuses
    for each in threads:
        each.join()


def trade(harness: BotHarness, what: str) -> None:
    """Open a position and measure how long its stop takes."""
    harness.trigger_entry()
    harness.fill()
    harness.measure(what, lambda: harness.orders() and harness.position, 10)
    harness.wait_protected()


@with_setup(with_launcher=True, scheme=ApiVersion.V1)
def test_f45_overloaded_dashboard_does_not_affect_the_bot(harness: BotHarness) -> None:
    descriptors = dashboard(harness).num_fds() if os.name != "nt" else 0
    with stalled_readers(harness.port), load_test(harness.port) as statuses:
        trade(harness, "protected under load")
    assert len(statuses) == _CLIENTS * _REQUESTS
    assert set(statuses) <= {200, 429, 503}
    harness.check_consistency(unprotected_ms=2_000)
    if os.name != "nt":
        harness.measure("file descriptors released", lambda: dashboard(harness).num_fds() <= descriptors + 10, 45)


@with_setup(with_launcher=True, scheme=ApiVersion.V3)
def test_f45_hanging_dashboard_does_not_affect_the_bot(harness: BotHarness) -> None:
    hanging = dashboard(harness)
    hanging.suspend()
    try:
        trade(harness, "protected while the dashboard hangs")
        harness.shift("-3")
        harness.measure("close recorded", lambda: not harness.position and harness.recorded_position() == 0, 10)
    finally:
        hanging.resume()
    harness.check_consistency(unprotected_ms=2_000)
