from collections.abc import Iterator

import pytest

from src.domain.clock import ManualClock
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.utils.auth import HmacSigner
from tests.exchange.scripted import Answer, ScriptedServer

NOW_MS = 1_700_000_000_000
API_KEY = "the-public-key"
API_SECRET = "the-secret-canary"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as server:
        server.script("GET", "/fapi/v1/time", Answer({"serverTime": NOW_MS + 250}))
        yield server


@pytest.fixture
def limits(clock: ManualClock) -> RateLimits:
    return RateLimits(clock)


@pytest.fixture
def client(server: ScriptedServer, clock: ManualClock, limits: RateLimits) -> AsterClient:
    return AsterClient(server.url, clock, limits, HmacSigner(API_KEY, API_SECRET))


@pytest.fixture
def exchange(client: AsterClient) -> AsterExchange:
    return AsterExchange(client)
