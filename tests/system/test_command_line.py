"""halt, status, flatten, resume and check as separate processes, next to a trading bot and without a dashboard."""

import subprocess
import sys
from pathlib import Path

import pytest

from src.sandbox.market.listings import load_listings
from src.sandbox.market.scenario import Scenario
from src.sandbox.market.synthetic import SyntheticSource
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.system.conftest import Start
from tests.system.harness import ROOT, BotProcess, demo_settings, sandbox_positions, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

SENT_WITHIN_MS = 1_000  # I24: checked when entries arrive
MIN_LIQUIDATIONS = 10


def a_busy_market() -> Scenario:
    listings = load_listings()
    return Scenario(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))


def run_cli(home: Path, option: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "main.py", "--home", str(home), f"--{option}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)


def trading_state(bot: BotProcess) -> str:
    return str(bot.state("trading")["state"])


def entry_times(server: SandboxServer) -> list[int]:
    """Times at which entries arrived, on the exchange's clock."""
    with server.exchange.lock:
        received = list(server.exchange.account.request_log.received)
    return [each.at for each in received if each.request.client_order_id.endswith("-e")]


def test_bot_executes_commands_of_the_command_line(start: Start, tmp_path: Path) -> None:
    server, bot = start(a_busy_market(), demo_settings({"cooldown_sec": 1}, volume_threshold=500))
    wait_until(lambda: bool(sandbox_positions(server)), 60, "a first position")
    assert run_cli(tmp_path, "status").returncode == 0

    assert run_cli(tmp_path, "halt").returncode == 0
    halted_at = (tmp_path / "HALT").stat().st_mtime_ns // 1_000_000
    wait_until(lambda: trading_state(bot) == "HALTED", 10, "the halt is noticed")
    entries, liquidations = len(bot.orders("ENTRY")), bot.totals().liquidations
    wait_until(lambda: bot.totals().liquidations >= liquidations + MIN_LIQUIDATIONS, 60, "more liquidations")
    assert len(bot.orders("ENTRY")) == entries
    assert [at for at in entry_times(server) if at > halted_at + SENT_WITHIN_MS] == []
    status = run_cli(tmp_path, "status")
    assert status.returncode == 1
    assert "trading: HALTED, halted by the file HALT" in status.stdout

    assert run_cli(tmp_path, "flatten").returncode == 0
    wait_until(lambda: not sandbox_positions(server), 30, "all positions closed")
    wait_until(lambda: not any((tmp_path / "commands").iterdir()), 15, "the request removed")

    assert run_cli(tmp_path, "resume").returncode == 0
    wait_until(lambda: trading_state(bot) == "ACTIVE", 30, bot.output)
    wait_until(lambda: len(bot.orders("ENTRY")) > entries, 60, "entries again")
    assert bot.stop() == 0
    assert "NOT RUNNING" in run_cli(tmp_path, "status").stdout


@pytest.mark.parametrize("scheme", ApiVersion)
def test_check_does_not_disturb_a_running_bot(start: Start, tmp_path: Path, scheme: ApiVersion) -> None:
    server, bot = start(a_busy_market(), demo_settings({"cooldown_sec": 1}, volume_threshold=500), scheme)
    wait_until(lambda: bool(sandbox_positions(server)), 60, "a first position")
    checks = [run_cli(tmp_path, "check") for _ in range(3)]
    assert [each.returncode for each in checks] == [0, 0, 0], checks[0].stdout
    assert f"running (process {bot.pid}): ACTIVE" in checks[0].stdout
    assert "\x1b" not in checks[0].stdout
    wait_until(lambda: trading_state(bot) == "ACTIVE", 15, "trading is active")
    assert "rejects this account" not in bot.output  # for example because of a nonce of the other process
    assert max(server.exchange.account.request_log.times_received().values()) == 1

    run_cli(tmp_path, "halt")
    halted = run_cli(tmp_path, "check")
    assert halted.returncode == 1
    assert "fail  bot: the file" in halted.stdout and "--resume" in halted.stdout
    assert bot.stop() == 0
