"""The setup page: paper by one click, and a key of either kind tested against a real sandbox."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, Route, expect

from src.api.api_server import create_app
from src.domain.clock import SystemClock
from src.exchange.credential_check import CredentialChecker
from src.sandbox.server import SandboxServer
from src.settings.config import Environment, load_environment
from tests.browser.conftest import QuietMarket, answering, width_of
from tests.browser.scripted_bot import ScriptedBot
from tests.builders import settings_document
from tests.helpers import free_port

PATIENT_MS = 30_000
OTHER_KEY = "4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"


@dataclass(frozen=True)
class NewHome:
    """A dashboard on its first run, and the sandbox that its keys are tested on."""

    url: str
    environment: Environment
    sandbox: SandboxServer

    @property
    def env_text(self) -> str:
        return (self.environment.home / ".env").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[NewHome]:
    document = settings_document()
    document["globals"]["simulate_only"] = True
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    with SandboxServer() as sandbox:
        hosts = {"ASTER_BASE_URL": sandbox.base_url, "ASTER_WS_URL": sandbox.ws_url, "ASTER_NETWORK": "sandbox"}
        environment = load_environment(tmp_path, {"PORT": str(free_port()), **hosts})
        clock = SystemClock()
        checker = CredentialChecker(environment.base_url, environment.network, clock)
        app = create_app(environment, clock=clock, market=QuietMarket(clock), checker=checker)
        with answering(app, environment):
            yield NewHome(f"http://127.0.0.1:{environment.port}", environment, sandbox)


@pytest.fixture
def answers(page: Page) -> list[Response]:
    """All API responses to the page."""
    found: list[Response] = []

    def keep(response: Response) -> None:
        if "/api/" in response.url:
            found.append(response)

    page.on("response", keep)
    return found


def simulated(home: NewHome) -> bool:
    return bool(json.loads(home.environment.settings_file.read_text(encoding="utf-8"))["globals"]["simulate_only"])


def open_live(page: Page, home: NewHome) -> None:
    page.goto(home.url)
    page.get_by_role("button", name="Set up live trading").click()
    expect(page.get_by_role("heading", name="Key for live trading")).to_be_visible()


def fill_wallet(page: Page, user: str, key: str) -> None:
    page.get_by_label("Your login address").fill(user)
    page.get_by_label("Private key of the API wallet").fill(key)


def test_first_visit_shows_setup_until_paper_is_chosen(page: Page, home: NewHome, console_errors: list[str]) -> None:
    page.goto(home.url)
    expect(page).to_have_title("Setup · Liquidation Hunter")
    page.get_by_role("button", name="Start paper trading").click()
    expect(page.get_by_role("heading", name="Saved")).to_be_visible()
    expect(page.get_by_text("Start the bot: python launcher.py")).to_be_visible()

    page.get_by_role("link", name="Open the dashboard").click()
    expect(page).to_have_title("PAPER · Liquidation Hunter" if simulated(home) else "")
    page.goto(f"{home.url}/#/settings")
    page.get_by_role("link", name="Key and mode").click()
    expect(page.get_by_role("heading", name="Setup", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Back to the dashboard")).to_be_visible()
    assert console_errors == []


@pytest.mark.parametrize("kind", ["api_wallet", "api_key"])
def test_key_is_tested_saved_and_not_kept_on_the_page(
    page: Page, home: NewHome, answers: list[Response], console_errors: list[str], kind: str
) -> None:
    keys = home.sandbox.exchange.keys
    open_live(page, home)
    if kind == "api_wallet":
        fill_wallet(page, keys.wallet.user, keys.wallet.private_key)
        secrets = [keys.wallet.private_key.removeprefix("0x")]
    else:
        page.get_by_role("button", name="API key (V1)").click()
        page.get_by_label("API key", exact=True).fill(keys.api_key)
        page.get_by_label("API secret").fill(keys.api_secret)
        secrets = [keys.api_key, keys.api_secret]
    expect(page.get_by_role("button", name="Save and start")).to_be_disabled()
    page.get_by_role("button", name="Test", exact=True).click()
    of_the_wallet = ["ok"] if kind == "api_wallet" else []
    checks = page.locator(".check .chip")
    expect(checks).to_have_text([*["ok"] * 4, "warn", *of_the_wallet], timeout=PATIENT_MS)  # the sandbox begins one-way

    page.get_by_role("button", name="Save and start").click()
    expect(page.get_by_role("heading", name="Saved")).to_be_visible()

    assert load_environment(home.environment.home, {}).credentials is not None
    assert not simulated(home)
    storage = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    values = page.evaluate("[...document.querySelectorAll('input')].map((input) => input.value).join()")
    seen = "\n".join((page.content(), storage, values, page.url, *(answer.text() for answer in answers)))
    assert {answer.url.removeprefix(f"{home.url}/api/setup") for answer in answers} == {"", "/test", "/save"}
    assert [secret for secret in secrets if secret in seen] == []
    page.goto(f"{home.url}/setup")
    page.get_by_role("button", name="Set up live trading").click()
    label = "API wallet ending in" if kind == "api_wallet" else "API key ending in"
    expect(page.get_by_text(label)).to_be_visible()
    assert console_errors == []


def test_wrong_key_shows_the_remedy_and_cannot_be_saved(page: Page, home: NewHome) -> None:
    open_live(page, home)
    fill_wallet(page, home.sandbox.wallet.user, OTHER_KEY)
    page.get_by_role("button", name="Test", exact=True).click()
    failed = page.locator(".check", has_text="access")
    expect(failed.locator(".chip")).to_have_text("fail", timeout=PATIENT_MS)
    expect(failed.locator(".check-remedy")).to_contain_text("on Aster's site")
    expect(page.get_by_role("button", name="Save and start")).to_be_disabled()
    assert not (home.environment.home / ".env").exists()


def test_edit_after_a_test_needs_another_test(page: Page, home: NewHome) -> None:
    wallet = home.sandbox.wallet
    open_live(page, home)
    fill_wallet(page, wallet.user, wallet.private_key)
    page.get_by_role("button", name="Test", exact=True).click()
    save = page.get_by_role("button", name="Save and start")
    expect(save).to_be_enabled(timeout=PATIENT_MS)
    page.get_by_label("Private key of the API wallet").fill(OTHER_KEY)
    expect(save).to_be_disabled()
    expect(page.locator(".check")).to_have_count(0)


@pytest.mark.parametrize(
    ("user", "key", "words"),
    [("0x12", OTHER_KEY, "is not an address"), ("", "", "Fill in the fields"), (None, "xyz", "not a private key")],
)
def test_malformed_key_is_rejected_before_the_test(
    page: Page, home: NewHome, user: str | None, key: str, words: str
) -> None:
    open_live(page, home)
    fill_wallet(page, home.sandbox.wallet.user if user is None else user, key)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("[data-slot=key-fault]")).to_contain_text(words)


def test_page_opens_the_dashboard_after_the_restart(page: Page, home: NewHome) -> None:
    bot = ScriptedBot(home.environment.database)
    bot.heartbeat(is_supervised=True, started_at=1)
    page.goto(home.url)
    page.get_by_role("button", name="Start paper trading").click()
    expect(page.get_by_role("heading", name="Starting the bot …")).to_be_visible()
    bot.heartbeat(is_supervised=True, started_at=bot.clock.now_ms() + 60_000)
    expect(page).to_have_title("SANDBOX · Liquidation Hunter", timeout=PATIENT_MS)
    bot.close()


def test_setup_fits_a_phone(page: Page, home: NewHome) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_live(page, home)
    assert width_of(page) <= 390
    box = page.get_by_role("button", name="Test", exact=True).bounding_box()
    assert box is not None and box["height"] >= 44


def test_unavailable_status_is_fetched_again(page: Page, home: NewHome) -> None:
    is_available = threading.Event()

    def refuse(route: Route) -> None:
        if is_available.is_set():
            return route.continue_()
        error = {"error": {"code": "database_unreadable", "message": "The database cannot be read at the moment."}}
        return route.fulfill(status=503, json=error)

    page.route("**/api/setup", refuse)
    page.goto(home.url)
    expect(page.locator("[data-slot=choice-fault]")).to_contain_text("cannot be read at the moment")
    is_available.set()
    expect(page.get_by_role("button", name="Start paper trading")).to_be_enabled()
    expect(page.locator("[data-slot=choice-fault]")).to_be_empty()
