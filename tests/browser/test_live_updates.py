"""Live updates, and how the page shows a bot or server that is down."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene


def test_events_arrive_without_reload_or_polling(scene: Scene, page: Page, open_page: Callable[..., Page]) -> None:
    # A hidden page does not poll.
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true })")
    open_page()
    expect(page.locator("#status [data-slot=page]")).to_have_text("live")
    expect(page.locator("#feed tbody tr")).to_have_count(0)

    scene.bot.add_liquidation()
    scene.bot.add_position()

    expect(page.locator("#feed tbody tr")).to_have_count(1)
    expect(page.locator("#book-positions tbody tr")).to_have_count(1)


def test_alert_stays_until_dismissed(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page()
    expect(page.locator("#status [data-slot=page]")).to_have_text("live")

    scene.bot.add_journal_entry("alert", {"level": "warning", "message": "the stop loss was rejected"}, "BTCUSDT")

    notice = page.locator("#notices .notice")
    expect(notice).to_contain_text("The stop loss was rejected")
    notice.get_by_role("button").click()
    expect(notice).to_have_count(0)


def test_buttons_are_disabled_while_the_bot_is_down(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    scene.bot.heartbeat(ago_ms=60_000)
    page = open_page()

    expect(page.locator("#banner")).to_contain_text("The bot has not responded for")
    for button in (
        "#status [data-slot=pause]",
        "#status [data-slot=flatten]",
        "#book-positions tbody [data-slot=close]",
    ):
        expect(page.locator(button)).to_be_disabled()
    expect(page.locator("#status [data-slot=state]")).to_have_text("Unknown")

    scene.bot.heartbeat()

    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#status [data-slot=pause]")).to_be_enabled()


def test_halt_is_shown_with_its_reason(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.heartbeat(state="HALTED", reason="halted by the operator")
    page = open_page()

    expect(page.locator("#status [data-slot=state]")).to_have_text("Halted")
    expect(page.locator("#status [data-slot=reason]")).to_have_text("Halted by the operator")


def test_dead_server_is_reported(page: Page, open_page: Callable[..., Page]) -> None:
    open_page()
    page.route("**/api/**", lambda route: route.abort())

    expect(page.locator("#banner")).to_contain_text("No response from the dashboard server", timeout=30_000)
    expect(page.locator("#status [data-slot=flatten]")).to_be_disabled()


def test_log_lists_journal_entries(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_journal_entry("command", {"id": 1, "action": "pause", "message": "entries are paused"})
    scene.bot.add_liquidation()
    page = open_page("journal")
    messages = page.locator("#journal tbody [data-slot=message]")
    expect(messages).to_have_text(["Pause: entries are paused"])

    page.get_by_role("button", name="Everything").click()

    expect(messages).to_have_count(2)


def test_server_error_is_shown_in_the_banner(scene: Scene, page: Page) -> None:
    reason = "The database was made by another version of this program."
    body = {"error": {"code": "database_unreadable", "message": reason}}
    page.route("**/api/health", lambda route: route.fulfill(status=503, json=body))

    page.goto(scene.url)

    expect(page.locator("#banner")).to_have_text(reason)
    expect(page.locator("#status [data-slot=state]")).to_have_text("Unknown")
    expect(page.locator("#status [data-slot=pause]")).to_be_disabled()
