"""The settings view: validation, saving, symbols, and history."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect

from src.database.control import CommandReader
from src.database.imported import open_imported
from src.database.other_bots import OtherDatabase
from src.domain.commands import OperatorAction
from src.settings.config import parse_settings, settings_to_json
from tests.browser.conftest import Scene
from tests.builders import NOW, settings_document
from tests.database.other_bots import make_older, older_trade

LEVERAGE = "#field-symbols-BTCUSDT-leverage"


def saved(scene: Scene) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(scene.environment.settings_file.read_text(encoding="utf-8"))
    return document


def open_symbol(open_page: Callable[..., Page]) -> Page:
    page = open_page("settings")
    page.locator("#settings .settings-entry", has_text="BTCUSDT").click()
    return page


def test_value_out_of_range_is_reported_while_typing(open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)

    page.locator(LEVERAGE).fill("126")

    field = page.locator(".field", has=page.locator(LEVERAGE))
    expect(field.locator("[data-slot=fault]")).to_have_text("Must be between 1 and 125")
    expect(page.locator(LEVERAGE)).to_have_attribute("aria-invalid", "true")


def test_servers_error_is_shown_at_its_field(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    before = saved(scene)
    stop = "#field-symbols-BTCUSDT-stop_loss_pct"

    page.locator(stop).fill("2.123456789")  # the form's own range allows it
    page.get_by_role("button", name="Save").click()

    field = page.locator(".field", has=page.locator(stop))
    expect(field.locator("[data-slot=fault]")).to_contain_text("at most 8 decimal places")
    assert saved(scene) == before


def test_changes_are_listed_and_saved(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    page.locator(LEVERAGE).fill("7")
    page.locator("#field-symbols-BTCUSDT-take_profit_pct").fill("1.5")
    diff = page.locator("#settings [data-slot=diff]")
    expect(diff).to_contain_text("2 unsaved changes")
    expect(diff).to_contain_text("BTCUSDT Take profit distance: 1 % of price → 1.5 % of price applies now")

    page.get_by_role("button", name="Save").click()

    expect(diff).to_be_hidden()
    assert saved(scene)["symbols"]["BTCUSDT"]["leverage"] == 7


def test_settings_saved_elsewhere_do_not_interrupt_typing(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    page.locator(LEVERAGE).fill("7")
    page.locator(LEVERAGE).evaluate("field => { field.isTheSame = true }")
    document = saved(scene)
    document["symbols"]["BTCUSDT"]["stop_loss_pct"] = "3.5"
    scene.environment.settings_file.write_text(json.dumps(document), encoding="utf-8")
    with scene.bot.store.transaction():
        scene.bot.store.journal("settings", {"message": "settings applied"})

    expect(page.locator("#field-symbols-BTCUSDT-stop_loss_pct")).to_have_value("3.5")

    assert page.locator(LEVERAGE).evaluate("field => field.isTheSame && field === document.activeElement")
    expect(page.locator(LEVERAGE)).to_have_value("7")


def publish(scene: Scene, document: dict[str, Any], **changes: object) -> None:
    """Publish these settings as those in force, with changed globals."""
    document = {**document, "globals": {**document["globals"], **changes}}
    with scene.bot.store.transaction():
        values = settings_to_json(parse_settings(document))
        scene.bot.store.set_state("settings", {"values": values, "faults": []})
        scene.bot.store.journal("settings", {"message": "settings applied"})


def test_faulty_edit_by_hand_is_a_notice_and_the_page_shows_what_is_in_force(
    scene: Scene, open_page: Callable[..., Page]
) -> None:
    publish(scene, saved(scene))
    faulty = json.dumps(settings_document(leverage=500, stop_loss_pct=-1))
    scene.environment.settings_file.write_text(faulty, encoding="utf-8")
    page = open_symbol(open_page)

    notice = page.locator("#settings [data-slot=file-notice]")
    expect(notice).to_contain_text("settings.json was edited and has faults, so it is not applied")
    expect(notice).to_contain_text("BTCUSDT Leverage must be between 1 and 125")
    expect(notice).to_contain_text("BTCUSDT Stop loss distance must be above 0")
    expect(page.locator(LEVERAGE)).to_have_value("10")
    page.locator(LEVERAGE).fill("7")
    page.get_by_role("button", name="Save").click()

    expect(page.locator("#settings [data-slot=save-fault]")).to_contain_text("settings.json has faults")
    assert scene.environment.settings_file.read_text(encoding="utf-8") == faulty


def test_edit_that_is_not_applied_yet_is_a_notice(scene: Scene, open_page: Callable[..., Page]) -> None:
    publish(scene, saved(scene))
    edited = saved(scene)
    edited["symbols"]["BTCUSDT"]["leverage"] = 4
    scene.environment.settings_file.write_text(json.dumps(edited), encoding="utf-8")
    page = open_symbol(open_page)

    notice = page.locator("#settings [data-slot=file-notice]")
    expect(notice).to_contain_text("The bot has not applied settings.json yet")
    expect(notice).to_contain_text("BTCUSDT Leverage: in force 10x, in the file 4x")
    expect(notice.get_by_role("button")).to_be_hidden()
    expect(page.locator(LEVERAGE)).to_have_value("10")
    publish(scene, edited)

    expect(notice).to_be_hidden()
    expect(page.locator(LEVERAGE)).to_have_value("4")


def test_edit_that_needs_a_restart_is_a_notice_that_offers_it(scene: Scene, open_page: Callable[..., Page]) -> None:
    publish(scene, saved(scene), simulate_only=True)
    page = open_page("settings")

    notice = page.locator("#settings [data-slot=file-notice]")
    expect(notice).to_contain_text("apply after a restart of the bot")
    expect(notice).to_contain_text("Paper trading: in force on, in the file off")
    expect(page.locator("#field-globals-simulate_only")).to_be_checked()
    with page.expect_response("**/api/control"):
        notice.get_by_role("button", name="Restart the bot").click()

    assert restarts(scene) == [OperatorAction.RESTART]
    publish(scene, saved(scene))
    expect(notice).to_be_hidden()


def restarts(scene: Scene) -> list[OperatorAction]:
    actions = [command.action for command in CommandReader(scene.environment.control_database).after(0)]
    return [action for action in actions if action is OperatorAction.RESTART]


def test_setting_changed_elsewhere_is_not_overwritten(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    page.locator(LEVERAGE).fill("7")
    document = saved(scene)
    document["symbols"]["BTCUSDT"]["leverage"] = 4
    scene.environment.settings_file.write_text(json.dumps(document), encoding="utf-8")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("#settings [data-slot=save-fault]")).to_contain_text("has also changed elsewhere")
    expect(page.locator("#settings [data-slot=diff]")).to_contain_text("4x → 7x")
    assert saved(scene) == document
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#settings [data-slot=diff]")).to_be_hidden()
    assert saved(scene)["symbols"]["BTCUSDT"]["leverage"] == 7


def test_discard_restores_the_saved_values(open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    page.locator(LEVERAGE).fill("7")

    page.get_by_role("button", name="Discard").click()

    expect(page.locator(LEVERAGE)).to_have_value("10")
    expect(page.locator("#settings [data-slot=diff]")).to_be_hidden()


def test_size_below_the_exchanges_minimum_is_a_warning(open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)

    page.locator("#field-symbols-BTCUSDT-trade_value_usdt").fill("0.2")

    expect(page.locator("#settings [data-slot=lead]")).to_contain_text("The exchange's minimum is 5 USDT")


def test_factor_of_a_size_below_the_minimum_is_shown_before_it_is_saved(
    scene: Scene, open_page: Callable[..., Page]
) -> None:
    scene.bot.add_liquidation()  # the smallest order is 0.001 BTC
    page = open_symbol(open_page)
    lead = page.locator("#settings [data-slot=lead]")

    page.locator("#field-symbols-BTCUSDT-trade_value_usdt").fill("2")
    expect(lead).to_contain_text("The exchange's minimum is 50 USDT, 2.5 times this size. Entries are raised to it")
    page.locator("#field-symbols-BTCUSDT-trade_value_usdt").fill("1.1")

    expect(lead).to_contain_text("4.5 times this size. That is more than max. raise to the minimum (3) allows")
    expect(lead).to_contain_text("so no entry will be made: use 5 USDT of margin or more")


def test_minimum_loaded_after_typing_is_a_warning(page: Page, open_page: Callable[..., Page]) -> None:
    held: list[Route] = []
    page.route("**/api/exchange/symbols", lambda route: held.append(route))
    open_symbol(open_page)
    page.route("**/api/config/in-force", lambda _: None)  # no other response repaints the page
    page.locator("#field-symbols-BTCUSDT-trade_value_usdt").fill("0.2")
    expect(page.locator("#settings [data-slot=lead]")).to_contain_text("Each entry uses 0.2 USDT")

    for each in held:
        each.continue_()

    expect(page.locator("#settings [data-slot=lead]")).to_contain_text("The exchange's minimum is 5 USDT")
    expect(page.locator("#field-symbols-BTCUSDT-trade_value_usdt")).to_have_value("0.2")


def test_stop_beyond_the_liquidation_price_is_a_warning_before_it_is_saved(
    scene: Scene, open_page: Callable[..., Page]
) -> None:
    scene.bot.publish_symbol_facts()
    page = open_symbol(open_page)
    lead = page.locator("#settings [data-slot=lead]")

    page.locator("#field-symbols-BTCUSDT-stop_loss_pct").fill("30")

    expect(lead).to_contain_text("The position would be liquidated at about 45226.1 (10x ISOLATED)")
    expect(lead).to_contain_text("so no entry will be made: set stop_loss_pct to 9.36 or less")
    page.locator("#field-symbols-BTCUSDT-margin_type").select_option("CROSSED")
    expect(lead).not_to_contain_text("liquidated")


def test_symbol_is_added_and_removed(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page("settings")
    page.get_by_label("Symbol to add").fill("ETHUSDT")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#settings h1")).to_have_text("ETHUSDT")
    assert set(saved(scene)["symbols"]) == {"BTCUSDT", "ETHUSDT"}

    page.get_by_role("button", name="Remove symbol").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()

    expect(page.locator("#settings h1")).to_have_text("Global settings")
    assert set(saved(scene)["symbols"]) == {"BTCUSDT"}


def test_existing_symbol_is_rejected_at_the_field(open_page: Callable[..., Page]) -> None:
    page = open_page("settings")

    page.get_by_label("Symbol to add").fill("BTCUSDT")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator("#settings [data-slot=add-fault]")).to_contain_text("BTCUSDT")


def test_earlier_settings_are_restored(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    before = saved(scene)
    page.locator(LEVERAGE).fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#settings [data-slot=diff]")).to_be_hidden()
    expect(page.locator("#settings .settings-entry", has_text="BTCUSDT")).to_contain_text("7×")

    page.get_by_role("button", name="Settings history").click()
    history = page.locator("#history")
    expect(history).to_contain_text("BTCUSDT Leverage: 10x → 7x")
    expect(history.get_by_role("button", name="Current")).to_be_disabled()
    history.get_by_role("button", name="Restore").click()
    expect(page.locator("#confirm")).to_contain_text("7x → 10x")
    page.locator("#confirm").get_by_role("button", name="Restore", exact=True).click()

    expect(page.locator(LEVERAGE)).to_have_value("10")
    assert saved(scene) == before


def test_saving_keeps_changes_of_another_tab(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_symbol(open_page)
    page.locator(LEVERAGE).fill("7")
    document = saved(scene)
    document["symbols"]["BTCUSDT"]["trade_value_usdt"] = 6
    scene.environment.settings_file.write_text(json.dumps(document), encoding="utf-8")

    page.get_by_role("button", name="Save").click()
    expect(page.locator("#settings [data-slot=diff]")).to_be_hidden()

    assert (
        saved(scene)["symbols"]["BTCUSDT"] | {"leverage": 7, "trade_value_usdt": 6}
        == saved(scene)["symbols"]["BTCUSDT"]
    )


def test_500_symbols_are_found_edited_and_saved(scene: Scene, open_page: Callable[..., Page]) -> None:
    document = settings_document()
    document["symbols"] = {f"COIN{number}USDT": dict(document["symbols"]["BTCUSDT"]) for number in range(500)}
    scene.environment.settings_file.write_text(json.dumps(document), encoding="utf-8")
    page = open_page("settings")
    page.get_by_label("Find a symbol").fill("coin321")
    expect(page.locator("#settings [data-slot=symbols] .settings-entry")).to_have_count(1)
    page.locator("#settings .settings-entry", has_text="COIN321USDT").click()
    page.locator("#field-symbols-COIN321USDT-leverage").fill("7")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("#settings [data-slot=diff]")).to_be_hidden()
    assert saved(scene)["symbols"]["COIN321USDT"]["leverage"] == 7
    assert len(saved(scene)["symbols"]) == 500
    page.get_by_label("Find a symbol").fill("")
    expect(page.locator("#settings [data-slot=symbols] .settings-entry")).to_have_count(500)


def test_keys_of_the_older_bot_and_imports_are_shown(scene: Scene, open_page: Callable[..., Page]) -> None:
    document = settings_document(use_trailing_stop=True)
    scene.environment.settings_file.write_text(json.dumps(document), encoding="utf-8")
    lost = older_trade(status="FILLED", filled_qty=0.002, realized_pnl=-3.5)
    source = OtherDatabase(make_older(scene.environment.home / "older.db", trades=[lost]), NOW)
    with open_imported(scene.environment.database) as history:
        for piece in source.trades():
            history.add_trades(source.program, piece)
        history.record_import("settings", "config.json", "the node bot's config.json", ["no VWAP yet"], NOW)
    page = open_page("settings")
    page.get_by_text("1 note about keys of the older bot in settings.json").click()
    expect(page.locator("#settings [data-slot=key-details]")).to_contain_text(
        "use_trailing_stop of BTCUSDT is not supported yet"
    )

    page.get_by_role("button", name="Imports").click()

    imports = page.locator("#imports")
    expect(imports).to_contain_text("config.json: the node bot's config.json")
    expect(imports).to_contain_text("no VWAP yet")
    expect(imports).to_contain_text("Imported trades")
    expect(imports).to_contain_text("1 trade of the older bot")
    expect(imports).to_contain_text("They count in no position, statistic or limit of this bot.")
    expect(imports.locator("[data-slot=trades] tr")).to_contain_text("Filled")
    expect(imports.locator("[data-slot=trades] tr")).to_contain_text("−3.5000")
