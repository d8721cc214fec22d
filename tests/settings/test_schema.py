"""The schema from which the dashboard builds its form: complete and consistent with the validation."""

import json

from src.settings.config import new_symbol_defaults, settings_schema


def test_every_field_is_complete() -> None:
    for fields in settings_schema().values():
        for name, field in fields.items():
            assert field["title"], name
            assert field["description"].endswith("."), name
            assert field["kind"] in ("flag", "whole number", "number", "text", "choice")
            assert field["applies"] in ("now", "after restart")
            assert bool(field["choices"]) is (field["kind"] == "choice")
            assert (field["min"] is not None) is (field["kind"] in ("number", "whole number"))


def test_leverage_field() -> None:
    field = settings_schema()["symbols"]["leverage"]
    assert (field["min"], field["max"], field["unit"], field["required"]) == ("1", "125", "x", True)


def test_optional_fields_may_stay_empty() -> None:
    assert settings_schema()["globals"]["cooldown_sec"]["optional"]
    assert not settings_schema()["globals"]["volume_window_sec"]["optional"]


def test_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(settings_schema())) == settings_schema()


def test_new_symbol_leaves_out_optional_fields() -> None:
    assert "volume_threshold_long" not in new_symbol_defaults()
    assert new_symbol_defaults()["stop_loss_enabled"] is True
