"""The dashboard's form is drawn from this description, so it must be complete and agree with the checks."""

import json

from src.settings.config import new_symbol_defaults, settings_schema


def test_every_field_can_be_drawn() -> None:
    for fields in settings_schema().values():
        for name, field in fields.items():
            assert field["title"], name
            assert field["description"].endswith("."), name
            assert field["kind"] in ("flag", "whole number", "number", "text", "choice")
            assert field["applies"] in ("now", "after restart")
            assert bool(field["choices"]) is (field["kind"] == "choice")
            assert (field["min"] is not None) is (field["kind"] in ("number", "whole number"))


def test_leverage_as_an_example() -> None:
    field = settings_schema()["symbols"]["leverage"]
    assert (field["min"], field["max"], field["unit"], field["required"]) == ("1", "125", "x", True)


def test_optional_fields_may_stay_empty() -> None:
    assert settings_schema()["globals"]["cooldown_sec"]["optional"]
    assert not settings_schema()["globals"]["volume_window_sec"]["optional"]


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(settings_schema())) == settings_schema()


def test_a_new_symbol_leaves_out_what_is_optional() -> None:
    assert "volume_threshold_long" not in new_symbol_defaults()
    assert new_symbol_defaults()["stop_loss_enabled"] is True
