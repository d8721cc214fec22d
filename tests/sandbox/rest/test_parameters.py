"""Strict parsing of parameters."""

from decimal import Decimal

import pytest

from src.domain.enums import Side
from src.domain.errors import Rejected
from src.exchange.wire import ErrorBody
from src.sandbox.rest.parameters import Parameters


@pytest.mark.parametrize("text", ["x", "1.5", "", "١", "--1", "1_000"])
def test_invalid_integer_is_rejected(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        Parameters({"n": text}).integer("n")

    assert caught.value.code == (-1102 if text == "" else -1100)


def test_integer_over_64_bits_is_rejected() -> None:
    assert Parameters({"n": "-12"}).integer("n") == -12
    with pytest.raises(Rejected, match="-1130"):
        Parameters({"n": "9" * 30}).integer("n")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e99", "1_0", "٣", "abc"])
def test_invalid_decimal_is_rejected(text: str) -> None:
    with pytest.raises(Rejected, match="-1100"):
        Parameters({"n": text}).decimal("n")


def test_missing_is_none_and_empty_is_rejected() -> None:
    assert Parameters({}).optional_decimal("n") is None
    assert Parameters({"n": "0.10"}).optional_decimal("n") == Decimal("0.1")
    with pytest.raises(Rejected, match="-1105"):
        Parameters({"n": ""}).optional("n")


def test_rejection_is_a_new_exception_each_time() -> None:
    error = ErrorBody(-1117, "Invalid side.")
    errors = []
    for _ in range(2):
        with pytest.raises(Rejected) as caught:
            Parameters({"side": "UP"}).enum("side", Side, error)
        errors.append(caught.value)

    assert errors[0] is not errors[1]
    assert {each.code for each in errors} == {-1117}


def test_plus_and_percent_are_decoded() -> None:
    assert Parameters.parse("a=1+2&b=%E5%B8%81", "c=3").text("b") == "币"
    assert Parameters.parse("a=1+2", "a=9").text("a") == "1 2"
