"""Types of the settings' values, their validation, and their metadata for the dashboard's form."""

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from src.domain.numbers import plain

DECIMAL_PLACES = 8
_MAX_DIGITS = 20
_MAX_LISTED = 12

Applies = Literal["now", "after restart"]


class SettingsPart(BaseModel):
    """Frozen, and rejects unknown names: a misspelled setting must not be ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def ui_meta(unit: str = "", applies: Applies = "now") -> dict[str, Any]:
    """Metadata for the form beyond title, description and limits."""
    return {"unit": unit, "applies": applies}


def format_value(value: object) -> str:
    """Format a value as in the file, shortened for an error message."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case dict():
            text = "an object"
        case list() | tuple():
            text = "a list"
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = str(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."


def listed(names: Iterable[str]) -> str:
    """Symbols in a sentence; of many only the first."""
    found = list(names)
    more = len(found) - _MAX_LISTED
    return ", ".join(found) if more <= 0 else f"{', '.join(found[:_MAX_LISTED])} and {more} more"


def path_fault(path: str) -> str | None:
    """What is wrong with the text of a path; None if it can be one.

    Control characters come from a single backslash: JSON reads the ``\\b`` of ``data\\bot.db`` as a backspace.
    """
    if all(char >= " " and char != "\x7f" for char in path):
        return None
    return (
        f"holds a control character, as in {json.dumps(path)[:60]}: write / or \\\\ between folders, not one backslash"
    )


def _check_path(path: str) -> str:
    if fault := path_fault(path):
        raise PydanticCustomError("path", "{fault}", {"fault": fault})
    return path


def _parse_decimal(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise PydanticCustomError("number", "must be a number, not {shown}", {"shown": format_value(value)})
    number = _to_decimal(value)
    if number is None or not number.is_finite():
        raise PydanticCustomError("number", "must be a number, not {shown}", {"shown": format_value(value)})
    if _exponent(number) < -DECIMAL_PLACES:
        raise PydanticCustomError(
            "number",
            "must have at most {places} decimal places, not {shown}",
            {"places": DECIMAL_PLACES, "shown": format_value(value)},
        )
    return _without_exponent(number)


def _parse_int(value: object) -> object:
    if isinstance(value, float | Decimal):
        value = _as_integer(Decimal(str(value)), value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("number", "must be a whole number, not {shown}", {"shown": format_value(value)})
    return value


def _parse_bool(value: object) -> object:
    if not isinstance(value, bool):
        raise PydanticCustomError("flag", "must be true or false, not {shown}", {"shown": format_value(value)})
    return value


def _to_decimal(value: int | float | str | Decimal) -> Decimal | None:
    text = str(value).strip()
    try:
        # Decimal also accepts "1_000" and digits of other scripts.
        return Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        return None


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _without_exponent(number: Decimal) -> Decimal:
    """Write 1E+3 as 1000. A number beyond all limits is left alone: its zeros could fill the memory."""
    return Decimal(plain(number)) if number.adjusted() <= _MAX_DIGITS else number


def _as_integer(number: Decimal, original: object) -> object:
    is_in_range = number.is_finite() and number.adjusted() <= _MAX_DIGITS
    return int(number) if is_in_range and number == int(number) else original


DecimalField = Annotated[Decimal, BeforeValidator(_parse_decimal)]
"""An exact decimal number. Strings are accepted too: older files hold them."""
IntField = Annotated[int, BeforeValidator(_parse_int)]
BoolField = Annotated[bool, BeforeValidator(_parse_bool)]
PathField = Annotated[str, AfterValidator(_check_path)]
