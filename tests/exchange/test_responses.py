import json

import pytest

from src.domain.errors import AuthError, ExchangeError, OutcomeUnknown, RateLimited, Rejected, Unreachable
from src.exchange.responses import classify

RATE_LIMITED = RateLimited("pause", 1)


def error_body(code: int) -> bytes:
    return json.dumps({"code": code, "msg": "the reason"}).encode()


def classify_response(status: int, body: bytes, *, is_idempotent: bool) -> object:
    return classify(status, body, is_idempotent=is_idempotent, rate_limit_error=lambda _: RATE_LIMITED)


def failure(status: int, body: bytes, *, is_idempotent: bool) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        classify_response(status, body, is_idempotent=is_idempotent)
    return caught.value


@pytest.mark.parametrize("is_idempotent", [True, False])
def test_success_returns_the_payload(is_idempotent: bool) -> None:
    assert classify_response(200, b'{"orderId": 1}', is_idempotent=is_idempotent) == {"orderId": 1}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (503, error_body(-2019)),
        (502, b"<html>bad gateway</html>"),
        (500, error_body(-1000)),
        (400, error_body(-1000)),
        (400, error_body(-1001)),
        (400, error_body(-1006)),
        (400, error_body(-1007)),
        (200, b""),
        (200, b"<html>"),
        (200, b'{"orderId": '),
        (200, b'{"price": NaN}'),
        (302, b""),
        (400, b"not json"),
        (403, b"<html>firewall</html>"),
        (404, b"<html>not found</html>"),
        (404, error_body(-1121)),
        (429, b"<html>slow down</html>"),
        (400, b"[]"),
        (400, b'{"code": "many", "msg": 1}'),
    ],
)
def test_failed_write_has_an_unknown_outcome(status: int, body: bytes) -> None:
    assert isinstance(failure(status, body, is_idempotent=False), OutcomeUnknown)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_rejection_with_a_code_is_definite(status: int) -> None:
    error = failure(status, error_body(-2019), is_idempotent=False)

    assert isinstance(error, Rejected)
    assert not isinstance(error, AuthError)
    assert (error.code, error.reason) == (-2019, "the reason")


@pytest.mark.parametrize("code", [-1002, -1021, -1022, -2014, -2015, -4087, -4088, -4225])
def test_rejected_key_is_an_auth_error(code: int) -> None:
    assert isinstance(failure(401, error_body(code), is_idempotent=False), AuthError)


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize("is_idempotent", [True, False])
def test_429_and_418_are_rate_limited(status: int, is_idempotent: bool) -> None:
    assert failure(status, error_body(-1003), is_idempotent=is_idempotent) is RATE_LIMITED


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (503, error_body(-1000)),
        (400, error_body(-1007)),
        (200, b""),
        (200, b"<html>"),
        (302, b""),
        (403, b"<html>firewall</html>"),
        (404, b"<html>not found</html>"),
    ],
)
def test_failed_read_is_unreachable(status: int, body: bytes) -> None:
    error = failure(status, body, is_idempotent=True)

    assert isinstance(error, Unreachable)
    assert not isinstance(error, RateLimited)


def test_rejected_read() -> None:
    assert isinstance(failure(400, error_body(-1121), is_idempotent=True), Rejected)


def test_429_without_a_code_still_backs_off() -> None:
    messages: list[str] = []

    def rate_limit_error(message: str) -> ExchangeError:
        messages.append(message)
        return RATE_LIMITED

    with pytest.raises(OutcomeUnknown):
        classify(429, b"<html>", is_idempotent=False, rate_limit_error=rate_limit_error)

    assert messages == [""]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (-1021, "sync this machine's clock"),
        (-1022, "copy both again"),
        (-2015, "check it on Aster's site"),
        (-4056, "check on Aster's site"),
        (-4087, "only to reduce positions"),
        (-4088, "no new orders"),
        (-4225, "give each program its own wallet"),
    ],
)
def test_rejected_key_names_its_remedy(code: int, remedy: str) -> None:
    error = failure(400, error_body(code), is_idempotent=False)

    assert isinstance(error, AuthError)
    assert error.reason.startswith("the reason: ")
    assert remedy in error.reason
