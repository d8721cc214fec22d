"""Reading JSON with exact numbers, field by field; exchange-specific enum aliases; error bodies.

A missing or invalid field raises ``ProtocolError``, except a detail that decides nothing: ``detail`` gives its default.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from src.domain.enums import MarginType, OrderStatus, OrderType, TimeInForce
from src.domain.errors import ProtocolError
from src.domain.numbers import plain

Body = dict[str, object]
EnumT = TypeVar("EnumT", bound=StrEnum)
ValueT = TypeVar("ValueT")
_BOOLEANS: Mapping[object, bool] = {
    True: True,
    False: False,
    "true": True,
    "false": False,
    "TRUE": True,
    "FALSE": False,
}


ORDER_TYPE_ALIASES = {"LIQUIDATION": OrderType.LIMIT}
"""Liquidation orders of the account (Event: Order Update) are limit orders, as in the liquidation stream."""

TIME_IN_FORCE_ALIASES = {"HIDDEN": TimeInForce.GTC, "GTE_GTC": TimeInForce.GTC, "RPI": TimeInForce.GTX}
"""Values the bot never sends; they occur on orders placed manually and must not make the whole list unreadable."""

MARGIN_TYPE_ALIASES = {
    "isolated": MarginType.ISOLATED,
    "cross": MarginType.CROSSED,
    "crossed": MarginType.CROSSED,
    "CROSS": MarginType.CROSSED,
}
"""The exchange spells the two margin types differently in different responses."""

LIQUIDATION_STATUSES = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""The insurance fund or an ADL counterparty takes over a liquidation order; its quantities show how far it filled."""

LOCAL_ONLY_STATUSES = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL})
"""Statuses that exist only locally; the exchange never sends them."""


def read_json(text: str | bytes) -> object:
    """Parse JSON, non-integers as ``Decimal``; raise ``ProtocolError`` if it is not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON", text[:200]) from None


def _reject_constant(constant: str) -> object:
    raise ValueError(constant)


def decimal_str(value: Decimal) -> str:
    """Render a number as the exchange does: a plain string without an exponent."""
    return plain(value if value else abs(value))


def read_decimal(value: object, payload: object) -> Decimal:
    """Parse a finite number from a string, as Aster sends it, or from a JSON number."""
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            result = Decimal(value)
        except InvalidOperation:
            raise ProtocolError(f"not a number: {value!r}", payload) from None
        if result.is_finite():
            return result
    raise ProtocolError(f"not a number: {value!r}", payload)


def read_list(payload: object) -> list[object]:
    """Return the elements of a JSON array; raise ``ProtocolError`` for anything else."""
    if not isinstance(payload, list):
        raise ProtocolError("expected an array", payload)
    return payload


class Fields:
    """Typed access to one JSON object. Unknown fields are ignored: the exchange adds new ones without notice."""

    def __init__(self, payload: object) -> None:
        if not isinstance(payload, dict):
            raise ProtocolError("expected an object", payload)
        self._values = payload

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def text(self, key: str) -> str:
        value = self._required(key)
        if not isinstance(value, str):
            raise self._invalid(key)
        return value

    def name(self, key: str) -> str:
        """Read a text that is not empty, such as a symbol."""
        value = self.text(key)
        if not value:
            raise self._invalid(key)
        return value

    def decimal(self, key: str) -> Decimal:
        return read_decimal(self._required(key), self._values)

    def positive(self, key: str) -> Decimal:
        """Read a number above 0, such as a price or a tick size: the exchange writes 0 for "none"."""
        value = self.decimal(key)
        if value <= 0:
            raise self._invalid(key)
        return value

    def integer(self, key: str) -> int:
        """Read a whole number; Aster sends some as strings."""
        value = self.decimal(key)
        if value != value.to_integral_value():
            raise self._invalid(key)
        return int(value)

    def boolean(self, key: str) -> bool:
        """Read a boolean; Aster sends some as strings."""
        value = self._required(key)
        if not isinstance(value, bool | str) or value not in _BOOLEANS:
            raise self._invalid(key)
        return _BOOLEANS[value]

    def enum(self, key: str, enum_type: type[EnumT], aliases: Mapping[str, EnumT] | None = None) -> EnumT:
        """Read an enum member by its value or by an alias."""
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
        """Read an enum member; None if it is missing or unknown, for messages that are useful without it."""
        try:
            return self.enum(key, enum_type, aliases)
        except ProtocolError:
            return None

    def detail(self, read: Callable[[str], ValueT], key: str, default: ValueT) -> ValueT:
        """Read what the bot can do without; ``default`` if it is missing or unreadable."""
        try:
            return read(key)
        except ProtocolError:
            return default

    def time(self, *keys: str, default: int | None = None) -> int:
        """Read the first of these times (ms UTC) that is above 0; without any, ``default`` or ``ProtocolError``."""
        for key in keys:
            if (value := self.detail(self.integer, key, 0)) > 0:
                return value
        if default is None:
            raise ProtocolError(f"{' or '.join(keys)} is missing or invalid", self._values)
        return default

    def child(self, key: str) -> "Fields":
        return Fields(self._required(key))

    def children(self, key: str) -> "list[Fields]":
        return [Fields(each) for each in self.items(key)]

    def items(self, key: str) -> list[object]:
        return read_list(self._required(key))

    def _required(self, key: str) -> object:
        value = self._values.get(key)
        if value is None:
            raise ProtocolError(f"{key} is missing", self._values)
        return value

    def _invalid(self, key: str) -> ProtocolError:
        return ProtocolError(f"invalid {key}: {self._values[key]!r}", self._values)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    code: int
    message: str


def parse_error(payload: object) -> ErrorBody:
    """Parse ``{"code": -1121, "msg": "Invalid symbol."}``; raise ``ProtocolError`` for anything else."""
    error = Fields(payload)
    return ErrorBody(error.integer("code"), error.text("msg"))


def render_error(error: ErrorBody) -> Body:
    return {"code": error.code, "msg": error.message}


def render_success() -> Body:
    """Render the response to a changed mode or margin type."""
    return {"code": 200, "msg": "success"}
