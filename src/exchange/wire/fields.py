"""One JSON object, read field by field: what is missing or not understood is said, never replaced."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from src.domain.errors import ProtocolError

Body = dict[str, object]
Word = TypeVar("Word", bound=StrEnum)
_TRUTHS: Mapping[object, bool] = {True: True, False: False, "true": True, "false": False, "TRUE": True, "FALSE": False}


def read_json(text: str | bytes) -> object:
    """The value a text stands for, its numbers exact; ``ProtocolError`` where it is not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON", text[:200]) from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def number(value: Decimal) -> str:
    """A number as the exchange writes it: a plain string, never with an exponent."""
    return format(value if value else abs(value), "f")


def read_decimal(value: object, payload: object) -> Decimal:
    """An exact, finite number, from a string as Aster sends it or from a JSON number."""
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            result = Decimal(value)
        except InvalidOperation:
            raise ProtocolError(f"not a number: {value!r}", payload) from None
        if result.is_finite():
            return result
    raise ProtocolError(f"not a number: {value!r}", payload)


def read_list(payload: object) -> list[object]:
    """The elements of a JSON array; anything else is not an empty one."""
    if not isinstance(payload, list):
        raise ProtocolError("an array was expected", payload)
    return payload


class Fields:
    """A view of one JSON object. Unknown fields are ignored: new ones appear without notice."""

    __slots__ = ("_values",)

    def __init__(self, payload: object) -> None:
        if not isinstance(payload, dict):
            raise ProtocolError("an object was expected", payload)
        self._values = payload

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def text(self, key: str) -> str:
        value = self._required(key)
        if not isinstance(value, str):
            raise self._misunderstood(key)
        return value

    def decimal(self, key: str) -> Decimal:
        return read_decimal(self._required(key), self._values)

    def positive(self, key: str) -> Decimal:
        """A number that something is divided by or rounded to: 0 means that there is none."""
        value = self.decimal(key)
        if value <= 0:
            raise self._misunderstood(key)
        return value

    def integer(self, key: str) -> int:
        """A whole number; some of Aster's arrive as strings."""
        value = self.decimal(key)
        if value != value.to_integral_value():
            raise self._misunderstood(key)
        return int(value)

    def truth(self, key: str) -> bool:
        """A boolean; some of Aster's arrive as strings."""
        value = self._required(key)
        if not isinstance(value, bool | str) or value not in _TRUTHS:
            raise self._misunderstood(key)
        return _TRUTHS[value]

    def word(self, key: str, vocabulary: type[Word], aliases: Mapping[str, Word] | None = None) -> Word:
        """A word of a closed vocabulary, or another word for one of its members."""
        text = self.text(key)
        if aliases and text in aliases:
            return aliases[text]
        try:
            return vocabulary(text)
        except ValueError:
            raise self._misunderstood(key) from None

    def known_word(self, key: str, vocabulary: type[Word], aliases: Mapping[str, Word] | None = None) -> Word | None:
        """The same; None for a text of another vocabulary, where the rest says enough without it."""
        self.text(key)
        try:
            return self.word(key, vocabulary, aliases)
        except ProtocolError:
            return None

    def part(self, key: str) -> "Fields":
        return Fields(self._required(key))

    def parts(self, key: str) -> "Iterable[Fields]":
        return [Fields(each) for each in self.items(key)]

    def items(self, key: str) -> list[object]:
        return read_list(self._required(key))

    def first(self, *keys: str) -> str:
        """The first of these keys that is there."""
        for key in keys:
            if key in self:
                return key
        raise ProtocolError(f"{' or '.join(keys)} is missing", self._values)

    def _required(self, key: str) -> object:
        value = self._values.get(key)
        if value is None:
            raise ProtocolError(f"{key} is missing", self._values)
        return value

    def _misunderstood(self, key: str) -> ProtocolError:
        return ProtocolError(f"{key} is not understood: {self._values[key]!r}", self._values)
