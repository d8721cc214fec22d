"""Fixtures: a running sandbox with a static market, and a client."""

from collections.abc import Iterator

import pytest

from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def client(server: SandboxServer) -> Client:
    return Client(server)
