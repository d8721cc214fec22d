"""The page as a whole: no console errors, status bar, hostile names, themes, contrast."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from src.domain.decisions import Gate
from tests.browser.conftest import Scene
from tests.builders import a_liquidation

HOSTILE = ("<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "{{7*7}}", "javascript:alert(1)", "A" * 10_000)


def test_every_view_opens_without_console_errors(
    scene: Scene, open_page: Callable[..., Page], console_errors: list[str]
) -> None:
    scene.bot.add_position()
    scene.bot.add_liquidation()
    page = open_page()
    for name in ("Results", "Settings", "Log", "Trading"):
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")

    expect(page.locator("#book-positions tbody tr")).to_have_count(1)
    assert console_errors == []


def test_status_bar_shows_mode_and_state(open_page: Callable[..., Page]) -> None:
    page = open_page()

    expect(page.locator("#status [data-slot=mode]")).to_have_text("SANDBOX")
    expect(page.locator("#status [data-slot=state]")).to_have_text("Running")
    expect(page.locator("#status [data-slot=weight]")).to_have_text("118 / 2,400")
    expect(page).to_have_title("SANDBOX · Liquidation Hunter")


def test_account_figures_are_not_cut_off_on_a_small_monitor(
    page: Page, scene: Scene, open_page: Callable[..., Page]
) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    scene.bot.add_position()
    open_page()

    expect(page.locator("#book-positions tbody tr")).to_have_count(1)
    cut = page.locator(".account .sub").evaluate_all(
        "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    )
    assert cut == []


def test_log_counts_messages_that_were_not_understood(scene: Scene, open_page: Callable[..., Page]) -> None:
    with scene.bot.store.transaction():
        problem = "a message of the user data stream: i is missing"
        scene.bot.store.set_state("unreadable_messages", {"count": 3, "last_problem": problem, "last_at": 1})
    line = open_page("journal").locator("#journal [data-slot=unreadable]")

    expect(line).to_contain_text("3 messages of the exchange were not understood since the bot started")
    expect(line).to_contain_text(problem)


def test_account_strip_shows_margin_and_notional(open_page: Callable[..., Page]) -> None:
    page = open_page()

    expect(page.locator("#account [data-slot=equity]")).to_have_text("1,013.97")
    expect(page.locator("#account [data-slot=exposure]")).to_have_text("61.24 / 200")
    expect(page.locator("#account [data-slot=notional]")).to_have_text("notional 306")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_text(
    name: str, scene: Scene, open_page: Callable[..., Page], console_errors: list[str]
) -> None:
    scene.bot.add_position(name)
    scene.bot.add_liquidation(a_liquidation(symbol=name, traded_at=scene.bot.clock.now_ms()))
    scene.bot.add_journal_entry("alert", {"level": "warning", "message": f"stop refused for {name}"}, name)
    page = open_page()

    expect(page.locator("#book-positions tbody [data-slot=symbol]")).to_have_text(name)
    expect(page.locator("#feed tbody [data-slot=symbol]")).to_have_text(name)
    assert page.locator("img, [onerror], [onload]").count() == 0
    expect(page.locator("body")).to_have_js_property("scrollWidth", 1440)
    assert console_errors == []


def test_bidirectional_characters_are_escaped(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position("BTC\u202eTDSU")

    page = open_page()

    expect(page.locator("#book-positions tbody [data-slot=symbol]")).to_have_text("BTC\\u202ETDSU")


def test_theme_follows_the_system_until_chosen(page: Page, open_page: Callable[..., Page]) -> None:
    page.emulate_media(color_scheme="light")
    open_page()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    page.get_by_role("button", name="Switch between dark and light theme").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_has_enough_contrast(theme: str, page: Page, scene: Scene, open_page: Callable[..., Page]) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]  # no colour half changed
    scene.bot.add_position()
    for gate in (None, Gate.THRESHOLD, Gate.COOLDOWN, Gate.MARGIN, Gate.TOTAL_CAP):
        scene.bot.add_liquidation(gate=gate)
    open_page()
    expect(page.locator("#feed tbody tr")).to_have_count(5)

    assert page.evaluate(WEAK_TEXT) == []


WEAK_TEXT = """() => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!says || !element.checkVisibility() || element.closest("tr.is-new, button:disabled, option")) continue;
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ground = over(grounds), text = over([...grounds, getComputedStyle(element).color]);
    const [low, high] = [light(ground), light(text)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) weak.push(`${contrast.toFixed(2)} ${element.className} ${element.textContent.trim()}`);
  }
  return weak;
}"""
