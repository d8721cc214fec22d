"""Importing another bot's settings: every key is used or named, nothing becomes riskier unasked."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from src.settings.config import Settings, SettingsError, parse_settings, settings_document
from src.settings.import_file import ImportPlan, plan_import
from src.settings.node_files import (
    GLOBAL_KEYS,
    SHARED_KEYS,
    SYMBOL_KEYS,
    UNUSED_GLOBALS,
    UNUSED_PARTS,
    UNUSED_SYMBOL_KEYS,
)
from tests.builders import D
from tests.settings.documents import PREDECESSOR, a_document, node_document


def plan(tmp_path: Path, document: object, current: Settings | None = None) -> ImportPlan:
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return plan_import(path, current)


def faults_of(tmp_path: Path, document: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        plan(tmp_path, document)
    return caught.value.messages


def note(found: ImportPlan, name: str) -> str:
    """The note about a key."""
    return next(each for each in found.notes if each.split(":")[0].split(" of ")[0] == name)


def test_keys_of_the_node_bot_that_mean_the_same_are_mapped(tmp_path: Path) -> None:
    found = plan(tmp_path, node_document(priceOffsetBps=5, maxSlippageBps=40, usePostOnly=True, trade_side="BUY"))
    settings = found.settings
    assert found.program == "the node bot's config.json"
    part = settings.symbols["BTCUSDT"]
    assert (part.volume_threshold_long, part.volume_threshold_short) == (D(1500), D(2500))
    assert (part.trade_value_usdt, part.max_position_usdt, part.leverage) == (D(12), D(240), 8)
    assert (part.take_profit_pct, part.stop_loss_pct) == (D("1.5"), D(4))
    assert (part.price_offset_pct, part.trade_side) == (D("0.05"), "BUY")
    assert settings.globals_.hedge_mode is False
    assert settings.globals_.rate_limit_buffer_pct == 40
    assert (settings.globals_.max_slippage_pct, settings.globals_.time_in_force) == (D("0.4"), "GTX")
    assert (settings.globals_.use_usdt_volume, settings.globals_.volume_scope) == (True, "SIDE")


def test_each_other_key_is_named_with_what_to_do_instead(tmp_path: Path) -> None:
    extra = {"vwapProtection": True, "vwapTimeframe": "5m", "vwapLookback": 100, "orderType": "MARKET", "odd": 1}
    document = node_document(**extra, forceMarketEntry=True)
    document["global"] |= {"maxOpenPositions": 4, "server": {}, "discord": {}, "sound": True}
    found = plan(tmp_path, document)
    assert note(found, "vwapProtection") == (
        "vwapProtection of BTCUSDT: entries are not compared with VWAP yet; a higher volume threshold makes them fewer"
    )
    assert "time_in_force IOC" in note(found, "orderType")
    assert "max_total_exposure_usdt limits the margin" in note(found, "global.maxOpenPositions")
    assert "python main.py --setup" in note(found, "api")
    assert note(found, "odd") == "odd of BTCUSDT: not a known key of that bot; docs/settings.md lists all settings"
    assert "docs/settings.md" in note(found, "global.sound")
    named = " ".join(found.notes)
    assert all(key in named for key in (*extra, "forceMarketEntry", "riskPercent", "server", "rateLimit", "discord"))


def test_every_key_of_the_node_bots_types_is_used_or_named(tmp_path: Path) -> None:
    """Each key alone changes the settings or has a note; the values differ from all defaults."""
    plain = plan(tmp_path, node_document())
    changed: dict[str, object] = {"trade_side": "SELL", "usePostOnly": True, "useThreshold": True}
    changed |= {"orderType": "MARKET", "forceMarketEntry": True, "vwapProtection": True, "vwapTimeframe": "5m"}
    for key in {**SYMBOL_KEYS, **SHARED_KEYS, **UNUSED_SYMBOL_KEYS}:
        document = node_document(**{key: changed.get(key, 3)})
        document["global"]["useThresholdSystem"] = True
        if key == "useThresholdSystem":
            del document["symbols"]["BTCUSDT"][key]
            document["symbols"]["BTCUSDT"]["useThreshold"] = True
        if key in ("thresholdTimeWindow",):
            document["symbols"]["BTCUSDT"] |= {"useThreshold": True, key: 3000}
        if key == "thresholdCooldown":
            document["symbols"]["BTCUSDT"][key] = 3000
        found = plan(tmp_path, document)
        assert found.settings != plain.settings or set(found.notes) != set(plain.notes), key
    for key in (*UNUSED_GLOBALS, *UNUSED_PARTS):
        document = node_document()
        (document if key in UNUSED_PARTS else document["global"])[key] = {}
        assert any(each.split(":")[0].endswith(key) for each in plan(tmp_path, document).notes), key
    assert set(GLOBAL_KEYS) == {"paperMode", "positionMode", "rateLimit.reservePercent"}


@pytest.mark.parametrize(
    ("globals_", "symbol", "window", "cooldown"),
    [
        ({}, {}, 1, 30),  # each liquidation alone, and that bot's own cooldown
        ({"useThresholdSystem": True}, {"useThreshold": False}, 1, 30),
        ({"useThresholdSystem": True}, {"useThreshold": True}, 60, 30),
        (
            {"useThresholdSystem": True},
            {"useThreshold": True, "thresholdTimeWindow": 90_000, "thresholdCooldown": 45_000},
            90,
            45,
        ),
    ],
)
def test_signal_of_the_node_bot_is_kept(
    tmp_path: Path, globals_: dict[str, Any], symbol: dict[str, Any], window: int, cooldown: int
) -> None:
    document = node_document(**symbol)
    document["global"] |= globals_
    found = plan(tmp_path, document).settings.globals_
    assert (found.volume_window_sec, found.cooldown_sec) == (window, cooldown)


def test_of_two_sizes_the_smaller_one_is_used_and_named(tmp_path: Path) -> None:
    found = plan(tmp_path, node_document(longTradeSize=30, shortTradeSize=9))
    assert found.settings.symbols["BTCUSDT"].trade_value_usdt == 9
    assert "the smaller one is used" in note(found, "shortTradeSize")


def test_missing_values_take_safe_ones_and_are_named(tmp_path: Path) -> None:
    document = node_document()
    document["symbols"] = {"btcusdt": {"leverage": 5, "volumeThresholdUSDT": 0, "tradeSize": 80}}
    found = plan(tmp_path, document)
    part = found.settings.symbols["BTCUSDT"]
    assert (part.volume_threshold, part.take_profit_pct, part.stop_loss_pct) == (D(10_000), D(1), D(2))
    assert part.max_position_usdt == 80  # one entry, not the 50 that would block every entry
    assert note(found, "stop_loss_pct") == "stop_loss_pct of BTCUSDT is missing: 2 applies until you set it"
    assert note(found, "a volume threshold").endswith("is missing or 0: 10000 applies until you set it")
    assert found.settings.globals_.max_total_exposure_usdt == 200


def test_import_never_switches_to_live_trading(tmp_path: Path) -> None:
    document = node_document()
    document["global"]["paperMode"] = False
    paper = parse_settings(a_document(globals_={"simulate_only": True}))
    live = parse_settings(a_document(globals_={"simulate_only": False}))
    for current, is_simulated in ((None, True), (paper, True), (live, False)):
        found = plan(tmp_path, document, current)
        assert found.settings.globals_.simulate_only is is_simulated
        assert any("python main.py --setup switches to live" in each for each in found.notes) is is_simulated
    document["global"]["paperMode"] = True
    assert plan(tmp_path, document, live).settings.globals_.simulate_only is True


def test_settings_that_the_file_does_not_have_stay(tmp_path: Path) -> None:
    """Losing a limit by an import would raise the risk."""
    current = parse_settings(a_document(globals_={"max_daily_loss_usdt": 25, "db_path": "data/mine.db"}))
    for document in (node_document(), PREDECESSOR):
        found = plan(tmp_path, document, current)
        assert found.settings.globals_.max_daily_loss_usdt == 25
        assert found.settings.globals_.db_path == "data/mine.db"
        assert any("max_daily_loss_usdt" in each and "stay" in each for each in found.notes)


def test_older_file_is_imported_without_its_database_and_obsolete_keys(tmp_path: Path) -> None:
    document = {**PREDECESSOR, "globals": {**PREDECESSOR["globals"], "db_path": "bot.db"}}
    found = plan(tmp_path, document, parse_settings(a_document()))
    assert found.settings.globals_.db_path == "data/bot.db"
    assert 'db_path "bot.db": this bot keeps its own database; python main.py --import-db FILE' in " ".join(found.notes)
    assert any(each.startswith("globals.use_position_monitor is obsolete") for each in found.notes)
    assert found.settings.globals_.max_total_exposure_usdt == 750


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (node_document(slPercent=120), "symbols.BTCUSDT.slPercent (here stop_loss_pct) must be above 0 and below 100"),
        (node_document(leverage=0), "symbols.BTCUSDT.leverage must be between 1 and 125, not 0"),
        (
            node_document(tradeSize="ten"),
            'symbols.BTCUSDT.tradeSize (here trade_value_usdt) must be a number, not "ten"',
        ),
        (node_document(priceOffsetBps=[]), "(here price_offset_pct) must be a number, not a list"),
        (node_document(shortTradeSize="ten"), 'symbols.BTCUSDT.shortTradeSize must be a number, not "ten"'),
        (node_document(useThreshold=1), "symbols.BTCUSDT.useThreshold must be true or false, not 1"),
        (node_document(thresholdCooldown=10**9), "symbols.*.thresholdCooldown (here cooldown_sec) must be between 0"),
        (node_document(maxSlippageBps=5000), "symbols.*.maxSlippageBps (here max_slippage_pct) must be above 0"),
        ({"global": {"paperMode": "no"}, "symbols": {}}, "global.paperMode (here simulate_only) must be true or false"),
        ({"global": {"positionMode": "BOTH"}, "symbols": {}}, "(here hedge_mode) must be true or false"),
        ({"global": {}, "symbols": {"BTCUSDT": 5}}, "symbols.BTCUSDT must be an object in braces, not 5"),
        ({"global": [], "symbols": {}}, "must be an object in braces, not a list"),
        ({"global": {}, "symbols": [1]}, "symbols must be an object in braces, not a list"),
        ({"global": {}, "symbols": {"btcusdt": {}, "BTCUSDT": {}}}, "is there twice: keep one of btcusdt and BTCUSDT"),
        ({"api": {}}, 'is neither a settings.json, which has "globals", nor a config.json'),
        ([], "is neither a settings.json"),
        ('{"global": {},}', "line 1, column 1"),
        ("", "the file is empty"),
        ('{"globals": {"db_path": "data\\bot.db"}}', "symbols is missing"),
    ],
)
def test_bad_file_is_refused_with_place_and_remedy(tmp_path: Path, document: object, fault: str) -> None:
    messages = faults_of(tmp_path, document)
    assert any(fault in each for each in messages), messages
    assert all(each.startswith("config.json: ") for each in messages)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        plan_import(tmp_path / "nowhere.json", None)


def test_of_many_symbols_only_the_first_are_listed(tmp_path: Path) -> None:
    document = node_document(vwapProtection=True)
    document["symbols"] = {f"COIN{number}USDT": document["symbols"]["BTCUSDT"] for number in range(300)}
    found = note(plan(tmp_path, document), "vwapProtection")
    assert found.startswith("vwapProtection of COIN0USDT, ") and "COIN11USDT and 288 more: entries" in found


def test_any_changed_file_is_imported_or_explained(tmp_path: Path) -> None:
    """Random values, missing and moved keys: the result is valid, or every fault has its place in the file."""
    chance = random.Random(11)
    odd: tuple[object, ...] = (None, True, -1, 0, 1e9, 10**30, "", "ten", [], {}, [1], {"a": 1}, "\b")
    names = ("leverage", "thresholdCooldown", "longTradeSize", "rateLimit", "orderType", "global", "globals", "x")
    outcomes = {True: 0, False: 0}
    for _ in range(400):
        document = json.loads(json.dumps(chance.choice([PREDECESSOR, node_document(useThreshold=True)])))
        for _ in range(chance.randint(1, 3)):
            part = chance.choice([document, *(each for each in document.values() if isinstance(each, dict))])
            part = chance.choice([part, *(each for each in part.values() if isinstance(each, dict))])
            part[chance.choice([*part, *names])] = json.loads(json.dumps(chance.choice(odd)))
        try:
            found = plan(tmp_path, document)
            assert parse_settings(settings_document(found.settings)) == found.settings
            outcomes[True] += 1
        except SettingsError as error:
            assert error.messages and all(each.startswith("config.json: ") for each in error.messages)
            outcomes[False] += 1
    assert min(outcomes.values()) > 50
