"""A running sandbox whose market stands still, and a client of it."""

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
