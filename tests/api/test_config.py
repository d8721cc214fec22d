"""The settings API: validation, saving, the reload command, and the history."""

import re
from typing import Any

import pytest
import requests

from src.api.settings_service import SAVES_AT_ONCE
from src.database.control import CommandReader
from src.domain.commands import OperatorAction
from src.settings.config import load_settings, parse_settings, settings_to_json, with_defaults
from tests.api.harness import ApiHarness, served
from tests.builders import D, an_instrument, settings_document

POSTS: dict[str, dict[str, Any]] = {
    "/api/config": settings_document(leverage=20),
    "/api/config/symbol": {"symbol": "BTCUSDT", "config": settings_document(leverage=20)["symbols"]["BTCUSDT"]},
    "/api/config/symbol/add": {"symbol": "ethusdt"},
    "/api/config/symbol/remove": {"symbol": "BTCUSDT"},
}


def sent_commands(harness: ApiHarness) -> list[OperatorAction]:
    return [command.action for command in CommandReader(harness.environment.control_database).after(0)]


def test_amounts_are_strings_and_unset_values_are_omitted(harness: ApiHarness) -> None:
    settings = harness.json("/api/config")
    assert settings["globals"]["max_total_exposure_usdt"] == "500"
    assert settings["symbols"]["BTCUSDT"]["leverage"] == 10
    assert "cooldown_sec" not in settings["globals"]


def test_settings_read_can_be_saved_unchanged(harness: ApiHarness) -> None:
    before = load_settings(harness.settings_file)
    assert harness.post("/api/config", harness.json("/api/config")).status_code == 200
    assert load_settings(harness.settings_file) == before


@pytest.mark.parametrize(("path", "body"), POSTS.items())
def test_change_is_saved_recorded_and_sent_to_the_bot(harness: ApiHarness, path: str, body: dict[str, Any]) -> None:
    harness.heartbeat()
    response = harness.post(path, body)
    assert (response.status_code, response.json["success"]) == (200, True)
    assert re.fullmatch(r"(Settings|[A-Z]+USDT) (saved|added|removed)\.", response.json["message"])
    assert sent_commands(harness) == [OperatorAction.RELOAD_SETTINGS]
    now, before = harness.json("/api/config/history")
    assert now["settings"] == harness.json("/api/config")
    assert now["changes"] and before["changes"] == []
    assert before["settings"] == plain(settings_document())


def plain(document: dict[str, Any]) -> object:
    """The document as in the history, with amounts as strings."""
    amounts = {"volume_threshold", "trade_value_usdt", "price_offset_pct", "max_position_usdt", "take_profit_pct"}
    amounts |= {"stop_loss_pct", "max_total_exposure_usdt"}

    def texts(part: dict[str, Any]) -> dict[str, Any]:
        return {name: str(value) if name in amounts else value for name, value in part.items()}

    symbols = {symbol: texts(part) for symbol, part in document["symbols"].items()}
    return {"globals": texts(document["globals"]), "symbols": symbols}


def test_history_lists_old_and_new_values(harness: ApiHarness) -> None:
    document = settings_document(leverage=20, take_profit_pct="1.5")
    assert harness.post("/api/config", document).json["after_restart"] == []
    assert harness.json("/api/config/history?limit=1")[0]["changes"] == [
        {"path": "symbols.BTCUSDT.leverage", "before": 10, "after": 20},
        {"path": "symbols.BTCUSDT.take_profit_pct", "before": "1", "after": "1.5"},
    ]


def in_force(harness: ApiHarness, document: dict[str, Any]) -> None:
    """A running bot with these settings."""
    harness.heartbeat()
    harness.set_state("settings", values=settings_to_json(parse_settings(document)), faults=[])


def test_settings_in_force_are_those_of_the_running_bot(harness: ApiHarness) -> None:
    in_force(harness, settings_document(leverage=3))
    shown = harness.json("/api/config/in-force")
    assert shown["symbols"]["BTCUSDT"]["leverage"] == 3
    assert shown["file"]["settings"]["symbols"]["BTCUSDT"]["leverage"] == 10
    assert shown["file"]["differences"] == [{"path": "symbols.BTCUSDT.leverage", "before": 3, "after": 10}]
    assert shown["file"]["faults"] == []


def test_settings_in_force_stay_while_the_file_is_faulty(harness: ApiHarness) -> None:
    in_force(harness, settings_document(leverage=3))
    harness.write_settings(settings_document(leverage=500, stop_loss_pct=-1))
    shown = harness.json("/api/config/in-force")
    assert shown["symbols"]["BTCUSDT"]["leverage"] == 3
    assert [fault["path"] for fault in shown["file"]["faults"]] == [
        "symbols.BTCUSDT.leverage",
        "symbols.BTCUSDT.stop_loss_pct",
    ]
    assert (shown["file"]["settings"], shown["file"]["differences"]) == (None, [])


def test_file_counts_while_no_bot_runs(harness: ApiHarness) -> None:
    in_force(harness, settings_document(leverage=3))
    harness.clock.advance(60_000)
    shown = harness.json("/api/config/in-force")
    assert (shown["symbols"]["BTCUSDT"]["leverage"], shown["file"]["differences"]) == (10, [])
    harness.write_settings({})
    assert harness.get("/api/config/in-force").status_code == 503


def test_save_based_on_an_outdated_file_is_refused(harness: ApiHarness) -> None:
    version = harness.json("/api/config/in-force")["file"]["version"]
    harness.write_settings(settings_document(leverage=4))
    response = harness.post("/api/config", {**settings_document(leverage=20), "version": version})
    assert (response.status_code, response.json["error"]["code"]) == (409, "settings_changed")
    assert load_settings(harness.settings_file).symbols["BTCUSDT"].leverage == 4
    version = harness.json("/api/config/in-force")["file"]["version"]
    assert harness.post("/api/config", {**settings_document(leverage=20), "version": version}).status_code == 200


def test_history_lists_edits_by_hand_among_the_saved_versions(harness: ApiHarness) -> None:
    documents = [settings_to_json(parse_settings(settings_document(leverage=each))) for each in (10, 20, 30)]
    harness.post("/api/config", settings_document(leverage=20))
    harness.clock.advance(1000)
    store = harness.store
    with store.transaction():
        store.add_settings_version(documents[2], documents[1], "edited by hand")
    harness.write_settings(settings_document(leverage=30))
    harness.clock.advance(1000)
    harness.post("/api/config", settings_document(leverage=40))
    history = harness.json("/api/config/history")
    leverages = [[(change["before"], change["after"]) for change in version["changes"]] for version in history]
    assert [version["message"] for version in history][:3] == ["settings saved", "edited by hand", "settings saved"]
    assert leverages == [[(30, 40)], [(20, 30)], [(10, 20)], []]
    assert len({version["id"] for version in history}) == 4
    assert len(harness.json("/api/config/history?limit=2")) == 2


def test_settings_that_need_a_restart_are_named(harness: ApiHarness) -> None:
    harness.heartbeat()
    document = settings_document()
    document["globals"]["simulate_only"] = True
    answer = harness.post("/api/config", document).json
    assert answer["after_restart"] == ["globals.simulate_only"]
    assert answer["message"] == "Settings saved. Restart the bot to apply: Paper trading."


def test_version_of_the_history_can_be_restored(harness: ApiHarness) -> None:
    harness.post("/api/config", settings_document(leverage=20))
    oldest = harness.json("/api/config/history")[-1]
    assert harness.post("/api/config", oldest["settings"]).status_code == 200
    assert load_settings(harness.settings_file) == parse_settings(settings_document())


def test_stopped_bot_applies_settings_at_its_start(harness: ApiHarness) -> None:
    assert "when the bot starts" in harness.post("/api/config", settings_document()).json["message"]


def test_every_error_is_listed_and_nothing_is_saved(harness: ApiHarness) -> None:
    before = harness.settings_file.read_bytes()
    document = settings_document(leverage=500, stop_loss_pct=-1)
    document["globals"]["hegde_mode"] = True
    response = harness.post("/api/config", document)
    error = response.json["error"]
    assert (response.status_code, error["code"]) == (400, "invalid_settings")
    assert {fault["path"] for fault in error["faults"]} == {
        "globals.hegde_mode",
        "symbols.BTCUSDT.leverage",
        "symbols.BTCUSDT.stop_loss_pct",
    }
    assert any("did you mean hedge_mode?" in fault["message"] for fault in error["faults"])
    assert (harness.settings_file.read_bytes(), sent_commands(harness), harness.json("/api/config/history")) == (
        before,
        [],
        [],
    )


NO_OBJECTS = ('{"globals": NaN}', '{"a": 1, "a": 2}', "[]", '"x"', "{", "", "\udcff", '{"a":' * 9_999)
HALF_CHARACTERS = (r'{"a": "\ud800"}', r'{"\udfff": 1}', r'{"a": [{"b": "x\uDBFFx"}]}')


@pytest.mark.parametrize("body", [*NO_OBJECTS, *HALF_CHARACTERS])
def test_body_that_is_not_a_json_object_is_rejected(harness: ApiHarness, body: str) -> None:
    data = body.encode("utf-8", "surrogateescape")
    headers = {"Origin": "http://127.0.0.1:5000", "X-Hunter-Token": harness.token, "Content-Type": "application/json"}
    response = harness.client.post("/api/config", data=data, headers=headers, base_url="http://127.0.0.1:5000")
    assert (response.status_code, response.json["error"]["code"]) == (400, "bad_json")


@pytest.mark.parametrize("value", [1e309, -1, 0, "1e999", True, None, [], "five"])
def test_invalid_amount_is_rejected(harness: ApiHarness, value: object) -> None:
    body = settings_document(trade_value_usdt=value)
    text = "1e309" if value == 1e309 else None
    if text:
        headers = {
            "Origin": "http://127.0.0.1:5000",
            "X-Hunter-Token": harness.token,
            "Content-Type": "application/json",
        }
        data = '{"globals": {}, "symbols": {"BTCUSDT": {"trade_value_usdt": 1e309}}}'
        response = harness.client.post("/api/config", data=data, headers=headers, base_url="http://127.0.0.1:5000")
    else:
        response = harness.post("/api/config", body)
    assert response.status_code == 400
    paths = [fault["path"] for fault in response.json["error"]["faults"]]
    assert "symbols.BTCUSDT.trade_value_usdt" in paths


def test_database_path_cannot_be_changed_from_the_page(harness: ApiHarness) -> None:
    document = settings_document()
    document["globals"]["db_path"] = "../elsewhere.db"
    response = harness.post("/api/config", document)
    assert response.status_code == 400
    assert response.json["error"]["faults"][0]["path"] == "globals.db_path"
    assert "db_path" not in harness.saved_settings()["globals"]


@pytest.mark.parametrize("chosen", ["../elsewhere.db", "/etc/cron.d/bot", "data/other.db"])
@pytest.mark.parametrize("broken", ['{"globals": {"db_path": "data/mine.db"}, "symbols": 3}', "{", ""])
def test_database_path_cannot_be_chosen_while_the_settings_are_broken(
    harness: ApiHarness, broken: str, chosen: str
) -> None:
    harness.settings_file.write_text(broken, encoding="utf-8")
    document = settings_document()
    document["globals"]["db_path"] = chosen
    response = harness.post("/api/config", document)
    assert response.status_code == 400
    assert response.json["error"]["faults"][0]["path"] == "globals.db_path"
    assert harness.settings_file.read_text(encoding="utf-8") == broken


@pytest.mark.parametrize("broken", ['{"globals": {"db_path": "data/mine.db"}, "symbols": 3}', "{"])
def test_database_path_of_broken_settings_is_kept(harness: ApiHarness, broken: str) -> None:
    document = settings_document()
    document["globals"]["db_path"] = "data/mine.db"
    harness.write_settings(document)
    assert harness.post("/api/config", document).status_code == 200
    harness.settings_file.write_text(broken, encoding="utf-8")
    assert harness.post("/api/config", settings_document()).status_code == 400, "the bot would start an empty database"
    assert harness.post("/api/config", document).status_code == 200


def test_200_saves_of_126_symbols_are_limited_and_bounded(harness: ApiHarness) -> None:
    document = settings_document()
    symbol = document["symbols"].pop("BTCUSDT")
    document["symbols"] = {f"COIN{number}USDT": symbol for number in range(126)}
    statuses = []
    for number in range(200):
        document["globals"]["max_total_exposure_usdt"] = 1_000 + number
        answer = harness.post("/api/config", document)
        statuses.append(answer.status_code)
    assert statuses == [200] * SAVES_AT_ONCE + [429] * (200 - SAVES_AT_ONCE)
    assert answer.json["error"]["code"] == "too_many_saves" and int(answer.headers["Retry-After"]) == 60
    assert len(sent_commands(harness)) == SAVES_AT_ONCE
    assert harness.saved_settings()["globals"]["max_total_exposure_usdt"] == 1_000 + SAVES_AT_ONCE - 1

    harness.clock.advance(60_000)

    assert harness.post("/api/config", document).status_code == 200


def test_added_symbol_has_defaults_and_given_values(harness: ApiHarness) -> None:
    assert harness.post("/api/config/symbol/add", {"symbol": "ethusdt", "config": {"leverage": 3}}).status_code == 200
    added = load_settings(harness.settings_file).symbols["ETHUSDT"]
    assert (added.leverage, added.stop_loss_enabled, added.take_profit_enabled) == (3, True, True)
    assert added.trade_value_usdt == D(harness.json("/api/config/defaults")["trade_value_usdt"])


def test_symbol_not_listed_by_the_exchange_is_rejected(harness: ApiHarness) -> None:
    store = harness.store
    with store.transaction():
        store.save_instruments([an_instrument(), an_instrument(symbol="ETHUSDT", base_asset="ETH")])
    for symbol, suggestion in [
        ("MOONUSDT", ""),
        ("ETH", " Did you mean ETHUSDT?"),
        ("BTCUSD", " Did you mean BTCUSDT?"),
    ]:
        response = harness.post("/api/config/symbol/add", {"symbol": symbol})
        assert response.status_code == 404
        assert response.json["error"]["message"] == f'The exchange has no symbol "{symbol}".{suggestion}'
    assert harness.post("/api/config/symbol/add", {"symbol": "ETHUSDT"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/config/symbol/add", {"symbol": "BTCUSDT"}, 409, "symbol_known"),
        ("/api/config/symbol/add", {"symbol": "../x"}, 400, "invalid_settings"),
        ("/api/config/symbol/add", {"symbol": "ETHUSDT", "config": {"leverage": 0}}, 400, "invalid_settings"),
        ("/api/config/symbol/add", {"symbol": "ETHUSDT", "config": []}, 400, "bad_parameter"),
        ("/api/config/symbol/add", {"symbol": 5}, 400, "bad_parameter"),
        ("/api/config/symbol", {"symbol": "ETHUSDT", "config": {}}, 404, "not_found"),
        ("/api/config/symbol", {"symbol": "BTCUSDT", "config": {}}, 400, "invalid_settings"),
        ("/api/config/symbol", {"symbol": "BTCUSDT"}, 400, "bad_parameter"),
        ("/api/config/symbol/remove", {"symbol": "ETHUSDT"}, 404, "not_found"),
        ("/api/config/symbol/remove", {}, 400, "bad_parameter"),
    ],
)
def test_invalid_requests_are_rejected(harness: ApiHarness, path: str, body: object, status: int, code: str) -> None:
    response = harness.post(path, body)
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert sent_commands(harness) == []


def test_broken_file_is_reported_and_can_be_replaced(harness: ApiHarness) -> None:
    harness.settings_file.write_text('{"globals": {', encoding="utf-8")
    response = harness.get("/api/config")
    assert (response.status_code, response.json["error"]["code"]) == (503, "invalid_settings")
    assert "line 1" in response.json["error"]["faults"][0]["message"]
    assert harness.post("/api/config/symbol/remove", {"symbol": "BTCUSDT"}).status_code == 400
    assert harness.post("/api/config", settings_document()).status_code == 200
    assert load_settings(harness.settings_file) == parse_settings(settings_document())
    assert len(harness.json("/api/config/history")) == 1


def test_unwritable_file_is_reported(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/a/private/path")

    monkeypatch.setattr("src.api.settings_service.save_settings", refuse)
    response = harness.post("/api/config", settings_document())
    assert (response.status_code, response.json["error"]["code"]) == (503, "settings_not_writable")
    assert "private" not in response.text


def test_schema_describes_every_setting(harness: ApiHarness) -> None:
    schema = harness.json("/api/config/schema")
    assert schema["symbols"]["leverage"]["max"] == "125"
    assert schema["globals"]["simulate_only"]["applies"] == "after restart"


def many_symbols(count: int) -> dict[str, Any]:
    """Settings with every setting of every symbol written out."""
    document = settings_to_json(with_defaults(parse_settings(settings_document(volume_threshold_long=5_000))))
    del document["globals"]["db_path"]
    part = document["symbols"]["BTCUSDT"]
    return {**document, "symbols": {f"COIN{number}USDT": dict(part) for number in range(count)}}


def test_500_symbols_are_saved(harness: ApiHarness) -> None:
    with served(harness) as running:
        headers = {"Origin": running.url, "X-Hunter-Token": harness.token}
        answer = requests.post(f"{running.url}/api/config", json=many_symbols(500), headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert len(load_settings(harness.settings_file).symbols) == 500


def test_notices_about_keys_of_the_older_bot_are_listed(harness: ApiHarness) -> None:
    assert harness.json("/api/config/in-force")["file"]["notices"] == []
    document = settings_document(use_trailing_stop=True)
    document["globals"]["rate_limit_buffer_pct"] = 0.4
    harness.write_settings(document)
    notices = harness.json("/api/config/in-force")["file"]["notices"]
    assert notices[0].startswith("use_trailing_stop of BTCUSDT is not supported yet: ")
    assert notices[1].endswith("was a share in the older bot: it is read as 40 %")


def an_unsaved_symbol(**changes: Any) -> dict[str, Any]:
    document = settings_document(**changes)
    return {"symbol": "BTCUSDT", "config": document["symbols"]["BTCUSDT"], "globals": document["globals"]}


def test_unsaved_settings_are_checked_by_the_rules_of_the_bot(harness: ApiHarness) -> None:
    def checks(**changes: Any) -> list[dict[str, str]]:
        found: list[dict[str, str]] = harness.post("/api/config/check", an_unsaved_symbol(**changes)).json["checks"]
        return found

    assert checks(stop_loss_pct=30) == []  # before the first start nothing is known of the exchange
    bracket = {"notional_cap": "10000", "max_leverage": 100, "maintenance_ratio": "0.005"}
    facts = {"price": "50000", "balance": "900", "collateral": "900", "brackets": [bracket]}
    store = harness.store
    with store.transaction():
        store.save_instruments([an_instrument()])
    harness.set_state("symbol_checks", symbols={"BTCUSDT": facts})
    assert checks() == []
    [refused] = checks(stop_loss_pct=30)
    assert (refused["level"], refused["message"].startswith("the position would be liquidated at")) == ("fail", True)
    assert checks(stop_loss_pct=30, margin_type="CROSSED") == []
    assert checks(stop_loss_pct=-1) == []
    [raised] = checks(trade_value_usdt=2)
    assert raised["message"].endswith("entries are raised to the minimum, 2.5 times the size that is set")
    assert harness.json("/api/config")["symbols"]["BTCUSDT"]["stop_loss_pct"] == "2"
