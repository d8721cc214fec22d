"""What a request asks for, read strictly: a wrong number is an error that names it, never a default."""

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from src.api.errors import ApiError, bad_parameter
from src.utils.config import SettingsError
from src.utils.settings_file import parse_document

MOST_ROWS = 1_000
_LONGEST_SYMBOL = 40
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_HOUR_MS = 3_600_000
_YEARS_OF_HOURS = 24 * 366 * 5
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


def whole(name: str, default: int, least: int, most: int) -> int:
    """A whole number; what is above ``most`` counts as ``most``, so that old scripts go on working."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text[:12]) < least:
        raise bad_parameter(name, f"{name} must be a whole number from {least} to {most}.")
    return min(int(text[:12]), most)


def limit(default: int = 100) -> int:
    return whole("limit", default, 1, MOST_ROWS)


def since(now_ms: int, default_hours: int) -> int:
    """The instant ``hours`` ago."""
    return now_ms - whole("hours", default_hours, 1, _YEARS_OF_HOURS) * _HOUR_MS


def symbol() -> str | None:
    text = request.args.get("symbol") or None
    if text is not None and len(text) > _LONGEST_SYMBOL:
        raise bad_parameter("symbol", "symbol is longer than the name of any symbol.")
    return text


def required_symbol() -> str:
    text = symbol()
    if text is None:
        raise bad_parameter("symbol", "symbol is missing.")
    return text


def flag(name: str) -> bool:
    text = request.args.get(name, "").lower()
    if text not in _YES | _NO:
        raise bad_parameter(name, f"{name} must be true or false.")
    return text in _YES


def choice(name: str, words: tuple[str, ...], default: str | None = None) -> str | None:
    """One of a closed list; anything else names the list."""
    text = request.args.get(name) or default
    if text is not None and text not in words:
        raise bad_parameter(name, f"{name} must be one of {', '.join(words)}.")
    return text


def choices(name: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Words of a closed list, separated by commas; none where none is named."""
    chosen = tuple(word for word in request.args.get(name, "").split(",") if word)
    if not set(chosen) <= set(words):
        raise bad_parameter(name, f"{name} must be one of {', '.join(words)}.")
    return chosen


def body() -> Mapping[str, Any]:
    """The JSON object of a request, with exact decimals; no NaN, no key twice."""
    try:
        document = parse_document(request.get_data().decode("utf-8"), "the request")
    except UnicodeDecodeError as error:
        raise ApiError(400, "bad_json", "The body is not UTF-8 text.") from error
    except SettingsError as error:
        raise ApiError(400, "bad_json", f"The body is not JSON: {error.details[0].message}.") from error
    if not isinstance(document, dict):
        raise ApiError(400, "bad_json", "The body must be a JSON object.")
    return document


def nonce(document: Mapping[str, Any]) -> str | None:
    """The asker's own name for a wish; None where it gave none."""
    value = document.get("nonce")
    if value is None:
        return None
    if not isinstance(value, str) or not _NONCE.match(value):
        raise bad_parameter("nonce", "nonce must be 8 to 64 letters, digits, - or _.")
    return value


def text_in(document: Mapping[str, Any], name: str) -> str:
    """A text the body must hold."""
    value = document.get(name)
    if not isinstance(value, str) or not value.strip():
        raise bad_parameter(name, f"{name} is missing: it must be a text.")
    return value.strip()
