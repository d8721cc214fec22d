"""Many open pages of one browser: they share one event stream, and commands always find a connection."""

import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Page, expect

from src.api.api_server import create_app
from src.domain.commands import OperatorAction
from tests.api.harness import eventually
from tests.browser.conftest import Scene, answering
from tests.browser.test_trading import sent_commands

TABS = 6
PAGE_STATE = "#status [data-slot=page]"
WITHOUT_WORKER = "delete window.SharedWorker"
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def open_streams(scene: Scene, page: Page) -> int:
    return int(page.request.get(f"{scene.url}/api/health").json()["streams_open"])


def close_all(page: Page) -> float:
    """Press "Close all" and wait for the server's answer; returns the milliseconds from the request to its answer."""
    page.bring_to_front()
    page.get_by_role("button", name="Close all").click()
    hold = page.get_by_role("dialog").get_by_role("button", name="Hold to close all")
    hold.hover()
    with page.expect_response("**/api/control") as answer:
        page.mouse.down()
    assert answer.value.status == 202
    answer.value.finished()
    return float(answer.value.request.timing["responseEnd"])


def test_close_all_is_answered_with_six_tabs_open(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    pages = [open_page()]
    for _ in range(TABS - 1):
        pages.append(pages[0].context.new_page())
        pages[-1].goto(scene.url)
    for page in pages:
        expect(page.locator(PAGE_STATE)).to_have_text("live")
    assert open_streams(scene, pages[0]) == 1, "the tabs share one stream"

    scene.bot.heartbeat()
    print(f"answered after {close_all(pages[-1]):.0f} ms with {TABS} tabs open")  # measured, not asserted

    assert sent_commands(scene) == [(OperatorAction.FLATTEN, None)]
    pages.pop(1).close()  # the others keep the stream
    scene.bot.add_liquidation()
    for page in pages:
        expect(page.locator("#feed tbody tr")).to_have_count(1)


def test_hidden_page_without_shared_workers_frees_its_connection(
    scene: Scene, page: Page, open_page: Callable[..., Page]
) -> None:
    page.add_init_script(WITHOUT_WORKER)
    open_page()
    expect(page.locator(PAGE_STATE)).to_have_text("live")
    assert open_streams(scene, page) == 1

    page.evaluate(HIDE, True)
    assert eventually(lambda: open_streams(scene, page) == 0)
    page.evaluate(HIDE, False)

    assert eventually(lambda: open_streams(scene, page) == 1)
    scene.bot.add_liquidation()
    expect(page.locator("#feed tbody tr")).to_have_count(1)


def test_refused_page_says_so_and_polls(scene: Scene, page: Page, open_page: Callable[..., Page]) -> None:
    asked: list[str] = []
    page.add_init_script(WITHOUT_WORKER)
    body = {"error": {"code": "too_many_streams", "message": "Too many pages are open."}}

    def refuse(route: object) -> None:
        asked.append("stream")
        route.fulfill(status=429, json=body, headers={"Retry-After": "3600"})  # type: ignore[attr-defined]

    page.route("**/api/stream", refuse)
    open_page()
    expect(page.locator(PAGE_STATE)).to_have_text("every few seconds")
    expect(page.locator(PAGE_STATE)).to_have_attribute(
        "title", "Too many pages are open: this one updates every few seconds. Close some of them."
    )

    scene.bot.add_position()

    expect(page.locator("#book-positions tbody tr")).to_have_count(1)
    assert asked == ["stream"], "it is not asked again before Retry-After"


CHECK_FOR_UPDATE = """navigator.serviceWorker.getRegistration()
  .then((found) => found?.update()).then(() => true, () => false)"""


class LeftoverApp(BaseHTTPRequestHandler):
    """Another program's page, whose service worker answers every request itself."""

    worker = """
      addEventListener("install", () => skipWaiting());
      addEventListener("activate", (event) => event.waitUntil(clients.claim()));
      addEventListener("fetch", (event) => event.respondWith(
        new Response("<title>leftover</title>", { headers: { "Content-Type": "text/html" } })));
    """
    page = "<title>first</title><script>navigator.serviceWorker.register('/sw.js')</script>"

    def do_GET(self) -> None:
        is_worker = self.path == "/sw.js"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_worker else "text/html")
        self.end_headers()
        self.wfile.write((self.worker if is_worker else self.page).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_service_worker_left_on_the_port_is_turned_away(scene: Scene, page: Page) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), LeftoverApp) as leftover:
        port = leftover.server_address[1]
        threading.Thread(target=leftover.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{port}/")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.goto(f"http://127.0.0.1:{port}/")
        assert page.title() == "leftover"
        leftover.shutdown()
    environment = replace(scene.environment, port=port)
    with answering(create_app(environment), environment):

        def is_ours() -> bool:
            page.evaluate(CHECK_FOR_UPDATE)  # the browser does so by itself some seconds after a visit
            page.goto(f"http://127.0.0.1:{port}/")
            return page.title() != "leftover"

        assert eventually(is_ours)
        expect(page.locator("#status")).to_be_visible()
