import json

import pytest

from src.domain.errors import AuthError, ExchangeError, OutcomeUnknown, RateLimited, Rejected, Unreachable
from src.exchange.answers import classify

SILENCE = RateLimited("be silent", 1)


def refusal(code: int) -> bytes:
    return json.dumps({"code": code, "msg": "the reason"}).encode()


def answer(status: int, body: bytes, *, repeatable: bool) -> object:
    return classify(status, body, repeatable=repeatable, silence=lambda _: SILENCE)


def failure(status: int, body: bytes, *, repeatable: bool) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        answer(status, body, repeatable=repeatable)
    return caught.value


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_good_answer_is_its_payload(repeatable: bool) -> None:
    assert answer(200, b'{"orderId": 1}', repeatable=repeatable) == {"orderId": 1}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (503, refusal(-2019)),
        (502, b"<html>bad gateway</html>"),
        (500, refusal(-1000)),
        (400, refusal(-1000)),
        (400, refusal(-1001)),
        (400, refusal(-1006)),
        (400, refusal(-1007)),
        (200, b""),
        (200, b"<html>"),
        (200, b'{"orderId": '),
        (200, b'{"price": NaN}'),
        (302, b""),
        (400, b"not json"),
        (403, b"<html>firewall</html>"),
        (404, b"<html>not found</html>"),
        (404, refusal(-1121)),
        (429, b"<html>slow down</html>"),
        (400, b"[]"),
        (400, b'{"code": "many", "msg": 1}'),
    ],
)
def test_what_leaves_the_outcome_of_a_write_open(status: int, body: bytes) -> None:
    assert isinstance(failure(status, body, repeatable=False), OutcomeUnknown)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_with_a_code_is_definite(status: int) -> None:
    error = failure(status, refusal(-2019), repeatable=False)

    assert isinstance(error, Rejected)
    assert not isinstance(error, AuthError)
    assert (error.code, error.reason) == (-2019, "the reason")


@pytest.mark.parametrize("code", [-1002, -1021, -1022, -2014, -2015, -4087, -4088, -4225])
def test_a_refused_key_is_told_apart(code: int) -> None:
    assert isinstance(failure(401, refusal(code), repeatable=False), AuthError)


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize("repeatable", [True, False])
def test_too_many_requests(status: int, repeatable: bool) -> None:
    assert failure(status, refusal(-1003), repeatable=repeatable) is SILENCE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (503, refusal(-1000)),
        (400, refusal(-1007)),
        (200, b""),
        (200, b"<html>"),
        (302, b""),
        (403, b"<html>firewall</html>"),
        (404, b"<html>not found</html>"),
    ],
)
def test_a_read_that_failed_may_be_asked_again(status: int, body: bytes) -> None:
    error = failure(status, body, repeatable=True)

    assert isinstance(error, Unreachable)
    assert not isinstance(error, RateLimited)


def test_a_read_that_was_refused() -> None:
    assert isinstance(failure(400, refusal(-1121), repeatable=True), Rejected)


def test_a_throttled_page_without_a_code_still_asks_for_silence() -> None:
    messages: list[str] = []

    def silence(message: str) -> ExchangeError:
        messages.append(message)
        return SILENCE

    with pytest.raises(OutcomeUnknown):
        classify(429, b"<html>", repeatable=False, silence=silence)

    assert messages == [""]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (-1021, "clock follow a time server"),
        (-1022, "copy them again"),
        (-2015, "look on Aster's site"),
        (-4056, "see on Aster's site"),
        (-4087, "only reduce positions"),
        (-4088, "no orders now"),
        (-4225, "give each its own"),
    ],
)
def test_a_refused_key_names_its_remedy(code: int, remedy: str) -> None:
    error = failure(400, refusal(code), repeatable=False)

    assert isinstance(error, AuthError)
    assert error.reason.startswith("the reason: ")
    assert remedy in error.reason
