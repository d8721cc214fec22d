"""Errors for each HTTP status and body, of a read and of an order, without a socket.

Broken connections need real sockets: see test_aster.py and tests/faults.
"""

import json
from collections.abc import Iterator

import pytest
import requests
import responses

from src.domain.clock import ManualClock
from src.domain.errors import (
    AuthError,
    ExchangeError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from src.exchange.client import AsterClient
from src.exchange.endpoints import ACCOUNT, NEW_ORDER, QUERY_ORDER, Endpoint
from src.exchange.limits import RateLimits
from src.utils.auth import ApiVersion
from tests.exchange.conftest import NOW_MS, a_signer

URL = "https://exchange.test"
MINUTE_MS = 60_000


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        mock.get(f"{URL}/fapi/v1/time", json={"serverTime": NOW_MS})
        yield mock


@pytest.fixture
def client(clock: ManualClock, limits: RateLimits) -> AsterClient:
    return AsterClient(URL, clock, limits, a_signer(ApiVersion.V1))


def code(number: int, message: str = "the reason") -> str:
    return json.dumps({"code": number, "msg": message})


def failure(client: AsterClient, endpoint: Endpoint) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        client.request(endpoint, {"symbol": "BTCUSDT"}, essential=True)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "of_read", "of_order"),
    [
        # Rejected with an error code: not executed.
        (400, code(-2019), Rejected, Rejected),
        (400, code(-1111), Rejected, Rejected),
        (400, code(-2021), Rejected, Rejected),
        (400, code(-4164), Rejected, Rejected),
        (400, code(-9999), Rejected, Rejected),
        (401, code(-2014), AuthError, AuthError),
        (401, code(-2015), AuthError, AuthError),
        (400, code(-1022), AuthError, AuthError),
        (400, code(-4087), AuthError, AuthError),
        (400, code(-4088), AuthError, AuthError),
        (403, code(-1002), AuthError, AuthError),
        # Rate limited: retry later.
        (429, code(-1003), RateLimited, RateLimited),
        (418, code(-1003), RateLimited, RateLimited),
        (429, code(-1015), RateLimited, RateLimited),
        # Without an error code an order may have been executed.
        (429, "<html>slow down</html>", RateLimited, OutcomeUnknown),
        (418, "", RateLimited, OutcomeUnknown),
        (403, "<html>firewall</html>", Unreachable, OutcomeUnknown),
        (404, "<html>not found</html>", Unreachable, OutcomeUnknown),
        (400, "", Unreachable, OutcomeUnknown),
        (400, "[]", Unreachable, OutcomeUnknown),
        (302, "", Unreachable, OutcomeUnknown),
        (500, "", Unreachable, OutcomeUnknown),
        (502, "<html>bad gateway</html>", Unreachable, OutcomeUnknown),
        (503, "", Unreachable, OutcomeUnknown),
        (503, code(-2019), Unreachable, OutcomeUnknown),
        (504, "", Unreachable, OutcomeUnknown),
        # Error codes with an unknown outcome.
        (400, code(-1000), Unreachable, OutcomeUnknown),
        (400, code(-1001), Unreachable, OutcomeUnknown),
        (400, code(-1006), Unreachable, OutcomeUnknown),
        (400, code(-1007), Unreachable, OutcomeUnknown),
        # Success with an unreadable body.
        (200, "", Unreachable, OutcomeUnknown),
        (200, "<html>", Unreachable, OutcomeUnknown),
        (200, '{"orderId": ', Unreachable, OutcomeUnknown),
        (200, '{"price": NaN}', Unreachable, OutcomeUnknown),
    ],
)
def test_response_maps_to_an_error(
    mock: responses.RequestsMock,
    client: AsterClient,
    clock: ManualClock,
    status: int,
    body: str,
    of_read: type[ExchangeError],
    of_order: type[ExchangeError],
) -> None:
    mock.get(f"{URL}/fapi/v1/order", status=status, body=body)
    mock.post(f"{URL}/fapi/v1/order", status=status, body=body)

    assert type(failure(client, QUERY_ORDER)) is of_read
    clock.advance(2 * MINUTE_MS)  # any rate limit pause is over
    assert type(failure(client, NEW_ORDER)) is of_order
    assert [call.request.method for call in mock.calls] == ["GET", "GET", "POST"], "no request is repeated"


@pytest.mark.parametrize(
    ("failed", "of_order"),
    [
        (requests.ConnectTimeout(), Unreachable),
        (requests.ReadTimeout(), OutcomeUnknown),
        (requests.ConnectionError(), OutcomeUnknown),
        (requests.exceptions.ChunkedEncodingError(), OutcomeUnknown),
        (requests.exceptions.InvalidURL(), Unreachable),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_lost_order_response_has_an_unknown_outcome(
    mock: responses.RequestsMock, client: AsterClient, failed: Exception, of_order: type[ExchangeError]
) -> None:
    mock.get(f"{URL}/fapi/v1/order", body=failed)
    mock.post(f"{URL}/fapi/v1/order", body=failed)

    assert type(failure(client, QUERY_ORDER)) is Unreachable
    assert type(failure(client, NEW_ORDER)) is of_order


@pytest.mark.parametrize(
    ("status", "headers", "message", "pause_ms", "is_ban"),
    [
        (429, {}, "", MINUTE_MS, False),
        (429, {"Retry-After": "7"}, "", 7_000, False),
        (429, {"Retry-After": "0"}, "", MINUTE_MS, False),
        (429, {"Retry-After": "soon"}, "", MINUTE_MS, False),
        (418, {}, "", 2 * MINUTE_MS, True),
        (418, {"Retry-After": "3600"}, "", 3_600_000, True),
        (418, {"Retry-After": "99999999"}, "", 3 * 86_400_000, True),
        (418, {}, f"IP banned until {NOW_MS + 300_000}", 300_000, True),
        (418, {}, f"IP banned until {NOW_MS - 300_000}", MINUTE_MS, True),
    ],
)
def test_duration_of_a_rate_limit_pause(
    mock: responses.RequestsMock,
    client: AsterClient,
    status: int,
    headers: dict[str, str],
    message: str,
    pause_ms: int,
    is_ban: bool,
) -> None:
    mock.get(f"{URL}/fapi/v4/account", status=status, headers=headers, body=code(-1003, message))
    error = failure(client, ACCOUNT)

    assert isinstance(error, RateLimited)
    assert error.retry_at == NOW_MS + pause_ms
    assert client.limits.is_banned is is_ban
    assert client.limits.blocked_until == NOW_MS + pause_ms


@pytest.mark.parametrize(
    ("headers", "used", "orders"),
    [
        ({}, 2, 1),
        ({"x-mbx-used-weight-1m": "1700", "X-MBX-ORDER-COUNT-1M": "12"}, 1700, 12),
        ({"X-MBX-USED-WEIGHT-1M": "1"}, 2, 1),
        ({"X-MBX-USED-WEIGHT-1M": "many", "X-MBX-ORDER-COUNT-1M": "-3"}, 2, 1),
    ],
)
def test_counts_in_headers_are_adopted(
    mock: responses.RequestsMock, client: AsterClient, headers: dict[str, str], used: int, orders: int
) -> None:
    mock.post(f"{URL}/fapi/v1/order", json={"orderId": 1}, headers=headers)

    assert client.request(NEW_ORDER, essential=True) == {"orderId": 1}
    assert (client.limits.weight_used, client.limits.orders_used) == (used, orders)
