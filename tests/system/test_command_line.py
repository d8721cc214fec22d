"""halt, status, flatten and resume by processes of their own, beside a bot that trades and without any dashboard."""

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

SENT_WITHIN_MS = 1_000  # I24: judged where entries arrive
FEWEST_LIQUIDATIONS = 10


def a_busy_market() -> Scenario:
    listings = load_listings()
    return Scenario(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))


def run_cli(home: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "main.py", "--home", str(home), f"--{arguments}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)


def trading_state(bot: BotProcess) -> str:
    return str(bot.state("trading")["state"])


def entered(server: SandboxServer) -> list[int]:
    """When each entry came to the exchange, on its clock."""
    with server.exchange.lock:
        received = list(server.exchange.account.request_log.received)
    return [each.at for each in received if each.request.client_order_id.endswith("-e")]


def test_a_bot_obeys_the_command_line_alone(start: Start, tmp_path: Path) -> None:
    server, bot = start(a_busy_market(), demo_settings({"cooldown_sec": 1}, volume_threshold=500))
    wait_until(lambda: bool(sandbox_positions(server)), 60, "a first position")
    assert run_cli(tmp_path, "status").returncode == 0

    assert run_cli(tmp_path, "halt").returncode == 0
    halted_at = (tmp_path / "HALT").stat().st_mtime_ns // 1_000_000
    wait_until(lambda: trading_state(bot) == "HALTED", 10, "the halt noticed")
    entries, seen = len(bot.orders("ENTRY")), bot.totals().liquidations
    wait_until(lambda: bot.totals().liquidations >= seen + FEWEST_LIQUIDATIONS, 60, "a market that goes on")
    assert len(bot.orders("ENTRY")) == entries
    assert [at for at in entered(server) if at > halted_at + SENT_WITHIN_MS] == []
    status = run_cli(tmp_path, "status")
    assert status.returncode == 1
    assert "trading: HALTED, halted by the file HALT" in status.stdout

    assert run_cli(tmp_path, "flatten").returncode == 0
    wait_until(lambda: not sandbox_positions(server), 30, "everything closed")
    wait_until(lambda: not any((tmp_path / "commands").iterdir()), 15, "the request removed")

    assert run_cli(tmp_path, "resume").returncode == 0
    wait_until(lambda: trading_state(bot) == "ACTIVE", 30, bot.output)
    wait_until(lambda: len(bot.orders("ENTRY")) > entries, 60, "entries again")
    assert bot.stop() == 0
    assert "NOT RUNNING" in run_cli(tmp_path, "status").stdout


@pytest.mark.parametrize("scheme", ApiVersion)
def test_the_examination_disturbs_no_running_bot(start: Start, tmp_path: Path, scheme: ApiVersion) -> None:
    server, bot = start(a_busy_market(), demo_settings({"cooldown_sec": 1}, volume_threshold=500), scheme)
    wait_until(lambda: bool(sandbox_positions(server)), 60, "a first position")
    found = [run_cli(tmp_path, "check") for _ in range(3)]
    assert [each.returncode for each in found] == [0, 0, 0], found[0].stdout
    assert f"running (process {bot.pid}): ACTIVE" in found[0].stdout
    assert "\x1b" not in found[0].stdout
    wait_until(lambda: trading_state(bot) == "ACTIVE", 15, "it trades")
    assert "rejects this account" not in bot.output  # by a nonce of the other process, for example
    assert max(server.exchange.account.request_log.times_received().values()) == 1

    run_cli(tmp_path, "halt")
    halted = run_cli(tmp_path, "check")
    assert halted.returncode == 1
    assert "fail  bot: the file" in halted.stdout and "--resume" in halted.stdout
    assert bot.stop() == 0
