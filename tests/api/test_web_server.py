"""The web server against clients that only hold connections, and its addresses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from src.api import web_server
from src.api.api_server import create_web_server
from src.api.sse import MAX_STREAMS
from src.domain.errors import ConfigError
from src.launch.home import Address, require_free_port
from tests.api.harness import ApiHarness, RunningDashboard, eventually, served

pytestmark = pytest.mark.processes
DRIPPING = 505
HALF_A_REQUEST = b"POST /api/control HTTP/1.1\r\nContent-Le"
needs_ipv6 = pytest.mark.skipif(
    Address("localhost", 1).listen_hosts == ("127.0.0.1",), reason="this machine has no ::1"
)


@pytest.fixture
def running(harness: ApiHarness) -> Iterator[RunningDashboard]:
    with served(harness) as running:
        yield running


def connect(running: RunningDashboard) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.harness.port), timeout=20)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1_000) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_505_dripping_connections_do_not_stop_the_owner(running: RunningDashboard) -> None:
    with ExitStack() as open_connections:
        dripping = [open_connections.enter_context(connect(running)) for _ in range(DRIPPING)]
        for _ in range(2):
            for connection in dripping:
                with suppress(OSError):  # the server has closed the oldest ones
                    connection.sendall(HALF_A_REQUEST[:1])
            assert running.get("/api/health").status_code == 200
        assert eventually(lambda: sum(map(is_closed, dripping)) >= DRIPPING - web_server.MAX_CONNECTIONS * 4 // 5)
        assert running.get("/api/positions").status_code == 200


def test_request_that_never_ends_is_closed_after_the_deadline(
    running: RunningDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.5)
    with connect(running) as slow:
        rest = iter(b"ngth: 1\r\n" + b"X-Filler: 1\r\n" * 1_000)
        slow.sendall(HALF_A_REQUEST)

        def drip() -> bool:
            with suppress(OSError):
                slow.setblocking(True)
                slow.sendall(bytes((next(rest),)))
            return is_closed(slow)

        assert eventually(drip), "a byte now and then keeps no connection open"


def test_response_that_nobody_reads_is_dropped(running: RunningDashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "UNREAD_SECONDS", 0.5)
    monkeypatch.setattr(web_server._Channel, "_flush_some", lambda *_, **__: False)  # a full network
    with connect(running) as unread:
        unread.sendall(f"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1:{running.harness.port}\r\n\r\n".encode())
        assert eventually(lambda: is_closed(unread))


def test_streams_leave_threads_for_other_requests() -> None:
    assert web_server.SPARE_THREADS >= 8
    settings = web_server._adjustments(("127.0.0.1", "::1"), 5000)
    assert settings.threads - MAX_STREAMS == web_server.SPARE_THREADS


@needs_ipv6
def test_both_loopback_addresses_are_served(running: RunningDashboard) -> None:
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, running.harness.port), timeout=20) as connection:
            named = f"[{host}]" if ":" in host else host
            head = f"GET /api/health HTTP/1.1\r\nHost: {named}:{running.harness.port}\r\nConnection: close"
            connection.sendall(f"{head}\r\n\r\n".encode())
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


@needs_ipv6
def test_squatter_on_the_other_loopback_address_is_named(harness: ApiHarness) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as squatter:
        harness.port = squatter.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {harness.port} on ::1 is in use by another program"):
            create_web_server(harness.app, harness.environment)
    require_free_port(Address("127.0.0.1", harness.port))


def test_busy_port_5000_on_a_mac_names_its_usual_owner() -> None:
    assert "AirPlay" in Address("127.0.0.1", 5000).busy_message("127.0.0.1", "darwin")
    assert "AirPlay" not in Address("127.0.0.1", 5000).busy_message("127.0.0.1", "linux")
    assert "AirPlay" not in Address("127.0.0.1", 5001).busy_message("127.0.0.1", "darwin")
