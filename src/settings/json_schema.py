"""The JSON Schema of settings.json, with which an editor completes and checks the file.

``python -m src.settings.json_schema`` writes it to ``settings.schema.json``.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from src.settings.file import render_document, write_document
from src.settings.older_files import OBSOLETE_GLOBALS, OBSOLETE_SYMBOL_KEYS
from src.settings.schema import settings_schema

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "settings.schema.json"
_TYPES: Mapping[str, tuple[str, ...]] = {
    "flag": ("boolean",),
    "whole number": ("integer",),
    "number": ("number", "string"),  # older files hold numbers in quotes
    "text": ("string",),
    "choice": ("string",),
}
_SYMBOL_NAME = "^\\S{2,40}$"


def json_schema() -> dict[str, Any]:
    """Build the schema from the settings' fields; limits and defaults are exact."""
    fields = settings_schema()
    symbol = _part(fields["symbols"], OBSOLETE_SYMBOL_KEYS)
    both_sides = ["volume_threshold_long", "volume_threshold_short"]
    symbol["anyOf"] = [{"required": ["volume_threshold"]}, {"required": both_sides}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "settings.json",
        "description": "Settings of the liquidation bot, described in docs/settings.md.",
        "type": "object",
        "properties": {
            "$schema": {"type": "string", "description": "The file with which an editor checks this one."},
            "globals": _part(fields["globals"], OBSOLETE_GLOBALS),
            "symbols": {
                "type": "object",
                "description": "One object for each symbol, with the exchange's name of the symbol.",
                "propertyNames": {"pattern": _SYMBOL_NAME},
                "additionalProperties": symbol,
            },
        },
        "required": ["globals", "symbols"],
        "additionalProperties": False,
    }


def _part(fields: Mapping[str, Mapping[str, Any]], obsolete: Mapping[str, str]) -> dict[str, Any]:
    properties = {name: _property(field) for name, field in fields.items()}
    properties |= {name: {"deprecated": True, "description": f"No effect: {why}."} for name, why in obsolete.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, field in fields.items() if field["required"]],
        "additionalProperties": False,
    }


def _property(field: Mapping[str, Any]) -> dict[str, Any]:
    types = [*_TYPES[field["kind"]], *(["null"] if field["optional"] else [])]
    unit = f" Unit: {field['unit']}." if field["unit"] else ""
    found: dict[str, Any] = {
        "title": field["title"],
        "description": field["description"] + unit,
        "type": types if len(types) > 1 else types[0],
    }
    if field["choices"]:
        found["enum"] = field["choices"]
    for end, inclusive, exclusive in (("min", "minimum", "exclusiveMinimum"), ("max", "maximum", "exclusiveMaximum")):
        if field[end] is not None:
            found[exclusive if field[f"excludes_{end}"] else inclusive] = Decimal(field[end])
    if field["default"] is not None:
        found["default"] = _value(field, "default")
    elif field["example"] is not None:
        found["examples"] = [_value(field, "example")]
    return found


def _value(field: Mapping[str, Any], name: str) -> object:
    return Decimal(field[name]) if field["kind"] in ("number", "whole number") else field[name]


def rendered_schema() -> str:
    """The content of ``settings.schema.json``."""
    return render_document(json_schema())


if __name__ == "__main__":
    write_document(SCHEMA_FILE, json_schema())
