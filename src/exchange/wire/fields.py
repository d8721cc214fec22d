"""One JSON object, read field by field: what is missing or not understood is said, never replaced."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from src.domain.enums import MarginType, OrderStatus, OrderType, TimeInForce
from src.domain.errors import ProtocolError

Body = dict[str, object]
EnumT = TypeVar("EnumT", bound=StrEnum)
_BOOLEANS: Mapping[object, bool] = {
    True: True,
    False: False,
    "true": True,
    "false": False,
    "TRUE": True,
    "FALSE": False,
}


def read_json(text: str | bytes) -> object:
    """The value a text stands for, its numbers exact; ``ProtocolError`` where it is not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON", text[:200]) from None


def _reject_constant(constant: str) -> object:
    raise ValueError(constant)


def decimal_str(value: Decimal) -> str:
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
            raise self._invalid(key)
        return value

    def decimal(self, key: str) -> Decimal:
        return read_decimal(self._required(key), self._values)

    def positive(self, key: str) -> Decimal:
        """A number that something is divided by or rounded to: 0 means that there is none."""
        value = self.decimal(key)
        if value <= 0:
            raise self._invalid(key)
        return value

    def integer(self, key: str) -> int:
        """A whole number; some of Aster's arrive as strings."""
        value = self.decimal(key)
        if value != value.to_integral_value():
            raise self._invalid(key)
        return int(value)

    def boolean(self, key: str) -> bool:
        """A boolean; some of Aster's arrive as strings."""
        value = self._required(key)
        if not isinstance(value, bool | str) or value not in _BOOLEANS:
            raise self._invalid(key)
        return _BOOLEANS[value]

    def enum(self, key: str, enum_type: type[EnumT], aliases: Mapping[str, EnumT] | None = None) -> EnumT:
        """A word of a closed vocabulary, or another word for one of its members."""
        text = self.text(key)
        if aliases and text in aliases:
            return aliases[text]
        try:
            return enum_type(text)
        except ValueError:
            raise self._invalid(key) from None

    def optional_enum(
        self, key: str, enum_type: type[EnumT], aliases: Mapping[str, EnumT] | None = None
    ) -> EnumT | None:
        """The same; None for a text of another vocabulary, where the rest says enough without it."""
        self.text(key)
        try:
            return self.enum(key, enum_type, aliases)
        except ProtocolError:
            return None

    def child(self, key: str) -> "Fields":
        return Fields(self._required(key))

    def children(self, key: str) -> "Iterable[Fields]":
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

    def _invalid(self, key: str) -> ProtocolError:
        return ProtocolError(f"{key} is not understood: {self._values[key]!r}", self._values)


ORDER_TYPE_ALIASES = {"LIQUIDATION": OrderType.LIMIT}
"""A forced order of ours (Event: Order Update) is a limit order, as the liquidation stream shows it."""

TIME_IN_FORCE_ALIASES = {"HIDDEN": TimeInForce.GTC, "GTE_GTC": TimeInForce.GTC, "RPI": TimeInForce.GTX}
"""Kinds the bot never sends, but finds on orders a person placed: one of them must not hide the rest."""

MARGIN_TYPE_ALIASES = {
    "isolated": MarginType.ISOLATED,
    "cross": MarginType.CROSSED,
    "crossed": MarginType.CROSSED,
    "CROSS": MarginType.CROSSED,
}
"""The same two words, written differently from one answer to the next."""

LIQUIDATION_STATUSES = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""The insurance fund or a counterparty takes a forced order over: how far it filled is told by its quantities."""

LOCAL_ONLY_STATUSES = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL})
"""What only we can know of an order; the exchange never says it."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    code: int
    message: str


def parse_error(payload: object) -> ErrorBody:
    """``{"code": -1121, "msg": "Invalid symbol."}``; ``ProtocolError`` for anything else."""
    error = Fields(payload)
    return ErrorBody(error.integer("code"), error.text("msg"))


def render_error(error: ErrorBody) -> Body:
    return {"code": error.code, "msg": error.message}


def render_success() -> Body:
    """The answer to a changed mode or margin type."""
    return {"code": 200, "msg": "success"}
