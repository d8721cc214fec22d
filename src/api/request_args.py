"""Strict parsing of request parameters and bodies: an invalid value is a 400 error that names it."""

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from src.api.errors import ApiError, bad_parameter
from src.domain.clock import HOUR_MS
from src.settings.config import SettingsError
from src.settings.json_text import parse_document

MAX_ROWS = 1_000
_MAX_ID = 10**12 - 1
_MAX_SYMBOL_LENGTH = 40
_NONCE_PATTERN = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_MAX_HOURS = 24 * 366 * 5
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def int_arg(name: str, default: int, minimum: int, maximum: int) -> int:
    """A whole number; values above ``maximum`` are clamped, as older scripts expect."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text[:12]) < minimum:
        raise bad_parameter(name, f"{name} must be a whole number from {minimum} to {maximum}.")
    return min(int(text[:12]), maximum)


def limit_arg(default: int = 100) -> int:
    return int_arg("limit", default, 1, MAX_ROWS)


def before_arg() -> int | None:
    """The id of the last row of the previous page; None for the first page."""
    return int_arg("before", 0, 1, _MAX_ID) or None


def since_arg(now_ms: int, default_hours: int) -> int:
    """The time (ms) ``hours`` hours ago."""
    return now_ms - int_arg("hours", default_hours, 1, _MAX_HOURS) * HOUR_MS


def symbol_arg() -> str | None:
    text = request.args.get("symbol") or None
    if text is not None and len(text) > _MAX_SYMBOL_LENGTH:
        raise bad_parameter("symbol", f"symbol must have at most {_MAX_SYMBOL_LENGTH} characters.")
    return text


def required_symbol_arg() -> str:
    text = symbol_arg()
    if text is None:
        raise bad_parameter("symbol", "symbol is required.")
    return text


def bool_arg(name: str) -> bool:
    text = request.args.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise bad_parameter(name, f"{name} must be true or false.")
    return text in _TRUE


def enum_arg(name: str, allowed: tuple[str, ...], default: str | None = None) -> str | None:
    """One of the allowed values, else ``default``."""
    text = request.args.get(name) or default
    if text is not None and text not in allowed:
        raise bad_parameter(name, f"{name} must be one of {', '.join(allowed)}.")
    return text


def enum_list_arg(name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Allowed values separated by commas; empty if the parameter is missing."""
    chosen = tuple(word for word in request.args.get(name, "").split(",") if word)
    if not set(chosen) <= set(allowed):
        raise bad_parameter(name, f"{name} must be one of {', '.join(allowed)}.")
    return chosen


def json_body() -> Mapping[str, Any]:
    """The JSON object of the request with exact decimals; NaN and duplicate keys are errors."""
    try:
        document = parse_document(request.get_data().decode("utf-8"), "the request")
    except UnicodeDecodeError as error:
        raise ApiError(400, "bad_json", "The body is not UTF-8 text.") from error
    except SettingsError as error:
        raise ApiError(400, "bad_json", f"The body is not JSON: {error.details[0].message}.") from error
    if not isinstance(document, dict):
        raise ApiError(400, "bad_json", "The body must be a JSON object.")
    return document


def nonce_field(document: Mapping[str, Any]) -> str | None:
    """The client's idempotency key of a command; None if it sent none."""
    value = document.get("nonce")
    if value is None:
        return None
    if not isinstance(value, str) or not _NONCE_PATTERN.match(value):
        raise bad_parameter("nonce", "nonce must be 8 to 64 letters, digits, - or _.")
    return value


def str_field(document: Mapping[str, Any], name: str) -> str:
    """A required text of the body, stripped."""
    value = document.get(name)
    if not isinstance(value, str) or not value.strip():
        raise bad_parameter(name, f"{name} is required and must be text.")
    return value.strip()
