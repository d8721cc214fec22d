"""What each class of answers means, to a read and to an order: a line for each status and body, without a socket.

That a broken connection is told as it should be needs real sockets: test_aster.py and tests/faults show that.
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
def answers() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        mock.get(f"{URL}/fapi/v1/time", json={"serverTime": NOW_MS})
        yield mock


@pytest.fixture
def asking(clock: ManualClock, limits: RateLimits) -> AsterClient:
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
        # Refused with a code of the exchange: it did not happen.
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
        # Asked too often: later.
        (429, code(-1003), RateLimited, RateLimited),
        (418, code(-1003), RateLimited, RateLimited),
        (429, code(-1015), RateLimited, RateLimited),
        # No code of the exchange: an order may have been executed all the same.
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
        # Codes that leave the outcome open.
        (400, code(-1000), Unreachable, OutcomeUnknown),
        (400, code(-1001), Unreachable, OutcomeUnknown),
        (400, code(-1006), Unreachable, OutcomeUnknown),
        (400, code(-1007), Unreachable, OutcomeUnknown),
        # Accepted, with a body that cannot be read.
        (200, "", Unreachable, OutcomeUnknown),
        (200, "<html>", Unreachable, OutcomeUnknown),
        (200, '{"orderId": ', Unreachable, OutcomeUnknown),
        (200, '{"price": NaN}', Unreachable, OutcomeUnknown),
    ],
)
def test_an_answer_is_the_error_that_says_what_happened(
    answers: responses.RequestsMock,
    asking: AsterClient,
    clock: ManualClock,
    status: int,
    body: str,
    of_read: type[ExchangeError],
    of_order: type[ExchangeError],
) -> None:
    answers.get(f"{URL}/fapi/v1/order", status=status, body=body)
    answers.post(f"{URL}/fapi/v1/order", status=status, body=body)

    assert type(failure(asking, QUERY_ORDER)) is of_read
    clock.advance(2 * MINUTE_MS)  # whatever silence was asked for is over
    assert type(failure(asking, NEW_ORDER)) is of_order
    assert [call.request.method for call in answers.calls] == ["GET", "GET", "POST"], "nothing is asked twice"


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
def test_an_order_whose_answer_was_lost_may_have_been_executed(
    answers: responses.RequestsMock, asking: AsterClient, failed: Exception, of_order: type[ExchangeError]
) -> None:
    answers.get(f"{URL}/fapi/v1/order", body=failed)
    answers.post(f"{URL}/fapi/v1/order", body=failed)

    assert type(failure(asking, QUERY_ORDER)) is Unreachable
    assert type(failure(asking, NEW_ORDER)) is of_order


@pytest.mark.parametrize(
    ("status", "headers", "message", "silent_ms", "is_ban"),
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
def test_how_long_to_be_silent(
    answers: responses.RequestsMock,
    asking: AsterClient,
    status: int,
    headers: dict[str, str],
    message: str,
    silent_ms: int,
    is_ban: bool,
) -> None:
    answers.get(f"{URL}/fapi/v4/account", status=status, headers=headers, body=code(-1003, message))
    error = failure(asking, ACCOUNT)

    assert isinstance(error, RateLimited)
    assert error.retry_at == NOW_MS + silent_ms
    assert asking.limits.is_banned is is_ban
    assert asking.limits.blocked_until == NOW_MS + silent_ms


@pytest.mark.parametrize(
    ("headers", "used", "orders"),
    [
        ({}, 2, 1),
        ({"x-mbx-used-weight-1m": "1700", "X-MBX-ORDER-COUNT-1M": "12"}, 1700, 12),
        ({"X-MBX-USED-WEIGHT-1M": "1"}, 2, 1),
        ({"X-MBX-USED-WEIGHT-1M": "many", "X-MBX-ORDER-COUNT-1M": "-3"}, 2, 1),
    ],
)
def test_what_the_exchange_has_counted_is_learnt(
    answers: responses.RequestsMock, asking: AsterClient, headers: dict[str, str], used: int, orders: int
) -> None:
    answers.post(f"{URL}/fapi/v1/order", json={"orderId": 1}, headers=headers)

    assert asking.request(NEW_ORDER, essential=True) == {"orderId": 1}
    assert (asking.limits.weight_used, asking.limits.orders_used) == (used, orders)
