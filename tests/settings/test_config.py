"""Validation of settings: every fault is reported with its path and remedy, valid values are read exactly."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import MarginType, Side, TradeSide, VolumeScope
from src.domain.errors import ConfigError, InvariantError
from src.settings.config import SettingsError, load_settings, parse_settings, settings_schema
from src.settings.errors import SAME_MEANING
from src.settings.older_files import OBSOLETE_GLOBALS, OBSOLETE_SYMBOL_KEYS
from tests.settings.documents import PREDECESSOR, a_document, a_symbol, without

NUMBERS = [
    (part, name, field)
    for part, fields in settings_schema().items()
    for name, field in fields.items()
    if field["min"] is not None
]
FLAGS = [(part, name) for part, fs in settings_schema().items() for name, f in fs.items() if f["kind"] == "flag"]
CHOICES = [(part, name) for part, fs in settings_schema().items() for name, f in fs.items() if f["choices"]]
REQUIRED = [(part, name) for part, fs in settings_schema().items() for name, f in fs.items() if f["required"]]
KINDS = ("obsolete", "not supported yet")


def faults(document: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse_settings(document)
    return caught.value.messages


def one_fault(document: object) -> str:
    found = faults(document)
    assert len(found) == 1, found
    return found[0]


def path_of(part: str, name: str) -> str:
    return f"globals.{name}" if part == "globals" else f"symbols.BTCUSDT.{name}"


def with_value(part: str, name: str, value: object) -> dict[str, Any]:
    changes: dict[str, Any] = {name: value}
    return a_document(globals_=changes) if part == "globals" else a_document(**changes)


def test_smallest_document_gets_safe_defaults() -> None:
    settings = parse_settings(a_document())

    assert settings.globals_.simulate_only
    assert settings.globals_.volume_scope is VolumeScope.SIDE
    assert settings.globals_.cooldown_sec is None
    symbol = settings.symbols["BTCUSDT"]
    assert symbol.stop_loss_enabled
    assert symbol.margin_type is MarginType.ISOLATED
    assert symbol.trade_side is TradeSide.OPPOSITE


def test_leverage_out_of_range_is_reported_as_a_sentence() -> None:
    sentence = "settings.json: symbols.BTCUSDT.leverage must be between 1 and 125, not 500"
    assert one_fault(a_document(leverage=500)) == sentence


@pytest.mark.parametrize(("part", "name", "field"), NUMBERS)
@pytest.mark.parametrize("end", ["min", "max"])
def test_number_out_of_range_is_rejected(part: str, name: str, field: dict[str, str], end: str) -> None:
    beyond = Decimal(field["min"]) - 1 if end == "min" else Decimal(field["max"]) + 1

    fault = one_fault(with_value(part, name, beyond))

    assert fault.startswith(f"settings.json: {path_of(part, name)} must be ")
    assert fault.endswith(f", not {beyond}")
    assert field["min"] in fault
    assert field["max"] in fault


@pytest.mark.parametrize(("part", "name", "field"), NUMBERS)
@pytest.mark.parametrize("end", ["min", "max"])
def test_range_limits_are_inclusive_or_exclusive_as_declared(
    part: str, name: str, field: dict[str, str], end: str
) -> None:
    document = with_value(part, name, Decimal(field[end]))

    if field[f"excludes_{end}"]:
        assert one_fault(document).startswith(f"settings.json: {path_of(part, name)} must be ")
    else:
        owner = parse_settings(document)
        found = owner.globals_ if part == "globals" else owner.symbols["BTCUSDT"]
        assert getattr(found, name) == Decimal(field[end])


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, name, _ in NUMBERS])
@pytest.mark.parametrize(
    "value", [True, False, "ten", "", "1_000", "١", [1], {"a": 1}, float("nan"), float("inf"), "NaN", "-Infinity"]
)
def test_non_number_is_rejected(part: str, name: str, value: object) -> None:
    fault = one_fault(with_value(part, name, value))

    assert fault.startswith(f"settings.json: {path_of(part, name)} must be a ")
    assert "number, not " in fault


@pytest.mark.parametrize("value", [Decimal("1e999999999"), Decimal("-1e400"), "9" * 5000, 10**4000])
def test_huge_number_is_rejected_with_a_short_message(value: object) -> None:
    assert len(one_fault(a_document(trade_value_usdt=value))) < 160


@pytest.mark.parametrize("value", [Decimal("1e-9"), "0.000000001", Decimal("1e-999999999"), 0.30000000000000004])
def test_more_than_eight_decimal_places_are_rejected(value: object) -> None:
    assert "must have at most 8 decimal places" in one_fault(a_document(stop_loss_pct=value))


@pytest.mark.parametrize(
    ("value", "expected"), [("0.001", "0.001"), (" 7 ", "7"), (0.1, "0.1"), (Decimal("1E+1"), "10")]
)
def test_decimals_are_exact_and_without_exponent(value: object, expected: str) -> None:
    assert str(parse_settings(a_document(take_profit_pct=value)).symbols["BTCUSDT"].take_profit_pct) == expected


@pytest.mark.parametrize("value", [Decimal("60.0"), 60.0, 60])
def test_whole_number_may_have_a_decimal_point(value: object) -> None:
    assert parse_settings(a_document(globals_={"volume_window_sec": value})).globals_.volume_window_sec == 60


@pytest.mark.parametrize("value", [Decimal("60.5"), 0.5, "60", Decimal("1e999999999"), Decimal("sNaN")])
def test_fraction_is_no_whole_number(value: object) -> None:
    assert "must be a whole number" in one_fault(a_document(globals_={"volume_window_sec": value}))


@pytest.mark.parametrize(("part", "name"), FLAGS)
@pytest.mark.parametrize("value", [0, 1, "true", None, [], Decimal(1)])
def test_flag_must_be_true_or_false(part: str, name: str, value: object) -> None:
    assert f"{path_of(part, name)} must be true or false" in one_fault(with_value(part, name, value))


@pytest.mark.parametrize(("part", "name"), CHOICES)
@pytest.mark.parametrize("value", ["sideways", "", 1, None])
def test_invalid_choice_lists_the_allowed_values(part: str, name: str, value: object) -> None:
    fault = one_fault(with_value(part, name, value))

    assert all(word in fault for word in settings_schema()[part][name]["choices"])


@pytest.mark.parametrize(("part", "name"), REQUIRED)
def test_missing_required_setting_is_reported(part: str, name: str) -> None:
    fault = one_fault(without(a_document(), part, name))

    assert fault.startswith(f'settings.json: {path_of(part, name)} is missing: add, for example, "{name}": ')


@pytest.mark.parametrize("value", [3, None, True, ["x"]])
def test_path_must_be_text(value: object) -> None:
    assert "globals.db_path must be text in double quotes" in one_fault(a_document(globals_={"db_path": value}))


@pytest.mark.parametrize("value", ["", "x" * 1001])
def test_path_length_is_limited(value: str) -> None:
    assert "globals.db_path cannot be" in one_fault(a_document(globals_={"db_path": value}))


@pytest.mark.parametrize("value", ["data\bot.db", "data\trades.db", "a\nb", "a\x00b", "a\x7f"])
def test_path_with_a_control_character_is_refused_with_the_remedy(value: str) -> None:
    fault = one_fault(a_document(globals_={"db_path": value}))

    assert fault.startswith('settings.json: globals.db_path holds a control character, as in "')
    assert fault.endswith("write / or \\\\ between folders, not one backslash")
    assert fault.isprintable()


@pytest.mark.parametrize("value", ["data/bot.db", "C:\\Users\\me\\bot.db", "ü 100% #1/币安.db"])
def test_path_with_backslashes_and_other_scripts_is_accepted(value: str) -> None:
    assert parse_settings(a_document(globals_={"db_path": value})).globals_.db_path == value


@pytest.mark.parametrize(
    ("part", "name", "nearest"),
    [
        ("globals", "volume_windw_sec", "volume_window_sec"),
        ("globals", "Simulate_Only", "simulate_only"),
        ("symbol", "leverge", "leverage"),
        ("symbol", "stoploss_pct", "stop_loss_pct"),
        ("symbol", "stopLossPct", "stop_loss_pct"),
    ],
)
def test_unknown_key_suggests_the_nearest(part: str, name: str, nearest: str) -> None:
    assert f"{name} is not a setting: did you mean {nearest}?" in one_fault(with_value(part, name, 1))


@pytest.mark.parametrize(
    ("part", "name", "ours"),
    [
        ("symbol", "slPercent", "stop_loss_pct"),
        ("symbol", "tpPercent", "take_profit_pct"),
        ("symbol", "tradeSize", "trade_value_usdt"),
        ("symbol", "maxPositionMarginUSDT", "max_position_usdt"),
        ("symbol", "longVolumeThresholdUSDT", "volume_threshold_long"),
        ("globals", "paperMode", "simulate_only"),
        ("globals", "dry_run", "simulate_only"),
    ],
)
def test_key_of_another_bot_suggests_the_setting_of_the_same_meaning(part: str, name: str, ours: str) -> None:
    assert f"{name} is not a setting: did you mean {ours}?" in one_fault(with_value(part, name, 1))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("symbol", "slip"),
        ("symbol", "vwapProtection"),
        ("symbol", "paperMode"),
        ("globals", "riskPercent"),
        ("globals", "x"),
    ],
)
def test_unknown_key_without_a_near_one_suggests_none(part: str, name: str) -> None:
    fault = one_fault(with_value(part, name, 1))
    assert fault.endswith(f"{name} is not a setting: remove it; docs/settings.md lists all settings")


@pytest.mark.parametrize("ours", sorted(set(SAME_MEANING.values())))
def test_each_suggested_name_is_a_setting(ours: str) -> None:
    assert any(ours in fields for fields in settings_schema().values())


def test_misplaced_key_is_reported_with_its_place() -> None:
    assert "move it to each symbol" in one_fault(a_document(globals_={"leverage": 3}))
    assert "move it to globals" in one_fault(a_document(hedge_mode=True))


@pytest.mark.parametrize("name", ["symbol", "global", "globals_", "_obsolete", "x"])
def test_unknown_top_level_key_is_an_error(name: str) -> None:
    assert f"{name} is not a setting" in one_fault({**a_document(), name: {}})


@pytest.mark.parametrize("document", [None, 3, "x", [], True])
def test_document_must_be_an_object(document: object) -> None:
    assert "must be an object in braces" in one_fault(document)


@pytest.mark.parametrize("part", ["globals", "symbols"])
@pytest.mark.parametrize("value", [None, 3, [], "x"])
def test_globals_and_symbols_must_be_objects(part: str, value: object) -> None:
    assert f"{part} must be an object in braces" in one_fault({**a_document(), part: value})


@pytest.mark.parametrize("part", ["globals", "symbols"])
def test_missing_globals_or_symbols_is_reported(part: str) -> None:
    document = a_document()
    del document[part]
    assert one_fault(document) == f'settings.json: {part} is missing: add "{part}": {{ ... }}'


@pytest.mark.parametrize("name", ["币安人生USDT", "1000PEPEUSDT", "BTCUSDT_260327"])
def test_unusual_symbol_name_is_accepted(name: str) -> None:
    document = {**a_document(), "symbols": {name: a_symbol()}}
    assert list(parse_settings(document).symbols) == [name]


@pytest.mark.parametrize("name", ["", "B", "BTC USDT", "<IMG SRC=X>", "BTC\u202eUSDT", "BTC\n", "A" * 41, "E\u0301TH"])
def test_impossible_symbol_name_is_rejected(name: str) -> None:
    document = {**a_document(), "symbols": {name: a_symbol()}}
    assert "is not a symbol name" in one_fault(document)


@pytest.mark.parametrize("name", ["ETHBTC", "BTCEUR", "ASTERBNB", "USDT"])
def test_symbol_that_is_not_quoted_in_dollars_is_refused(name: str) -> None:
    document = {**a_document(), "symbols": {name: a_symbol()}}
    assert one_fault(document) == (
        f"settings.json: symbols.{name} is not quoted in dollars: use a symbol that ends in one of "
        "USDT, USDC, USD1, USDF, FDUSD, BUSD, USD"
    )


@pytest.mark.parametrize("name", ["btcusdt", "BtcUsdt", "btcUSDT"])
def test_symbol_in_lower_case_is_accepted(name: str) -> None:
    assert list(parse_settings({**a_document(), "symbols": {name: a_symbol()}}).symbols) == ["BTCUSDT"]


@pytest.mark.parametrize("names", [("btcusdt", "BTCUSDT"), ("BTCUSDT", "btcusdt"), ("btcusdt", "Btcusdt")])
def test_symbol_in_two_spellings_is_rejected(names: tuple[str, str]) -> None:
    document = {**a_document(), "symbols": {name: a_symbol() for name in names}}
    assert "is there twice: keep one of " in one_fault(document)


def test_five_hundred_symbols_are_accepted() -> None:
    symbols = {f"A{number}USDT": a_symbol() for number in range(500)}
    assert len(parse_settings({**a_document(), "symbols": symbols}).symbols) == 500


def test_invalid_symbol_does_not_hide_other_faults() -> None:
    document = {**a_document(), "symbols": {"BTCUSDT": 3, "ETHUSDT": a_symbol(leverage=0, use_trailing_stop=True)}}
    assert len(faults(document)) == 2


def test_symbols_may_be_empty() -> None:
    assert parse_settings({**a_document(), "symbols": {}}).symbols == {}


def test_all_invalid_settings_are_reported_at_once() -> None:
    document = a_document(globals_={"cooldown_sec": -1}, leverage=0, margin_type="x", volume_threshold=None)

    with pytest.raises(ConfigError) as caught:
        parse_settings(document, "request")

    assert isinstance(caught.value, SettingsError)
    assert [fault.path for fault in caught.value.details] == [
        "globals.cooldown_sec",
        "symbols.BTCUSDT.volume_threshold",
        "symbols.BTCUSDT.leverage",
        "symbols.BTCUSDT.margin_type",
    ]
    assert caught.value.messages[0] == "request: globals.cooldown_sec must be between 0 and 86400, not -1"


class TestThresholds:
    def test_common_threshold_applies_to_both_sides(self) -> None:
        symbol = parse_settings(a_document(volume_threshold=500)).symbols["BTCUSDT"]
        assert [symbol.threshold_for(side) for side in Side] == [500, 500]

    def test_threshold_of_one_side_overrides_the_common_one(self) -> None:
        symbol = parse_settings(a_document(volume_threshold=500, volume_threshold_long=70)).symbols["BTCUSDT"]
        assert symbol.threshold_for(Side.BUY) == 70
        assert symbol.threshold_for(Side.SELL) == 500

    def test_two_side_thresholds_are_enough(self) -> None:
        document = without(
            a_document(volume_threshold_long=70, volume_threshold_short=80), "symbol", "volume_threshold"
        )
        symbol = parse_settings(document).symbols["BTCUSDT"]
        assert [symbol.threshold_for(Side.BUY), symbol.threshold_for(Side.SELL)] == [70, 80]

    def test_unvalidated_settings_without_threshold_raise(self) -> None:
        checked = parse_settings(a_document()).symbols["BTCUSDT"]
        unchecked = checked.model_copy(update={"volume_threshold": None})
        with pytest.raises(InvariantError):
            unchecked.threshold_for(Side.BUY)

    @pytest.mark.parametrize("others", [{}, {"volume_threshold_long": 5}, {"volume_threshold_short": 5}])
    def test_side_without_threshold_is_rejected(self, others: dict[str, Any]) -> None:
        document = without(a_document(**others), "symbol", "volume_threshold")
        assert "symbols.BTCUSDT.volume_threshold is missing" in one_fault(document)


class TestPredecessor:
    def test_its_file_loads_unchanged(self, tmp_path: Path) -> None:
        path = tmp_path / "settings.json"
        path.write_text(json.dumps(PREDECESSOR), encoding="utf-8")

        settings = load_settings(path)

        assert not settings.globals_.simulate_only
        assert settings.globals_.max_open_orders_per_symbol == 12
        assert settings.symbols["LINKUSDT"].trade_value_usdt == Decimal("0.75")
        assert settings.symbols["LINKUSDT"].threshold_for(Side.SELL) == 21_000

    def test_obsolete_keys_are_listed_with_their_reason(self) -> None:
        settings = parse_settings(PREDECESSOR)

        assert len(settings.obsolete) == 10
        assert settings.globals_.batch_orders is True
        assert (
            "globals.use_position_monitor is obsolete: every position is always monitored and protected"
            in settings.obsolete
        )
        assert settings.obsolete[-1].startswith("use_trailing_stop of LINKUSDT is not supported yet: ")
        assert settings.adapted == ()

    @pytest.mark.parametrize("key", OBSOLETE_GLOBALS)
    def test_each_key_of_its_globals_loads_and_is_named_once(self, key: str) -> None:
        [sentence] = parse_settings(with_value("globals", key, 5)).obsolete
        assert sentence in {f"globals.{key} is {kind}: {OBSOLETE_GLOBALS[key]}" for kind in KINDS}

    @pytest.mark.parametrize("key", OBSOLETE_SYMBOL_KEYS)
    def test_each_key_of_its_symbols_loads_and_is_named_once(self, key: str) -> None:
        [sentence] = parse_settings(with_value("symbol", key, "LONG")).obsolete
        assert sentence in {f"{key} of BTCUSDT is {kind}: {OBSOLETE_SYMBOL_KEYS[key]}" for kind in KINDS}

    @pytest.mark.parametrize(
        ("part", "key"),
        [
            ("globals", "tranche_pnl_increment_pct"),
            ("globals", "max_tranches_per_symbol_side"),
            ("symbol", "use_trailing_stop"),
            ("symbol", "trailing_activation_pct"),
            ("symbol", "trailing_callback_rate"),
        ],
    )
    def test_trailing_and_tranches_are_named_as_not_supported_yet(self, part: str, key: str) -> None:
        [sentence] = parse_settings(with_value(part, key, 1)).obsolete
        assert f"{key} " in sentence
        assert " is not supported yet: " in sentence

    def test_wrapped_symbols_are_unwrapped_with_one_notice(self) -> None:
        wrapped = {name: {"symbol": name, "config": a_symbol(leverage=3)} for name in ("BTCUSDT", "ETHUSDT")}

        settings = parse_settings({**a_document(), "symbols": wrapped})

        assert [symbol.leverage for symbol in settings.symbols.values()] == [3, 3]
        assert settings.adapted == ("BTCUSDT, ETHUSDT: the settings of a symbol were taken from inside its config",)
        assert settings.obsolete == ()

    def test_fault_inside_a_wrapped_symbol_is_reported(self) -> None:
        wrapped = {"BTCUSDT": {"symbol": "BTCUSDT", "config": a_symbol(leverage=0)}}
        assert "symbols.BTCUSDT.leverage must be" in one_fault({**a_document(), "symbols": wrapped})

    @pytest.mark.parametrize("change", [{"symbol": "ETHUSDT"}, {"config": 3}, {"leverage": 5}])
    def test_other_wrapped_shapes_are_refused(self, change: dict[str, Any]) -> None:
        part = {"symbol": "BTCUSDT", "config": a_symbol()} | change
        assert any("is not a setting" in fault for fault in faults({**a_document(), "symbols": {"BTCUSDT": part}}))

    @pytest.mark.parametrize(
        ("key", "value"),
        [("trade_value_usdt", 5), ("max_position_usdt", 50), ("take_profit_pct", 1), ("stop_loss_pct", 2)],
    )
    def test_missing_value_of_an_older_file_gets_the_safe_default_and_is_named(self, key: str, value: int) -> None:
        settings = parse_settings(without(a_document(position_side="BOTH"), "symbol", key))

        assert getattr(settings.symbols["BTCUSDT"], key) == value
        assert settings.adapted == (
            f"{key} of BTCUSDT is missing in this older file: {value} applies until you set it",
        )

    def test_missing_exposure_of_an_older_file_gets_the_safe_default_and_is_named(self) -> None:
        settings = parse_settings({"globals": {"instant_tp_enabled": True}, "symbols": {"BTCUSDT": a_symbol()}})

        assert settings.globals_.max_total_exposure_usdt == 200
        [sentence] = settings.adapted
        assert sentence.startswith("globals.max_total_exposure_usdt is missing in this older file: 200 applies")

    def test_missing_leverage_of_an_older_file_is_a_fault(self) -> None:
        assert "leverage is missing" in one_fault(without(a_document(position_side="BOTH"), "symbol", "leverage"))

    def test_stop_at_a_price_of_zero_is_replaced_and_named(self) -> None:
        settings = parse_settings(a_document(stop_loss_pct=100, hedge_position_side="LONG"))

        assert settings.symbols["BTCUSDT"].stop_loss_pct == 2
        assert "stop_loss_pct of BTCUSDT is 100 in this older file, a price of 0: 2 applies" in settings.adapted[0]
        assert "must be above 0 and below 100" in one_fault(a_document(stop_loss_pct=100))

    @pytest.mark.parametrize(("share", "percent"), [(Decimal("0.4"), "40"), (0.1, "10"), (Decimal("0.125"), "12.5")])
    def test_share_of_the_request_limit_becomes_a_percentage(self, share: object, percent: str) -> None:
        older = parse_settings(a_document(globals_={"rate_limit_buffer_pct": share, "order_batch_window_ms": 200}))

        assert str(older.globals_.rate_limit_buffer_pct) == percent
        assert f"is read as {percent} %" in older.adapted[0]
        assert parse_settings(a_document(globals_={"rate_limit_buffer_pct": share})).adapted == ()

    def test_adapting_leaves_the_document_unchanged(self) -> None:
        document = without(a_document(position_side="BOTH"), "symbol", "stop_loss_pct")
        before = copy.deepcopy(document)
        parse_settings(document)
        assert document == before

    def test_misplaced_obsolete_key_is_unknown(self) -> None:
        assert "instant_tp_enabled is not a setting" in one_fault(a_document(instant_tp_enabled=True))

    def test_shorter_entry_lifetime_applies(self) -> None:
        assert parse_settings(PREDECESSOR).globals_.entry_lifetime_ms == 90_000
        assert parse_settings(a_document()).globals_.entry_lifetime_ms == 30_000
        longer = a_document(globals_={"order_ttl_seconds": 5, "stale_limit_order_minutes": 3})
        assert parse_settings(longer).globals_.entry_lifetime_ms == 5_000


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SYMBOL_KEYS = st.sampled_from([*settings_schema()["symbols"], "use_trailing_stop", "no_such_key"])
GLOBAL_KEYS = st.sampled_from([*settings_schema()["globals"], "instant_tp_enabled", "no_such_key"])


@given(
    st.dictionaries(GLOBAL_KEYS, JSON_VALUES, max_size=4),
    st.dictionaries(SYMBOL_KEYS, JSON_VALUES, max_size=4),
)
def test_any_document_is_valid_or_rejected_with_sentences(globals_: dict[str, Any], symbol: dict[str, Any]) -> None:
    try:
        settings = parse_settings(a_document(globals_=globals_, **symbol))
    except SettingsError as error:
        assert all(fault.path and fault.message for fault in error.details)
    else:
        assert settings.symbols["BTCUSDT"].leverage in range(1, 126)


def test_half_of_a_character_is_refused_with_its_path() -> None:
    """JSON allows it as an escape; it can be neither stored nor shown."""
    unknown: dict[str, Any] = {"\udfff": 1}
    faults = [a_document(globals_={"db_path": "data/\ud800.db"}), a_document(**unknown)]
    paths = []
    for document in faults:
        with pytest.raises(SettingsError) as refused:
            parse_settings(document)
        [fault] = refused.value.details
        paths.append(fault.path)
        assert fault.message.startswith("holds half of a character")
    assert paths == ["globals.db_path", "symbols.BTCUSDT.\\udfff"]
