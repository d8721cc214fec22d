"""settings.json on disk: faults of broken files are explained, writing is atomic."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.settings.config import SettingsError, load_settings, parse_settings, save_settings
from src.settings.file import render_document, write_document
from src.settings.json_text import parse_document
from tests.settings.documents import PREDECESSOR, a_document, a_symbol


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def fault_of(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert len(caught.value.messages) == 1
    return caught.value.messages[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty: copy the settings.json"),
        (" \n", "the file is empty: copy the settings.json"),
        ("\0" * 100, "line 1, column 1: a NUL byte is here"),
        ('{"a": "\0"}', "line 1, column 8: a NUL byte is here"),
        ('{\n  "a": “GTC”\n}', "line 2, column 8: a curly quote “ is here: use the straight double quote"),
        ("{\n  “a”: 1\n}", "line 2, column 3: a curly quote “ is here"),
        ('{\n  "a”: 1\n}', "line 2, column 5: a curly quote ” is here"),
        ("{\n  'a': 1\n}", "line 2, column 3: a single quote ' is here: use the straight double quote"),
        ("{\"a\": 'GTC'}", "line 1, column 7: a single quote ' is here"),
        ('{"a": True}', "line 1, column 7: True is Python's spelling: write true"),
        ('{"a": False}', "line 1, column 7: False is Python's spelling: write false"),
        ('{"a": None}', "line 1, column 7: None is Python's spelling: write null"),
        ('{"a": TRUE}', "line 1, column 7: TRUE must be lower case: write true"),
        ('{"a": true false}', "line 1, column 12: false follows another value: a comma is missing"),
        ('{"a": OPPOSITE"}', "line 1, column 7: OPPOSITE needs double quotes"),
        ('{"a": "C:\\Users"}', "line 1, column 10: a single backslash in a text is not allowed here: write / or \\\\"),
        ('{"a": "C:\\users"}', "line 1, column 10: a single backslash in a text is not allowed here: write / or \\\\"),
        ('{"a":\u00a01}', "line 1, column 6: an invisible character (no-break space, U+00A0) is here"),
        ('{"a": 0,45}', "line 1, column 9: a decimal number is written with a point, like 0.45"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: a comma or a closing bracket is missing"),
        ('{"a" 1}', "line 1, column 6: a colon is missing"),
        ('{"a": "x', "line 1, column 7: the closing double quote"),
        ('{"a": "x\n}', "line 1, column 9: the closing double quote"),
        ("{} {}", "line 1, column 4: remove the text after the last closing brace"),
        ("// hello\n{}", "line 1, column 1: a comment starts here, and JSON has none: remove it"),
        ('{"a": 1 /* x */}', "line 1, column 9: a comment starts here"),
        ('{\n# mine\n"a": 1}', "line 2, column 1: a comment starts here"),
        ('{"a": "\t"}', "line 1, column 8: a control character (U+0009) is in a text: remove it"),
        ('{"a": "NaN", "b": NaN}', "line 1, column 19: NaN is not allowed: write a plain number"),
        ('{"a": -Infinity}', "line 1, column 7: -Infinity is not allowed: write a plain number"),
        ('{"a": 1, "b": {"a": 2},\n "a": 3}', 'line 2, column 2: "a" appears twice in one object'),
        ('{"a": ' + "9" * 5000 + "}", "a number has thousands of digits"),
        ('{"a": 1e99999999999999999999}', "a number has an exponent beyond all limits"),
        ("[" * 200_000, "brackets are nested too deep"),
    ],
)
def test_broken_json_is_explained(path: Path, text: str, expected: str) -> None:
    path.write_text(text, encoding="utf-8")

    assert fault_of(path).startswith(f"settings.json: {expected}")


UNPLACED = re.compile(r"line \d+, column \d+: .|must be an object in braces|a number has|is not a setting")
"""How a fault without the path of a setting begins."""


@given(st.data())
def test_any_change_of_a_valid_text_loads_or_is_explained(data: st.DataObject) -> None:
    text = render_document(a_document())
    start = data.draw(st.integers(0, len(text) - 1))
    end = start + data.draw(st.integers(0, 3))
    inserted = data.draw(st.sampled_from([*"{}[]\",:'\\“’\0\t\n\u00a0#/;0T-.e", "", "True", "NaN", "/*", "\\u12"]))
    changed = text[:start] + inserted + text[end:]
    try:
        parse_settings(parse_document(changed, "text"))
    except SettingsError as error:
        assert all(fault.path or UNPLACED.match(fault.message) for fault in error.details), error.messages


def test_trailing_comma_is_explained(path: Path) -> None:
    path.write_text('{\n  "globals": {},\n}', encoding="utf-8")
    assert fault_of(path).startswith("settings.json: line ")
    assert fault_of(path).endswith("comma after the last entry")


def test_missing_file_is_reported_with_a_remedy(path: Path) -> None:
    assert f"the file does not exist in {path.parent}: copy the settings.json" in fault_of(path)


def test_folder_instead_of_file_is_reported(path: Path) -> None:
    path.mkdir()
    assert "cannot be read" in fault_of(path)


def test_other_encoding_is_reported(path: Path) -> None:
    path.write_bytes('{"é": 1}'.encode("latin-1"))
    assert "is not UTF-8" in fault_of(path)


def test_huge_file_is_not_read(path: Path) -> None:
    path.write_bytes(b" " * 1_000_001)
    assert "larger than 1 MB" in fault_of(path)


def test_byte_order_mark_is_accepted(path: Path) -> None:
    path.write_text(json.dumps(a_document()), encoding="utf-8-sig")
    assert load_settings(path).symbols["BTCUSDT"].leverage == 5


def test_windows_line_ends_and_lower_case_symbols_are_accepted(path: Path) -> None:
    document = {**a_document(), "symbols": {"btcusdt": a_symbol(use_trailing_stop=True)}}
    path.write_bytes(json.dumps(document, indent=2).replace("\n", "\r\n").encode())
    settings = load_settings(path)

    save_settings(path, settings)

    saved = json.loads(path.read_text(encoding="utf-8"))["symbols"]
    assert saved == {"BTCUSDT": a_symbol(use_trailing_stop=True)}


def test_decimals_are_read_exactly(path: Path) -> None:
    text = json.dumps(a_document()).replace('"stop_loss_pct": 2', '"stop_loss_pct": 0.10000001')
    path.write_text(text, encoding="utf-8")
    assert load_settings(path).symbols["BTCUSDT"].stop_loss_pct == Decimal("0.10000001")


class TestSaving:
    def test_saved_settings_load_unchanged(self, path: Path) -> None:
        settings = parse_settings({**a_document(), "symbols": {"币安人生USDT": a_symbol(trade_value_usdt="0.00001")}})

        save_settings(path, settings)

        assert load_settings(path) == settings
        text = path.read_text(encoding="utf-8")
        assert '  "symbols": {\n    "币安人生USDT": {\n' in text
        assert '"trade_value_usdt": 0.00001,' in text

    def test_defaults_are_not_written(self, path: Path) -> None:
        save_settings(path, parse_settings(a_document(globals_={"cooldown_sec": None})))
        assert json.loads(path.read_text(encoding="utf-8")) == a_document()

    def test_obsolete_keys_stay_and_removed_symbols_go(self, path: Path) -> None:
        path.write_text(json.dumps(PREDECESSOR), encoding="utf-8")
        earlier = load_settings(path)
        newer = earlier.model_copy(
            update={"symbols": {**earlier.symbols, **parse_settings(a_document()).symbols}},
        )

        save_settings(path, newer)
        both = json.loads(path.read_text(encoding="utf-8"))
        save_settings(path, parse_settings(a_document()))
        one = json.loads(path.read_text(encoding="utf-8"))

        assert both["globals"]["liquidation_buffer_ms"] == 100
        assert both["symbols"]["LINKUSDT"]["use_trailing_stop"] is False
        assert one["globals"]["instant_tp_enabled"] is True
        assert list(one["symbols"]) == ["BTCUSDT"]

    def test_older_file_is_saved_in_our_shape_with_its_obsolete_keys(self, path: Path) -> None:
        inner = a_symbol(use_trailing_stop=True)
        del inner["stop_loss_pct"]
        symbols = {"BTCUSDT": {"symbol": "BTCUSDT", "config": inner}}
        path.write_text(json.dumps({**a_document(), "symbols": symbols}), encoding="utf-8")

        save_settings(path, load_settings(path))

        saved = json.loads(path.read_text(encoding="utf-8"))
        assert saved["symbols"]["BTCUSDT"] == a_symbol(use_trailing_stop=True)
        assert load_settings(path).adapted == ()

    def test_broken_file_is_kept_under_another_name(self, path: Path) -> None:
        path.write_text("{ important", encoding="utf-8")

        save_settings(path, parse_settings(a_document()))

        assert (path.parent / "settings.json.broken").read_text(encoding="utf-8") == "{ important"
        assert load_settings(path) == parse_settings(a_document())

    def test_failed_write_leaves_only_the_old_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_settings(path, parse_settings(a_document()))
        earlier = path.read_bytes()

        def no_space(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            save_settings(path, parse_settings(a_document(leverage=7)))

        assert path.read_bytes() == earlier
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.skipif(os.name == "nt", reason="Windows knows no permission bits")
    def test_permissions_are_kept(self, path: Path) -> None:
        save_settings(path, parse_settings(a_document()))
        path.chmod(0o600)
        save_settings(path, parse_settings(a_document(leverage=7)))
        assert path.stat().st_mode & 0o777 == 0o600

    @given(
        st.decimals("0.00000001", "99.99999999", places=8),
        st.integers(1, 125),
        st.booleans(),
        st.sampled_from(["OPPOSITE", "BUY", "SELL"]),
    )
    def test_rendered_settings_parse_to_the_same_values(
        self, stop: Decimal, leverage: int, flag: bool, side: str
    ) -> None:
        symbol = a_symbol(stop_loss_pct=stop, leverage=leverage, price_protect=flag, trade_side=side)
        text = render_document(
            {"globals": {"max_total_exposure_usdt": Decimal("1E+2")}, "symbols": {"XUSDT_Y": symbol}}
        )

        read = parse_settings(parse_document(text, "text")).symbols["XUSDT_Y"]

        assert "E" not in text.split('"stop_loss_pct": ')[1].split(",")[0]
        assert (read.stop_loss_pct, read.leverage, read.price_protect, read.trade_side) == (stop, leverage, flag, side)


def test_every_json_value_can_be_written(tmp_path: Path) -> None:
    document: dict[str, object] = {"a": None, "b": [1, "x\n", Decimal("1E-7")], "c": {}, "d": [], "e": True}
    write_document(tmp_path / "x.json", document)
    assert parse_document((tmp_path / "x.json").read_text(encoding="utf-8"), "x.json") == document
