"""Setup of a running bot: it waits for a key, restarts when one is saved, and trades with it."""

from pathlib import Path

import pytest

from src.credentials.credentials import WalletCredentials
from src.credentials.stored_credentials import save_credentials
from src.database.control import CommandWriter, open_control
from src.domain.clock import SystemClock
from src.domain.commands import OperatorAction
from src.launch.shutdown import EXIT_RESTART
from src.sandbox.server import SandboxServer
from src.settings.environment import SUPERVISED
from tests.system.harness import BotProcess, demo_settings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

TIMEOUT_SECONDS = 30
STOPPED_WITHIN_SECONDS = 30


def request_restart(control: Path, nonce: str) -> None:
    """Request a restart as the dashboard does after a save."""
    engine = open_control(control)
    CommandWriter(engine).add(OperatorAction.RESTART, nonce, SystemClock().now_ms())
    engine.dispose()


def is_waiting(bot: BotProcess) -> bool:
    return "waiting for setup" in bot.state("trading").get("reason", "")


def test_bot_waits_for_a_key_and_restarts_with_it(tmp_path: Path) -> None:
    with SandboxServer() as sandbox:
        hosts = f"ASTER_BASE_URL={sandbox.base_url}\nASTER_WS_URL={sandbox.ws_url}\nASTER_NETWORK=sandbox\n"
        (tmp_path / ".env").write_text(hosts, encoding="utf-8")
        bot = BotProcess(tmp_path, demo_settings())
        try:
            bot.start(**{SUPERVISED: "1"})
            wait_until(lambda: is_waiting(bot), TIMEOUT_SECONDS, "the bot waits")

            wallet = sandbox.wallet
            save_credentials(tmp_path / ".env", WalletCredentials(wallet.user, wallet.signer, wallet.private_key))
            request_restart(tmp_path / "control.db", "first-command")
            assert bot.wait(STOPPED_WITHIN_SECONDS) == EXIT_RESTART

            bot.start(**{SUPERVISED: "1"})
            bot.wait_until_trading()
            assert bot.state("bot")["account"] == wallet.user

            request_restart(tmp_path / "control.db", "second-command")
            assert bot.wait(STOPPED_WITHIN_SECONDS) == EXIT_RESTART
            assert wallet.private_key.removeprefix("0x") not in bot.output
        finally:
            bot.kill()


def test_missing_key_without_a_launcher_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASTER_NETWORK=testnet\n", encoding="utf-8")
    bot = BotProcess(tmp_path, demo_settings())
    bot.start()
    assert bot.wait(TIMEOUT_SECONDS) == 2
    assert "run python main.py --setup" in bot.output
