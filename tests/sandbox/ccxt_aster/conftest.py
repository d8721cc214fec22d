"""A sandbox whose wallet ccxt can be, on a machine that nothing leaves."""

import socket
from collections.abc import Iterator
from decimal import localcontext
from typing import Any

import pytest

from src.sandbox.server import SandboxServer
from tests.sandbox.ccxt_aster.client import keys_of_a_login_wallet


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(keys=keys_of_a_login_wallet()) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test whose client looks for a host elsewhere."""
    find = socket.getaddrinfo

    def find_at_home(host: Any, *arguments: Any, **options: Any) -> Any:
        assert host in (None, "127.0.0.1", b"127.0.0.1"), f"it looks for {host}"
        return find(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", find_at_home)


@pytest.fixture(autouse=True)
def rounding_stays_within_the_test() -> Iterator[None]:
    """ccxt changes how its thread rounds."""
    with localcontext():
        yield
