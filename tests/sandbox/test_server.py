"""The sandbox as a program: replay through sockets, key file, bad input, signals."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

from src.domain.clock import ManualClock
from src.domain.errors import ConfigError
from src.sandbox.account.keys import issue_keys
from src.sandbox.options import parse_options, replay_scenario
from src.sandbox.server import SandboxServer
from src.settings.config import WalletCredentials, load_environment
from src.utils.auth import ApiVersion
from tests.sandbox.client import Client, Subscriber
from tests.sandbox.market.test_recording import HEADER, written
from tests.sandbox.streams.test_server import wait_for_subscription

ROOT = Path(__file__).parents[2]


def recording(path: Path) -> Path:
    rows = [
        f"{at},{symbol},SELL,LIMIT,IOC,2,0.9,1.0,FILLED,2,2" for at in (0, 100, 300) for symbol in ("AUSDT", "币USDT")
    ]
    return written(path, *rows, "9000,BTCUSDT,BUY,LIMIT,IOC,0.5,90000,91000,FILLED,0.5,0.5")


def test_replay_publishes_quotes_before_liquidations(tmp_path: Path) -> None:
    scenario = replay_scenario(recording(tmp_path / "a.csv"), Decimal(20), waits_for_subscriber=True)
    with (
        SandboxServer(scenario=scenario) as server,
        Subscriber(server, "/stream?streams=!forceOrder@arr/!bookTicker") as stream,
    ):
        seen = [stream.until("forceOrder")["data"]["o"]]
        while seen[-1]["s"] != "BTCUSDT":
            seen.append(stream.until("forceOrder")["data"]["o"])
        ask = Client(server).public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()["askPrice"]
        progress = server.exchange.progress
        now = server.exchange.now_ms()

    assert {each["s"] for each in seen} >= {"币USDT", "BTCUSDT"}
    assert abs(Decimal(ask) - 91_000) < 100
    assert progress is not None
    assert (progress.rows, progress.pushed, progress.suppressed) == (7, 5, 2)
    assert all(0 <= now - each["T"] < 60_000 for each in seen)


def test_replay_waits_for_its_first_subscriber(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000)
    scenario = replay_scenario(recording(tmp_path / "a.csv"), Decimal(1000), waits_for_subscriber=True)
    with SandboxServer(scenario=scenario, clock=clock) as server:
        clock.advance(60_000)
        server.exchange.advance()
        waiting = server.exchange.progress
        with Subscriber(server, "/ws/!forceOrder@arr") as liquidations:
            wait_for_subscription(server, "!forceOrder@arr")
            server.exchange.advance()
            clock.advance(60_000)
            server.exchange.advance()
            first = liquidations.until("forceOrder")

    assert waiting is None
    assert first["o"]["s"] == "AUSDT"


def test_market_continues_after_the_replay(tmp_path: Path) -> None:
    scenario = replay_scenario(recording(tmp_path / "a.csv"), Decimal(1000), waits_for_subscriber=True)
    with (
        SandboxServer(scenario=scenario) as server,
        Subscriber(server, "/ws/btcusdt@bookTicker") as stream,
        Subscriber(server, "/ws/!forceOrder@arr") as liquidations,
    ):
        liquidations.until("forceOrder")
        while server.exchange.progress is None or not server.exchange.progress.is_finished:
            stream.next()
        later = [stream.next()["b"] for _ in range(3)]
        status = requests.get(f"{server.base_url}/sandbox/status", timeout=20).json()

    assert len(set(later)) > 1
    assert status["replay"]["is_finished"] is True


def test_price_follows_recorded_candles(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.csv").write_text(
        "open_time_ms,open,high,low,close,volume\n0,1,1,1,1,1\n60000,50000,50000,50000,50000,1\n",
        encoding="utf-8",
    )
    file = written(tmp_path / "a.csv", "90000,BTCUSDT,SELL,,,1,,49000,,,")
    scenario = replay_scenario(file, Decimal(1000), tmp_path, waits_for_subscriber=True)
    with (
        SandboxServer(scenario=scenario, clock=ManualClock(1_700_000_000_000)) as server,
        Subscriber(server, "/ws/!forceOrder@arr") as liquidations,
    ):
        wait_for_subscription(server, "!forceOrder@arr")
        server.exchange.advance()
        liquidations.until("forceOrder")
        price = Client(server).public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json()["bidPrice"]
        candles = Client(server).public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m").json()

    assert abs(Decimal(price) - 50_000) < 10
    assert candles[0][4] == "1"


def test_env_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with SandboxServer(tmp_path / "home") as server:
        file = tmp_path / "home" / ".env"
        lines = dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())

    assert lines == {
        "API_KEY": server.api_key,
        "API_SECRET": server.api_secret,
        "ASTER_BASE_URL": server.base_url,
        "ASTER_WS_URL": server.ws_url,
        "ASTER_NETWORK": "sandbox",
    }
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600


def test_representation_hides_the_keys() -> None:
    keys = issue_keys()
    assert f"{keys} {keys.wallet}" == "Keys(***) Wallet(***)"


@pytest.mark.parametrize(("arguments", "expected"), [([], ApiVersion.V1), (["--scheme", "v3"], ApiVersion.V3)])
def test_command_line_selects_the_api_version(arguments: list[str], expected: ApiVersion) -> None:
    assert parse_options(arguments).scheme is expected


def test_env_file_holds_the_wallet_for_v3(tmp_path: Path) -> None:
    with SandboxServer(tmp_path, scheme=ApiVersion.V3) as server:
        credentials = load_environment(tmp_path, {}).credentials

    assert credentials == WalletCredentials(server.wallet.user, server.wallet.signer, server.wallet.private_key)


@pytest.mark.parametrize("which", ["rest_port", "ws_port"])
def test_busy_port_is_reported(which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"rest_port": 0, "ws_port": 0, which: port}
        with pytest.raises(ConfigError, match=f"Port {port} is in use"):
            SandboxServer(rest_port=ports["rest_port"], ws_port=ports["ws_port"]).start()


def test_stop_closes_open_connections() -> None:
    with SandboxServer() as server:
        client = Client(server)
        client.public("/fapi/v1/ping")
    with pytest.raises(requests.ConnectionError):
        client.public("/fapi/v1/ping")


@contextmanager
def program(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    running = subprocess.Popen(
        [sys.executable, "-m", "src.sandbox.server", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    deadline = threading.Timer(90, running.kill)  # so that the test does not wait forever for a missing line
    deadline.start()
    try:
        yield running
    finally:
        deadline.cancel()
        running.kill()
        running.wait(30)
        for pipe in (running.stdout, running.stderr):
            if pipe is not None:
                pipe.close()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_program_replays_a_recording_and_stops_on_a_signal(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.csv")
    with program("--home", str(tmp_path), "--replay", str(file), "--speed", "100") as running:
        assert running.stdout is not None
        ready = running.stdout.readline()
        with connect(f"{ready.split('ws=')[1].strip()}/ws/!forceOrder@arr"):
            line = running.stdout.readline()
            while line.startswith("replay ") and "finished" not in line:
                line = running.stdout.readline()
        address = ready.split("rest=")[1].split()[0]
        served = requests.get(f"{address}/fapi/v1/ping", timeout=20).status_code
        running.send_signal(signal.SIGTERM)
        code = running.wait(20)

    assert ready.startswith("sandbox ready rest=http://127.0.0.1:")
    assert line == "replay finished rows=7 pushed=5 suppressed=2\n"
    assert (served, code) == (200, 0)


@pytest.mark.slow
def test_invalid_recording_is_reported_in_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}\n1,BTCUSDT,UP,,,1,1,1,,,\n", encoding="utf-8")
    with program("--home", str(tmp_path), "--replay", str(bad)) as running:
        _, stderr = running.communicate(timeout=90)

    assert running.returncode == 2
    assert stderr == f"{bad} line 2: side is 'UP', not BUY or SELL\n"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--speed", "0"), ("--rest-port", "x"), ("--klines", "somewhere")])
def test_invalid_options_exit_with_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with program("--home", str(tmp_path), *arguments) as running:
        _, stderr = running.communicate(timeout=90)

    assert running.returncode == 2
    assert "error" in stderr
