"""What happens arrives by itself; what is silent looks silent."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene


def test_news_arrive_without_a_reload_and_without_being_asked_for(
    scene: Scene, page: Page, open_page: Callable[..., Page]
) -> None:
    # A page that nobody looks at asks for nothing by itself.
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true })")
    open_page()
    expect(page.locator("#status [data-slot=page]")).to_have_text("live")
    expect(page.locator("#feed tbody tr")).to_have_count(0)

    scene.bot.add_liquidation()
    scene.bot.add_position()

    expect(page.locator("#feed tbody tr")).to_have_count(1)
    expect(page.locator("#book-positions tbody tr")).to_have_count(1)


def test_an_alert_stays_until_it_is_read(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page()
    expect(page.locator("#status [data-slot=page]")).to_have_text("live")

    scene.bot.say("alert", {"level": "warning", "message": "the stop loss was refused"}, "BTCUSDT")

    notice = page.locator("#notices .notice")
    expect(notice).to_contain_text("the stop loss was refused")
    notice.get_by_role("button").click()
    expect(notice).to_have_count(0)


def test_a_silent_bot_can_be_asked_for_nothing(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    scene.bot.heartbeat(ago_ms=60_000)
    page = open_page()

    expect(page.locator("#banner")).to_contain_text("The bot has been silent for")
    for button in (
        "#status [data-slot=pause]",
        "#status [data-slot=flatten]",
        "#book-positions tbody [data-slot=close]",
    ):
        expect(page.locator(button)).to_be_disabled()
    expect(page.locator("#status [data-slot=state]")).to_have_text("Not known")

    scene.bot.heartbeat()

    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#status [data-slot=pause]")).to_be_enabled()


def test_halt_is_said_with_its_reason(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.heartbeat(state="HALTED", reason="halted by the operator")
    page = open_page()

    expect(page.locator("#status [data-slot=state]")).to_have_text("Halted")
    expect(page.locator("#status [data-slot=reason]")).to_have_text("halted by the operator")


def test_a_dead_server_is_said(page: Page, open_page: Callable[..., Page]) -> None:
    open_page()
    page.route("**/api/**", lambda route: route.abort())

    expect(page.locator("#banner")).to_contain_text("The dashboard server has not answered", timeout=30_000)
    expect(page.locator("#status [data-slot=flatten]")).to_be_disabled()


def test_the_log_lists_what_the_bot_said(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.say("command", {"id": 1, "action": "pause", "message": "entries are paused"})
    scene.bot.add_liquidation()
    page = open_page("journal")
    messages = page.locator("#journal tbody [data-slot=message]")
    expect(messages).to_have_text(["Pause: entries are paused"])

    page.get_by_role("button", name="Everything").click()

    expect(messages).to_have_count(2)


def test_a_server_that_cannot_answer_says_why(scene: Scene, page: Page) -> None:
    reason = "The database was made by another version of this program."
    body = {"error": {"code": "database_unreadable", "message": reason}}
    page.route("**/api/health", lambda route: route.fulfill(status=503, json=body))

    page.goto(scene.url)

    expect(page.locator("#banner")).to_have_text(reason)
    expect(page.locator("#status [data-slot=state]")).to_have_text("Not known")
    expect(page.locator("#status [data-slot=pause]")).to_be_disabled()
