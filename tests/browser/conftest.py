"""A real dashboard over a real database, tested with headless Chromium."""

import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import ConsoleMessage, Page, expect

from src.api.api_server import create_app, serve
from src.domain.clock import SystemClock
from src.domain.instrument import Instrument
from src.settings.config import Environment, load_environment
from tests.browser.scripted_bot import ScriptedBot
from tests.builders import an_instrument, settings_document
from tests.helpers import free_port

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SANDBOX_HOSTS = {"ASTER_BASE_URL": "http://127.0.0.1:1", "ASTER_WS_URL": "ws://127.0.0.1:1"}
MINUTE_MS = 60_000
PATIENT_MS = 20_000
"""Playwright's default of five seconds is too short on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        advice = "no Chromium was found: install it (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(advice)
        pytest.skip(advice)
    return found


@pytest.fixture(scope="session", autouse=True)
def _patient() -> None:
    expect.set_options(timeout=PATIENT_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": _chromium(), "args": list(FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}


class QuietMarket:
    """An exchange's public API with a constant price."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock

    def server_time(self) -> int:
        return self._clock.now_ms()

    def instruments(self) -> dict[str, Instrument]:
        return {name: an_instrument(symbol=name) for name in ("BTCUSDT", "ETHUSDT")}

    def klines(
        self, _symbol: str, _interval: str, limit: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        newest = self._clock.now_ms() // MINUTE_MS * MINUTE_MS
        prices = (Decimal(96_000), Decimal(96_400), Decimal(95_800), Decimal(96_200), Decimal(12))
        return [(newest - back * MINUTE_MS, *prices) for back in range(limit - 1, -1, -1)]


@dataclass(frozen=True)
class Scene:
    """A dashboard's address and files, and its scripted bot."""

    url: str
    environment: Environment
    bot: ScriptedBot


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A dashboard with a running bot, BTCUSDT configured and no position."""
    document = settings_document()
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / ".env").write_text("HUNTER_SETUP=paper\n", encoding="utf-8")  # not a first run
    port = free_port()
    environment = load_environment(tmp_path, {"PORT": str(port), "ASTER_NETWORK": "sandbox", **SANDBOX_HOSTS})
    bot = ScriptedBot(environment.database)
    bot.heartbeat()
    clock = SystemClock()
    app = create_app(environment, clock=clock, market=QuietMarket(clock))
    with answering(app, environment):
        yield Scene(f"http://127.0.0.1:{port}", environment, bot)
    bot.close()


@contextmanager
def answering(app: Flask, environment: Environment) -> Iterator[None]:
    """Serve the dashboard on its port."""
    stop = threading.Event()
    server = threading.Thread(target=serve, args=(app, environment, stop), name="dashboard")
    server.start()
    _wait_for(environment.port, server)
    yield
    stop.set()
    server.join(timeout=30)


def _wait_for(port: int, server: threading.Thread) -> None:
    deadline = time.monotonic() + 30
    while server.is_alive() and time.monotonic() < deadline:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
    pytest.fail("the dashboard did not start")


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """Playwright's page; requests to mocked routes may still come when a test ends."""
    yield page
    page.unroute_all(behavior="ignoreErrors")


def width_of(page: Page) -> int:
    """The page's scroll width, once its fonts are loaded; fallback fonts are wider."""
    return int(page.evaluate("document.fonts.ready.then(() => document.documentElement.scrollWidth)"))


@pytest.fixture
def console_errors(page: Page) -> list[str]:
    """All console errors and warnings, page errors and script dialogs."""
    found: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", record)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("dialog", lambda dialog: found.append(f"a script opened a dialog: {dialog.message}"))
    return found


@pytest.fixture
def open_page(page: Page, scene: Scene, console_errors: list[str]) -> Callable[..., Page]:
    """Open a view of the dashboard and wait until the bot's status is loaded."""
    assert console_errors == []

    def visit(view: str = "trading") -> Page:
        page.goto(f"{scene.url}/#/{view}")
        expect(page).to_have_title(re.compile("·"))
        return page

    return visit
