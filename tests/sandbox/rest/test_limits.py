"""Request weights, order counts, 429 and 418."""

import pytest

from src.domain.errors import RateLimited
from src.sandbox.account.limits import RequestLimits
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client

MINUTE = 60_000


def test_every_response_has_the_used_weight(client: Client) -> None:
    before = int(client.public("/fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"])
    depth = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=100)
    tickers = client.public("/fapi/v1/ticker/24hr")

    assert int(depth.headers["X-MBX-USED-WEIGHT-1M"]) == before + 5
    assert int(tickers.headers["X-MBX-USED-WEIGHT-1M"]) == before + 45


def test_orders_are_counted(client: Client) -> None:
    response = client.signed("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")

    assert response.headers["X-MBX-ORDER-COUNT-1M"] == "1"


def test_exceeded_weight_returns_429_with_retry_after(server: SandboxServer, client: Client) -> None:
    server.exchange.limits.weight_limit = 0
    response = client.public("/fapi/v1/ping")

    assert (response.status_code, response.json()["code"]) == (429, -1003)
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_too_many_orders_are_rejected(server: SandboxServer, client: Client) -> None:
    server.exchange.limits.order_limit = 0
    response = client.signed("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")

    assert (response.status_code, response.json()["code"]) == (429, -1015)
    assert server.exchange.account.request_log.received == []


def test_requests_after_429_lead_to_a_ban() -> None:
    limits = RequestLimits(weight_limit=5)
    outcomes = []
    for _ in range(17):
        try:
            limits.use_weight(1, now_ms=MINUTE)
        except RateLimited as limited:
            outcomes.append((limited.banned, limited.retry_at))

    assert outcomes[:10] == [(False, 2 * MINUTE)] * 10
    assert outcomes[10:] == [(True, 3 * MINUTE)] * 2
    with pytest.raises(RateLimited):
        limits.use_weight(1, now_ms=3 * MINUTE - 1)
    limits.use_weight(1, now_ms=3 * MINUTE)
    assert limits.used_weight == 1


def test_new_minute_resets_the_counts() -> None:
    limits = RequestLimits(weight_limit=5, order_limit=1)
    limits.use_weight(5, now_ms=10)

    assert limits.use_order(10)
    assert not limits.use_order(11)
    limits.use_weight(5, now_ms=MINUTE)
    assert (limits.used_weight, limits.orders) == (5, 0)
