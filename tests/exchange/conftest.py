from collections.abc import Iterator
from typing import assert_never

import pytest

from src.domain.clock import ManualClock
from src.domain.enums import Network
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.utils.auth import ApiVersion, Eip712Signer, HmacSigner, Signer
from tests.exchange.scripted_server import Reply, ScriptedServer

NOW_MS = 1_700_000_000_000
API_KEY = "the-public-key"
API_SECRET = "the-secret-canary"
USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
"""From Aster's documentation (V3, Example of POST order)."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


def a_signer(scheme: ApiVersion) -> Signer:
    """Return a new signer: its first signature is always the same."""
    match scheme:
        case ApiVersion.V1:
            return HmacSigner(API_KEY, API_SECRET)
        case ApiVersion.V3:
            return Eip712Signer(USER, PRIVATE_KEY, Network.SANDBOX.chain_id, microsecond=0)
        case _:
            assert_never(scheme)


@pytest.fixture
def scheme() -> ApiVersion:
    """V1 by default; modules that test both versions override it."""
    return ApiVersion.V1


@pytest.fixture
def server(scheme: ApiVersion) -> Iterator[ScriptedServer]:
    with ScriptedServer(scheme).running() as server:
        server.script("GET", "/fapi/v1/time", Reply({"serverTime": NOW_MS + 250}))
        yield server


@pytest.fixture
def limits(clock: ManualClock) -> RateLimits:
    return RateLimits(clock)


@pytest.fixture
def client(scheme: ApiVersion, server: ScriptedServer, clock: ManualClock, limits: RateLimits) -> AsterClient:
    return AsterClient(server.url, clock, limits, a_signer(scheme))


@pytest.fixture
def exchange(client: AsterClient) -> AsterExchange:
    return AsterExchange(client)
