"""From no key to a bot that trades: it waits, a key is saved, it ends to be started anew, and comes up with it."""

from pathlib import Path

import pytest

from src.core.operator.restart import EXIT_RESTART
from src.credentials.credentials import WalletCredentials
from src.credentials.stored_credentials import save_credentials
from src.database.control import CommandWriter, open_control
from src.domain.clock import SystemClock
from src.domain.commands import OperatorAction
from src.sandbox.server import SandboxServer
from src.settings.environment import SUPERVISED
from tests.system.harness import BotProcess, demo_settings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

TIMEOUT_SECONDS = 30
SECONDS_TO_END = 30


def request_restart(control: Path, nonce: str) -> None:
    """As the dashboard does after a save."""
    engine = open_control(control)
    CommandWriter(engine).add(OperatorAction.RESTART, nonce, SystemClock().now_ms())
    engine.dispose()


def is_waiting(bot: BotProcess) -> bool:
    return "waiting for setup" in bot.state("trading").get("reason", "")


def test_a_bot_without_a_key_waits_and_comes_up_with_the_one_that_is_saved(tmp_path: Path) -> None:
    with SandboxServer() as sandbox:
        hosts = f"ASTER_BASE_URL={sandbox.base_url}\nASTER_WS_URL={sandbox.ws_url}\nASTER_NETWORK=sandbox\n"
        (tmp_path / ".env").write_text(hosts, encoding="utf-8")
        bot = BotProcess(tmp_path, demo_settings())
        try:
            bot.start(**{SUPERVISED: "1"})
            wait_until(lambda: is_waiting(bot), TIMEOUT_SECONDS, "a bot that waits")

            wallet = sandbox.wallet
            save_credentials(tmp_path / ".env", WalletCredentials(wallet.user, wallet.signer, wallet.private_key))
            request_restart(tmp_path / "control.db", "the-first-wish")
            assert bot.wait(SECONDS_TO_END) == EXIT_RESTART

            bot.start(**{SUPERVISED: "1"})
            bot.wait_until_trading()
            assert bot.state("bot")["account"] == wallet.user

            request_restart(tmp_path / "control.db", "the-second-wish")
            assert bot.wait(SECONDS_TO_END) == EXIT_RESTART
            assert wallet.private_key.removeprefix("0x") not in bot.output
        finally:
            bot.kill()


def test_without_a_launcher_a_missing_key_is_an_error_that_names_the_set_up(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASTER_NETWORK=testnet\n", encoding="utf-8")
    bot = BotProcess(tmp_path, demo_settings())
    bot.start()
    assert bot.wait(TIMEOUT_SECONDS) == 2
    assert "run python main.py --setup" in bot.output
