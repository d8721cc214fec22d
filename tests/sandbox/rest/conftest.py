"""Runs every test with V1 and V3, and with a clock that does not move.

So a slow machine changes nothing: requests stay fresh, the rate limit minute does not end, the mark price stays.
"""

from collections.abc import Iterator
from typing import assert_never

import pytest

from src.domain.clock import ManualClock
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.builders import NOW
from tests.sandbox.client import Client
from tests.sandbox.wallet_client import WalletClient


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(clock=ManualClock(NOW)) as running:
        yield running


@pytest.fixture(params=ApiVersion)
def client(server: SandboxServer, request: pytest.FixtureRequest) -> Client:
    scheme = ApiVersion(request.param)
    match scheme:
        case ApiVersion.V1:
            return Client(server)
        case ApiVersion.V3:
            return WalletClient(server)
        case _:
            assert_never(scheme)
