"""Stream frames: acknowledgements, unknown events, arrays of events, and JSON numbers."""

from decimal import Decimal

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
def test_unused_frames_are_ignored(frame: Body) -> None:
    assert wire.parse_event(frame, NOW_MS) is None


@pytest.mark.parametrize(
    "frame",
    [{"e": "unknownEvent"}, {}, {"error": {"code": 2, "msg": "bad"}, "id": 1}, {"e": 5}, [], "text", None, 7,
     {"stream": "x", "data": 5}],
)  # fmt: skip
def test_invalid_frame_raises(frame: object) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_event(frame, NOW_MS)


def test_array_of_events_is_split() -> None:
    marks = [{"e": "markPriceUpdate"}, {"e": "unknownEvent"}]

    assert wire.unwrap(marks) == marks
    assert wire.unwrap(wire.wrap("!markPrice@arr", marks)) == marks
    assert wire.unwrap({"e": "forceOrder"}) == [{"e": "forceOrder"}]
    assert wire.unwrap(7) == [7]


@pytest.mark.parametrize(
    ("value", "written"), [("-0", "0"), ("1E+3", "1000"), ("0E-8", "0.00000000"), ("0.10", "0.10")]
)
def test_numbers_are_written_without_exponent(value: str, written: str) -> None:
    assert wire.decimal_str(Decimal(value)) == written


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", b"\xff\xfe\x00", "[" * 100_000])
def test_invalid_json_raises(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.read_json(text)


def test_json_numbers_stay_exact() -> None:
    assert wire.read_json('{"a": 0.1}') == {"a": Decimal("0.1")}
