"""The panel in which the user confirms live trading."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from src.core.limits.risk_terms import RiskTerms, terms_from_settings
from src.database.control import CommandReader
from src.domain.commands import OperatorAction
from src.domain.enums import Network
from tests.api.harness import eventually
from tests.browser.conftest import Scene, width_of
from tests.builders import some_settings

ACCOUNT = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"


def terms(account: str = ACCOUNT, **symbol_changes: Any) -> RiskTerms:
    return terms_from_settings(some_settings(**symbol_changes), Network.MAINNET, account)


def await_consent(scene: Scene, wanted: RiskTerms, *risk_increases: str) -> None:
    scene.bot.heartbeat(state="REDUCE_ONLY", reason="live trading needs your confirmation", network="mainnet")
    scene.bot.await_consent(wanted, *risk_increases)


def confirmed_terms(scene: Scene) -> list[str | None]:
    found = CommandReader(scene.environment.control_database).after(0)
    return [each.terms_fingerprint for each in found if each.action is OperatorAction.CONFIRM_LIVE]


def test_panel_is_hidden_without_pending_terms(open_page: Callable[..., Page]) -> None:
    expect(open_page().locator("#going-live")).to_be_hidden()


def test_terms_are_shown_and_confirmed(scene: Scene, open_page: Callable[..., Page], console_errors: list[str]) -> None:
    wanted = terms(stop_loss_enabled=False)
    await_consent(scene, wanted, "live trading has not been confirmed yet")
    page = open_page()
    panel = page.locator("#going-live")
    expect(panel).to_be_visible()
    expect(panel.locator("[data-slot=mode]")).to_have_text("LIVE")
    expect(panel.locator("[data-slot=facts]")).to_contain_text(ACCOUNT)
    expect(panel.locator("tbody tr")).to_have_count(1)
    expect(panel.locator("tbody [data-slot=stop]")).to_have_text("none")
    expect(page).to_have_title("LIVE · Liquidation Hunter")

    agree = panel.get_by_role("button", name="Enable live trading")
    field = panel.get_by_label("Type LIVE, or the last four characters of the account")
    expect(agree).to_be_disabled()
    field.fill("live")
    agree.click()
    expect(page.locator(".notice")).to_contain_text("Live trading confirmed")
    expect(agree).to_be_disabled()
    assert eventually(lambda: confirmed_terms(scene) == [wanted.fingerprint])

    scene.bot.clear_pending_consent()
    expect(panel).to_be_hidden()
    assert console_errors == []


def test_wrong_word_is_rejected(scene: Scene, open_page: Callable[..., Page]) -> None:
    await_consent(scene, terms())
    panel = open_page().locator("#going-live")
    panel.get_by_label("Type LIVE").fill("yes")
    panel.get_by_role("button", name="Enable live trading").click()
    expect(panel.locator("[data-slot=fault]")).to_have_text("Type LIVE, or the last four characters of the account.")
    expect(panel.get_by_role("button", name="Enable live trading")).to_be_enabled()
    assert confirmed_terms(scene) == []


def test_end_of_the_account_confirms_too(scene: Scene, open_page: Callable[..., Page]) -> None:
    await_consent(scene, terms())
    panel = open_page().locator("#going-live")
    panel.get_by_label("Type LIVE").fill("7c4E")
    panel.get_by_role("button", name="Enable live trading").click()
    expect(panel.get_by_role("button", name="Enable live trading")).to_be_disabled()
    assert eventually(lambda: len(confirmed_terms(scene)) == 1)


def test_terms_changed_meanwhile_are_not_confirmed(scene: Scene, open_page: Callable[..., Page]) -> None:
    await_consent(scene, terms(leverage=2))
    page = open_page()
    panel = page.locator("#going-live")
    panel.get_by_label("Type LIVE").fill("LIVE")

    def change(route: Any) -> None:
        scene.bot.await_consent(terms(leverage=9), "BTCUSDT: leverage from 2 to 9")
        route.continue_()

    page.route("**/api/live-consent/confirm", change)
    panel.get_by_role("button", name="Enable live trading").click()
    expect(panel.locator("[data-slot=fault]")).to_contain_text("The settings have changed")
    expect(panel.locator("[data-slot=risk-increases]")).to_contain_text("BTCUSDT: leverage from 2 to 9")
    assert confirmed_terms(scene) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_panel_fits_a_phone_and_a_desktop(scene: Scene, page: Page, open_page: Callable[..., Page], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    await_consent(scene, terms())
    open_page()
    expect(page.locator("#going-live")).to_be_visible()
    assert width_of(page) <= width


def test_hostile_account_is_shown_as_text(
    scene: Scene, open_page: Callable[..., Page], console_errors: list[str]
) -> None:
    await_consent(scene, terms("<img src=x onerror=alert(1)>"), "<b>more</b>")
    panel = open_page().locator("#going-live")
    expect(panel.locator("[data-slot=risk-increases]")).to_have_text("<b>more</b>")
    assert panel.locator("img, b").count() == 0
    assert console_errors == []
