"""Strict parsing of request parameters; errors have the documented code (Error Codes, 11xx)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

from src.domain.clock import DAY_MS
from src.domain.errors import Rejected
from src.exchange.wire import ErrorBody

ILLEGAL_CHARACTERS = -1100
TOO_MANY = -1101
MANDATORY = -1102
NOT_ALL_READ = -1104
EMPTY = -1105
NOT_REQUIRED = -1106
INVALID = -1130
_LARGEST_LONG = 2**63 - 1
_DEFAULT_PERIOD_MS = _MAX_PERIOD_MS = 7 * DAY_MS

EnumT = TypeVar("EnumT", bound=StrEnum)


def rejected(error: ErrorBody) -> Rejected:
    """Create a new exception: raising a stored one again would accumulate tracebacks."""
    return Rejected(error.code, error.message)


class Parameters:
    """Parameters of one request. The query string overrides the body."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def parse(cls, query: str, body: str) -> "Parameters":
        """Parse query string and body. Raises Rejected -1101 for a duplicate within one of them."""
        return cls({**_pairs(body), **_pairs(query)})

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def expect_only(self, names: Iterable[str]) -> None:
        """Reject parameters that the endpoint does not know (-1104)."""
        known = sum(name in self._values for name in set(names))
        if known < len(self._values):
            sent = len(self._values)
            reason = f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{sent}'."
            raise Rejected(NOT_ALL_READ, reason)

    def text(self, name: str) -> str:
        """Return a mandatory parameter. Raises Rejected -1102 if it is missing."""
        value = self._values.get(name)
        if not value:
            raise Rejected(MANDATORY, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def optional(self, name: str) -> str | None:
        """Return an optional parameter; it must not be empty (-1105)."""
        if self._values.get(name) == "":
            raise Rejected(EMPTY, f"Parameter '{name}' was empty.")
        return self._values.get(name)

    def integer(self, name: str) -> int:
        return self._parse_integer(name, self.text(name))

    def optional_integer(self, name: str) -> int | None:
        value = self.optional(name)
        return None if value is None else self._parse_integer(name, value)

    def decimal(self, name: str) -> Decimal:
        return self._parse_decimal(name, self.text(name))

    def optional_decimal(self, name: str) -> Decimal | None:
        value = self.optional(name)
        return None if value is None else self._parse_decimal(name, value)

    def boolean(self, name: str) -> bool:
        return self._parse_boolean(name, self.text(name))

    def optional_boolean(self, name: str) -> bool:
        """Return False if the parameter is missing."""
        value = self.optional(name)
        return value is not None and self._parse_boolean(name, value)

    def enum(self, name: str, parse: Callable[[str], EnumT], error: ErrorBody) -> EnumT:
        """Return a mandatory enum value. Raises ``error`` if it is unknown."""
        return _parse_enum(self.text(name), parse, error)

    def optional_enum(self, name: str, parse: Callable[[str], EnumT], error: ErrorBody) -> EnumT | None:
        value = self.optional(name)
        return None if value is None else _parse_enum(value, parse, error)

    def forbid(self, name: str) -> None:
        """Reject a parameter that is not allowed together with the others (-1106)."""
        if name in self._values:
            raise Rejected(NOT_REQUIRED, f"Parameter '{name}' sent when not required.")

    def limit(self, default: int, maximum: int) -> int:
        """Return the requested number of entries."""
        limit = self.optional_integer("limit")
        if limit is not None and not 1 <= limit <= maximum:
            raise Rejected(INVALID, "Data sent for parameter 'limit' is not valid.")
        return default if limit is None else limit

    def _parse_integer(self, name: str, text: str) -> int:
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
        if not (digits.isascii() and digits.isdigit()):
            raise Rejected(ILLEGAL_CHARACTERS, _illegal(name, "^-?[0-9]+$"))
        if int(digits) > _LARGEST_LONG:
            raise Rejected(INVALID, f"Data sent for parameter '{name}' is not valid.")
        return sign * int(digits)

    def _parse_decimal(self, name: str, text: str) -> Decimal:
        try:
            value = Decimal(text) if text.isascii() and "_" not in text else Decimal("NaN")
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or abs(value.adjusted()) > 30:
            raise Rejected(ILLEGAL_CHARACTERS, _illegal(name, "^-?[0-9]+(\\.[0-9]+)?$"))
        return value

    def _parse_boolean(self, name: str, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise Rejected(INVALID, f"Data sent for parameter '{name}' is not valid.")
        return text.lower() == "true"


def _pairs(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Rejected(TOO_MANY, "Duplicate values for a parameter detected.")
    return values


def _parse_enum(text: str, parse: Callable[[str], EnumT], error: ErrorBody) -> EnumT:
    try:
        return parse(text)
    except ValueError:
        raise rejected(error) from None


def _illegal(name: str, legal: str) -> str:
    return f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."


@dataclass(frozen=True, slots=True)
class Period:
    """A time range, ms UTC, both ends included."""

    since: int
    until: int
    is_given: bool
    """Whether the client sent startTime: then the oldest entries are returned, else the newest."""

    def contains(self, at: int) -> bool:
        return self.since <= at <= self.until


def read_period(parameters: Parameters, now_ms: int) -> Period:
    """Read the period, by default the last seven days. Raises Rejected -1023 or -4165 if it is invalid."""
    since, until = parameters.optional_integer("startTime"), parameters.optional_integer("endTime")
    end = now_ms if until is None else until
    begin = end - _DEFAULT_PERIOD_MS if since is None else since
    if begin > end:
        raise Rejected(-1023, "Start time is greater than end time.")
    if since is not None and until is not None and end - begin > _MAX_PERIOD_MS:
        raise Rejected(-4165, "Maximum time interval is 7 days.")
    return Period(begin, begin + _MAX_PERIOD_MS if until is None else end, since is not None)
