"""A sandbox with the wallet of ccxt; connections to other hosts fail the test."""

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
def block_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if the client resolves another host."""
    resolve = socket.getaddrinfo

    def resolve_local(host: Any, *arguments: Any, **options: Any) -> Any:
        assert host in (None, "127.0.0.1", b"127.0.0.1"), f"it resolves {host}"
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_local)


@pytest.fixture(autouse=True)
def restore_decimal_context() -> Iterator[None]:
    """ccxt changes the decimal context of its thread."""
    with localcontext():
        yield
