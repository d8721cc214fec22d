"""settings.schema.json: current, complete, and named by settings.json without being a setting."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.settings.config import SettingsError, load_settings, parse_settings, save_settings, settings_schema
from src.settings.json_schema import SCHEMA_FILE, json_schema, rendered_schema
from src.settings.older_files import OBSOLETE_GLOBALS, OBSOLETE_SYMBOL_KEYS
from tests.settings.documents import a_document

SYMBOL = json_schema()["properties"]["symbols"]["additionalProperties"]
GLOBALS = json_schema()["properties"]["globals"]
FIELDS = [(part, name) for part, fields in settings_schema().items() for name in fields]


def test_schema_file_is_current() -> None:
    remedy = "write it with python -m src.settings.json_schema"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == rendered_schema(), remedy


@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_every_setting_is_in_the_schema_with_its_limits(part: str, name: str) -> None:
    field = settings_schema()[part][name]
    found: dict[str, Any] = (GLOBALS if part == "globals" else SYMBOL)["properties"][name]

    assert found["description"].startswith(field["description"])
    assert found.get("enum", []) == field["choices"]
    lowest = found.get("exclusiveMinimum" if field["excludes_min"] else "minimum")
    highest = found.get("exclusiveMaximum" if field["excludes_max"] else "maximum")
    assert [lowest, highest] == [field[end] if field[end] is None else Decimal(field[end]) for end in ("min", "max")]
    assert ("null" in found["type"]) is field["optional"]
    assert (name in (GLOBALS if part == "globals" else SYMBOL)["required"]) is field["required"]


def test_schema_refuses_unknown_keys_and_names_obsolete_ones() -> None:
    for part, obsolete in ((GLOBALS, OBSOLETE_GLOBALS), (SYMBOL, OBSOLETE_SYMBOL_KEYS)):
        assert part["additionalProperties"] is False
        assert {name for name, each in part["properties"].items() if each.get("deprecated")} == set(obsolete)


def test_shipped_settings_name_the_schema() -> None:
    shipped = json.loads((SCHEMA_FILE.parent / "settings.json").read_text(encoding="utf-8"))
    assert SCHEMA_FILE.parent / shipped["$schema"] == SCHEMA_FILE


def test_schema_reference_is_accepted_and_kept_when_saving(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"$schema": "./settings.schema.json", **a_document()}), encoding="utf-8")
    settings = load_settings(path)

    save_settings(path, settings)

    assert settings == parse_settings(a_document())
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["$schema", "globals", "symbols"]


def test_schema_reference_must_be_text() -> None:
    with pytest.raises(SettingsError, match="schema"):
        parse_settings({"$schema": 3, **a_document()})
