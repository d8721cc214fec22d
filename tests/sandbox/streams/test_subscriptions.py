"""Requests on a stream connection and their replies."""

import json

import pytest

from src.sandbox.streams.names import DepthStream, KlineStream, MarkStream, parse_periodic
from src.sandbox.streams.subscriptions import Subscriptions


def reply(request: object, subscriptions: Subscriptions | None = None) -> dict[str, object]:
    return (subscriptions or Subscriptions(is_combined=False)).handle(json.dumps(request))


def test_repeated_subscription_is_listed_once() -> None:
    subscriptions = Subscriptions(is_combined=False)
    for _ in range(2):
        reply({"method": "SUBSCRIBE", "params": ["a@b", "a@b"], "id": 1}, subscriptions)

    assert subscriptions.names == ["a@b"]


def test_combined_property_is_set_and_read() -> None:
    subscriptions = Subscriptions(is_combined=False)
    reply({"method": "SET_PROPERTY", "params": ["combined", True], "id": 1}, subscriptions)

    assert subscriptions.is_combined
    assert reply({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}, subscriptions)["result"] is True


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"id": 1}, 2),
        ([], 2),
        ({"method": "DANCE", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "a@b", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": -1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1.5}, 2),
        ({"method": "SUBSCRIBE", "params": [str(each) for each in range(201)], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0),
        ({"method": "GET_PROPERTY", "params": ["combined", "x"], "id": 1}, 2),
        ({"method": "SET_PROPERTY", "params": ["colour", True], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": ["combined", True, 1], "id": 1}, 2),
    ],
)
def test_invalid_request_returns_the_documented_code(request_: object, code: int) -> None:
    error = reply(request_)["error"]

    assert isinstance(error, dict)
    assert error["code"] == code


def test_invalid_json_returns_an_error() -> None:
    error = Subscriptions(is_combined=False).handle("{")["error"]

    assert error == {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("btcusdt@depth5", DepthStream("btcusdt@depth5", "BTCUSDT", 5, 250)),
        ("btcusdt@depth20@500ms", DepthStream("btcusdt@depth20@500ms", "BTCUSDT", 20, 500)),
        ("币usdt@markPrice", MarkStream("币usdt@markPrice", "币USDT", 3000)),
        ("!markPrice@arr@1s", MarkStream("!markPrice@arr@1s", None, 1000)),
        ("!markPrice@arr", MarkStream("!markPrice@arr", None, 3000)),
        ("btcusdt@kline_1M", KlineStream("btcusdt@kline_1M", "BTCUSDT", "1M")),
        ("btcusdt@kline_7m", None),
        ("btcusdt@depth7", None),
        ("btcusdt@bookTicker", None),
    ],
)
def test_stream_names_are_parsed(name: str, expected: object) -> None:
    assert parse_periodic(name) == expected
