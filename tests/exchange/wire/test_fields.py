"""JSON and numbers, read exactly or not at all."""

from decimal import Decimal

import pytest

from src.domain.errors import ProtocolError
from src.exchange import wire


@pytest.mark.parametrize(
    ("value", "written"), [("-0", "0"), ("1E+3", "1000"), ("0E-8", "0.00000000"), ("0.10", "0.10")]
)
def test_numbers_are_written_plainly(value: str, written: str) -> None:
    assert wire.number(Decimal(value)) == written


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", b"\xff\xfe\x00", "[" * 100_000])
def test_what_is_not_json(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.read_json(text)


def test_json_numbers_stay_exact() -> None:
    assert wire.read_json('{"a": 0.1}') == {"a": Decimal("0.1")}
