"""The trading view: positions, verdicts, orders, trades, and closing positions."""

import re
from collections.abc import Callable
from decimal import Decimal as D

import pytest
from playwright.sync_api import Page, expect

from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.decisions import Gate
from src.domain.enums import OrderRole
from src.domain.positions import Protection
from tests.browser.conftest import MINUTE_MS, Scene
from tests.builders import a_liquidation

POSITION = "#book-positions tbody tr"
CLICK_SCRIPT = """(button) => {
  for (const type of ["pointerdown", "pointerup"]) button.dispatchEvent(new PointerEvent(type, { bubbles: true }));
  button.click();
}"""
"""A click within one script: on a busy machine a real click can last as long as a hold."""


def commands_of(scene: Scene) -> list[OperatorCommand]:
    return CommandReader(scene.environment.control_database).after(0)


def sent_commands(scene: Scene) -> list[tuple[OperatorAction, str | None]]:
    return [(command.action, command.symbol) for command in commands_of(scene)]


def test_position_shows_its_exits_and_its_result(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    row = open_page().locator(POSITION)

    expect(row.locator("[data-slot=take-profit]")).to_have_text("TP 96,960.5")
    expect(row.locator("[data-slot=stop-loss]")).to_have_text("SL 94,080.5")
    expect(row.locator("[data-slot=pnl]")).to_have_text("▲ +1.00")
    expect(row.locator("[data-slot=distance]")).to_have_text("19.2 % away")


@pytest.mark.parametrize(
    ("protection", "word"),
    [
        (Protection.OK, "Protected"),
        (Protection.PENDING, "Pending"),
        (Protection.MISSING, "MISSING"),
        (Protection.DISABLED, "Stop disabled"),
        (Protection.EXTERNAL, "External"),
    ],
)
def test_protection_is_shown_as_a_chip(
    protection: Protection, word: str, scene: Scene, open_page: Callable[..., Page]
) -> None:
    scene.bot.add_position(protection=protection)

    expect(open_page().locator(f"{POSITION} [data-slot=protection]")).to_have_text(word)


@pytest.mark.parametrize("width", [1024, 1200, 1280, 1440])
def test_protection_chip_is_never_behind_the_buttons(width: int, scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position(mark_price=D("91232.31012345"), liquidation_price=D("101234.5"))
    page = open_page()
    page.set_viewport_size({"width": width, "height": 900})
    row = page.locator(POSITION)
    expect(row).to_be_visible()

    assert row.evaluate(
        """row => document.fonts.ready.then(() => {
          const box = (part) => row.querySelector(part).getBoundingClientRect();
          return box("[data-slot=protection]").right <= box("td.acts").left;
        })"""
    )


def test_stale_position_is_dimmed_with_its_age(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position(as_of=scene.bot.clock.now_ms() - 40 * MINUTE_MS)
    row = open_page().locator(POSITION)

    expect(row).to_have_class("is-stale")
    expect(row.locator("[data-slot=as-of]")).to_contain_text(re.compile(r"updated 4\d min ago"))


def test_closing_asks_for_confirmation(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    page = open_page()

    page.get_by_role("button", name="Close half").click()
    dialog = page.get_by_role("dialog")
    for words in ("Close half of BTCUSDT LONG?", "about 0.001 of 0.002", "+0.50 USDT"):
        expect(dialog).to_contain_text(words)
    dialog.get_by_role("button", name="Cancel").click()

    expect(dialog).to_be_hidden()
    assert sent_commands(scene) == []


def test_close_is_pending_until_the_bot_confirms(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    page = open_page()
    page.locator(f"{POSITION} [data-slot=close]").click()
    with page.expect_response("**/close"):
        page.get_by_role("button", name="Close position").click()
    expect(page.locator(f"{POSITION} [data-slot=close]")).to_have_text("Pending")
    assert sent_commands(scene) == [(OperatorAction.CLOSE_POSITION, "BTCUSDT")]

    scene.bot.heartbeat()
    (command,) = commands_of(scene)
    scene.bot.add_journal_entry(
        "command", {"id": command.id, "action": "close_position", "message": "the position is being closed"}
    )

    expect(page.locator("#notices")).to_contain_text("The position is being closed.")
    expect(page.locator(f"{POSITION} [data-slot=close]")).to_have_text("Close")


def test_close_all_must_be_held(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    scene.bot.add_position("SOLUSDT", protection=Protection.EXTERNAL)
    page = open_page()
    expect(page.locator(POSITION)).to_have_count(2)
    page.get_by_role("button", name="Close all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Close 1 position?")
    hold = dialog.get_by_role("button", name="Hold to close all")

    hold.evaluate(CLICK_SCRIPT)
    assert sent_commands(scene) == []
    hold.hover()
    with page.expect_response("**/api/control"):
        page.mouse.down()
    expect(dialog).to_be_hidden()

    expect(page.locator("#status [data-slot=flatten]")).to_have_text("Closing")
    assert sent_commands(scene) == [(OperatorAction.FLATTEN, None)]


def test_pause_sends_a_command(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page()

    with page.expect_response("**/api/control"):
        page.get_by_role("button", name="Pause entries").click()

    expect(page.locator("#status [data-slot=pause]")).to_have_text("Pending")
    assert sent_commands(scene) == [(OperatorAction.PAUSE, None)]


def test_feed_shows_verdict_and_window_volume(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_liquidation(gate=Gate.THRESHOLD)
    scene.bot.add_liquidation(a_liquidation(notional=120_000, traded_at=scene.bot.clock.now_ms()), gate=None)
    page = open_page()
    chips = page.locator("#feed tbody [data-slot=chip]")
    expect(chips).to_have_text(["Entry", "Below threshold"])
    expect(page.locator("#feed tbody [data-slot=sum]")).to_have_text(["120K of 100K", "60K of 100K"])

    page.get_by_role("button", name="Threshold reached").click()
    expect(chips).to_have_text(["Entry"])
    chips.click()

    expect(page.get_by_role("dialog")).to_contain_text("Bought 0.002 at 96,000.")


def test_empty_positions_show_the_last_verdicts(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_liquidation()

    empty = open_page().locator("#book-positions [data-slot=empty]")

    expect(empty).to_contain_text("No open positions. The last decision and its reason:")
    expect(empty).to_contain_text("The window holds 60,000 of 100,000 USDT")


def test_open_orders_show_their_purpose(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_order(OrderRole.ENTRY)
    scene.bot.add_order(OrderRole.STOP_LOSS)
    page = open_page()

    page.get_by_role("tab", name="Open orders").click()

    expect(page.locator("#book-orders [data-slot=purpose]")).to_have_text(["Stop loss", "Entry"])


def test_entry_is_cancelled_after_confirmation(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_order(OrderRole.ENTRY)
    scene.bot.add_order(OrderRole.STOP_LOSS)
    page = open_page()
    page.get_by_role("tab", name="Open orders").click()
    expect(page.locator("#book-orders tbody tr")).to_have_count(2)
    cancel = page.locator("#book-orders").get_by_role("button", name="Cancel")
    expect(cancel).to_have_count(1)  # a stop loss cannot be cancelled

    cancel.click()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel entry BTCUSDT BUY?")
    with page.expect_response("**/api/control"):
        page.get_by_role("button", name="Cancel entry").click()

    expect(page.locator("#book-orders [data-slot=cancel]:visible")).to_have_text("Pending")
    assert sent_commands(scene) == [(OperatorAction.CANCEL_ENTRY, "BTCUSDT")]


def test_trades_are_downloaded_as_csv(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_fill()
    page = open_page()
    page.get_by_role("tab", name="Trades").click()

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()

    assert download.value.suggested_filename == "trades.csv"
    assert "BTCUSDT" in download.value.path().read_text(encoding="utf-8-sig")


def test_trade_opens_its_timeline(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_liquidation(gate=None)
    scene.bot.add_fill()
    page = open_page()
    page.get_by_role("tab", name="Trades").click()

    page.get_by_role("button", name="Timeline").click()

    steps = page.locator("#trade .timeline li [data-slot=what]")
    expect(steps).to_contain_text(["Long liquidated", "Entry decided", "Entry filled"])
    expect(page.locator("#trade h2")).to_have_text("BTCUSDT, entry")
