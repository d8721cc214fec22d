"""The page on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene, width_of


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": 390, "height": 844})
    return page


@pytest.mark.parametrize("view", ["trading", "statistics", "settings", "journal"])
def test_no_view_scrolls_sideways(view: str, phone: Page, scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    scene.bot.add_liquidation()
    open_page(view)
    expect(phone.locator(f"#view-{view}")).to_be_visible()

    assert width_of(phone) == 390


def test_close_button_is_large_enough_for_a_thumb(phone: Page, scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    open_page()

    close = phone.locator("#book-positions tbody [data-slot=close]")
    close.click()

    expect(phone.get_by_role("dialog")).to_contain_text("Close BTCUSDT LONG?")
    box = close.bounding_box()
    assert box is not None
    assert box["height"] >= 36


def test_positions_stay_visible_below_the_banner(phone: Page, scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    scene.bot.heartbeat(ago_ms=60_000)
    open_page()
    expect(phone.locator("#banner")).to_be_visible()

    row = phone.locator("#book-positions tbody tr")
    row.scroll_into_view_if_needed()
    panel, box = phone.locator(".books").bounding_box(), row.bounding_box()

    assert panel is not None and box is not None
    assert panel["height"] > box["height"]


def test_positions_follow_a_question_about_one_of_them(
    phone: Page, scene: Scene, open_page: Callable[..., Page]
) -> None:
    scene.bot.add_position()
    scene.bot.ask_about()
    open_page()

    expect(phone.locator("#book-positions tbody tr")).to_be_in_viewport(ratio=1)
