"""Fixtures: a sandbox and a bot process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from src.sandbox.market.scenario import Scenario
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.system.harness import BotProcess


class Start(Protocol):
    def __call__(
        self, scenario: Scenario, settings: dict[str, Any], scheme: ApiVersion = ApiVersion.V1
    ) -> tuple[SandboxServer, BotProcess]: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sandbox with a market and a bot on it; both are stopped at the end of the test."""
    servers: list[SandboxServer] = []
    bots: list[BotProcess] = []

    def start_bot(
        scenario: Scenario, settings: dict[str, Any], scheme: ApiVersion = ApiVersion.V1
    ) -> tuple[SandboxServer, BotProcess]:
        server = SandboxServer(tmp_path, scenario, scheme=scheme)
        server.start()
        servers.append(server)
        bot = BotProcess(tmp_path, settings)
        bots.append(bot)
        bot.start()
        bot.wait_until_trading()
        return server, bot

    yield start_bot
    for bot in bots:
        bot.kill()
    for server in servers:
        server.stop()
