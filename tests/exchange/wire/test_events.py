"""Frames: acknowledged, unknown, or taken apart."""

import pytest

from src.domain.errors import ProtocolError
from src.exchange import wire
from src.exchange.wire import Body

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    "frame",
    [
        {"result": None, "id": 1},
        {"result": None, "id": None},
        {"result": ["btcusdt@aggTrade"], "id": 3},
        {"e": "aggTrade", "E": 1},
        {"stream": "btcusdt@kline_1m", "data": {"e": "kline"}},
    ],
)
def test_frames_that_tell_the_trader_nothing(frame: Body) -> None:
    assert wire.parse_event(frame, NOW_MS) is None


@pytest.mark.parametrize(
    "frame",
    [{"e": "tomorrow"}, {}, {"error": {"code": 2, "msg": "bad"}, "id": 1}, {"e": 5}, [], "text", None, 7,
     {"stream": "x", "data": 5}],
)  # fmt: skip
def test_frames_that_are_not_understood(frame: object) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_event(frame, NOW_MS)


def test_an_array_of_events_is_taken_apart() -> None:
    marks = [{"e": "markPriceUpdate"}, {"e": "tomorrow"}]

    assert wire.unwrap(marks) == marks
    assert wire.unwrap(wire.wrap("!markPrice@arr", marks)) == marks
    assert wire.unwrap({"e": "forceOrder"}) == [{"e": "forceOrder"}]
    assert wire.unwrap(7) == [7]
