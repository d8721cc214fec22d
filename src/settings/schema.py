"""The schema of the settings. The dashboard builds its form from it; a test compares docs/settings.md with it."""

from decimal import Decimal
from types import NoneType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from src.domain.numbers import plain
from src.settings.errors import choices_of, range_of
from src.settings.fields import DECIMAL_PLACES, SettingsPart
from src.settings.global_settings import GlobalSettings
from src.settings.symbol_settings import SymbolSettings

_KINDS: dict[object, str] = {bool: "flag", int: "whole number", Decimal: "number", str: "text"}


def settings_schema() -> dict[str, dict[str, dict[str, Any]]]:
    """Return ``{"globals": {name: field}, "symbols": {name: field}}``. Numbers are strings, so they stay exact.

    A field holds: title, description, kind (flag, whole number, number, text, choice), unit, applies ("now" or
    "after restart"), required, optional (may be left empty), default, example, choices, min, max, and whether min and
    max are excluded.
    """
    return {"globals": _describe_model(GlobalSettings), "symbols": _describe_model(SymbolSettings)}


def new_symbol_defaults() -> dict[str, object]:
    """Return the values of a newly added symbol: small amounts, with stop loss and take profit."""
    fields = SymbolSettings.model_fields
    values = {name: _example_value(field) for name, field in fields.items()}
    return {name: value for name, value in values.items() if value is not None}


def _describe_model(model: type[SettingsPart]) -> dict[str, dict[str, Any]]:
    return {name: _describe_field(field) for name, field in model.model_fields.items()}


def _describe_field(field: FieldInfo) -> dict[str, Any]:
    limits = range_of(field)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return {
        "title": field.title,
        "description": field.description,
        **extra,
        "kind": _kind(field),
        "choices": choices_of(field),
        "required": field.is_required(),
        "optional": NoneType in get_args(field.annotation),
        "default": None if field.is_required() else _json_value(field.default),
        "example": _json_value(_example_value(field)),
        "min": _json_value(limits.lowest),
        "max": _json_value(limits.highest),
        "excludes_min": limits.excludes_lowest,
        "excludes_max": limits.excludes_highest,
        "decimal_places": DECIMAL_PLACES if _kind(field) == "number" else 0,
    }


def _example_value(field: FieldInfo) -> object:
    return field.examples[0] if field.examples else field.default


def _kind(field: FieldInfo) -> str:
    if choices_of(field):
        return "choice"
    return next(kind for type_, kind in _KINDS.items() if type_ in _types_of(field.annotation))


def _types_of(annotation: object) -> set[object]:
    """Return the plain types of an annotation: ``Annotated[Decimal, ...] | None`` gives Decimal and None."""
    inner = get_args(annotation)
    return {annotation} if not inner else {found for part in inner for found in _types_of(part)}


def _json_value(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    return plain(value) if isinstance(value, Decimal) else str(value)
