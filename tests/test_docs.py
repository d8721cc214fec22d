"""docs/settings.md matches the settings: every setting has its row, and every row its setting."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from src.credentials.credentials import CREDENTIAL_NAMES
from src.settings.config import load_settings, new_symbol_defaults, parse_settings, settings_schema
from src.settings.node_files import (
    GLOBAL_KEYS,
    SHARED_KEYS,
    SYMBOL_KEYS,
    UNUSED_GLOBALS,
    UNUSED_PARTS,
    UNUSED_SYMBOL_KEYS,
)
from src.settings.older_files import OBSOLETE_GLOBALS, OBSOLETE_SYMBOL_KEYS

ROOT = Path(__file__).resolve().parents[1]
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
SCHEMA = settings_schema()
FIELDS = [(part, name) for part, fields in SCHEMA.items() for name in fields]
OBSOLETE = {**OBSOLETE_GLOBALS, **OBSOLETE_SYMBOL_KEYS}
NODE_KEYS = {
    **{key: f"`{ours}`" for key, ours in {**SYMBOL_KEYS, **GLOBAL_KEYS}.items()},
    **SHARED_KEYS,
    **UNUSED_SYMBOL_KEYS,
    **UNUSED_GLOBALS,
    **UNUSED_PARTS,
}
VARIABLES = (
    *CREDENTIAL_NAMES,
    *("HOST", "PORT", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_SETUP"),
)


def row(name: str, field: dict[str, Any]) -> str:
    """The expected row of a setting in the tables of the page."""
    cells = (f"`{name}`", field["description"], values(field), field["unit"] or "–", default(field), field["applies"])
    return f"| {' | '.join(cells)} |"


def values(field: dict[str, Any]) -> str:
    if field["min"] is not None:
        lowest = f"above {field['min']}" if field["excludes_min"] else field["min"]
        return f"{lowest} – below {field['max']}" if field["excludes_max"] else f"{lowest} – {field['max']}"
    return ", ".join(field["choices"]) or {"flag": "true, false", "text": "text"}[field["kind"]]


def default(field: dict[str, Any]) -> str:
    if field["required"]:
        return "**required**"
    return "–" if field["default"] is None else f"`{json.dumps(field['default'])}`".replace('"', "")


@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_every_setting_has_its_row(part: str, name: str) -> None:
    assert row(name, SCHEMA[part][name]) in SETTINGS_PAGE.splitlines()


@pytest.mark.parametrize("name", OBSOLETE)
def test_every_obsolete_key_has_its_reason(name: str) -> None:
    assert f"| `{name}` | {OBSOLETE[name]} |" in SETTINGS_PAGE.splitlines()


@pytest.mark.parametrize("key", NODE_KEYS)
def test_every_key_of_the_node_bot_has_its_row(key: str) -> None:
    assert f"| `{key}` | {NODE_KEYS[key]} |" in SETTINGS_PAGE.splitlines()


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_in_the_page_and_the_example(name: str) -> None:
    assert f"| `{name}` |" in SETTINGS_PAGE
    assert re.search(rf"^{name}=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_documented_name_exists() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", SETTINGS_PAGE, re.MULTILINE)

    known = [name for _, name in FIELDS] + list(OBSOLETE) + [*VARIABLES, "HUNTER_HOME", "HUNTER_SUPERVISED"]
    known += [key for key in NODE_KEYS if "." not in key]
    assert sorted(documented) == sorted(known)


def test_shipped_settings_load_and_trade_on_paper() -> None:
    settings = load_settings(ROOT / "settings.json")

    assert settings.globals_.simulate_only
    assert settings.obsolete == ()
    assert all(symbol.stop_loss_enabled for symbol in settings.symbols.values())


def test_new_symbol_starts_with_valid_values() -> None:
    settings = parse_settings(
        {"globals": {"max_total_exposure_usdt": 100}, "symbols": {"BTCUSDT": new_symbol_defaults()}}
    )

    assert settings.symbols["BTCUSDT"].stop_loss_enabled
