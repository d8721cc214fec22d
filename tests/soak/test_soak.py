"""A synthetic market at twenty times its speed with a fault every few seconds: no resource grows, no invariant fails.

The market runs twenty times as fast: its prices, its liquidations and thus entries and exits. The bot's clock, its
checks, reconciliations and timeouts, and the faults run in real time. Bot and dashboard are real processes; the checks
use the sandbox's records. SOAK_SECONDS sets the duration and SOAK_SCHEME (v1 or v3) the API version, random by default.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from random import Random

import psutil
import pytest

from src.domain.orders import Fill
from src.domain.positions import PositionKey
from src.sandbox.faults import FaultKind
from src.sandbox.market.listings import load_listings
from src.sandbox.market.scenario import Scenario
from src.sandbox.market.source import MarketSource
from src.sandbox.market.synthetic import SyntheticSource
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.conftest import SOAK_SCHEME
from tests.sandbox.credentials import canaries_of
from tests.soak.fast_forward import FastForwardSource, a_fault
from tests.soak.metrics import Dashboard, ProcessMetrics
from tests.system.harness import BotProcess, demo_settings, sandbox_net, sandbox_positions, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]

SECONDS = int(os.environ.get("SOAK_SECONDS", "360"))
SPEED, SEED = 20, 20_260
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MAX_UNPROTECTED_MS = 40_000
"""A lost fill is found by the next reconciliation after half a minute (F22), and then protected (I8)."""
MAX_WAL_BYTES = 8_000_000
CONSISTENT_WITHIN_S = 60


class Soak:
    """Sandbox, bot and dashboard in one home directory."""

    def __init__(self, home: Path, scheme: ApiVersion) -> None:
        self.home = home
        self.sources: list[FastForwardSource] = []
        listings = {symbol: listing for symbol, listing in load_listings().items() if symbol in SYMBOLS}
        self.server = SandboxServer(home, Scenario(listings, self._market), scheme=scheme)
        self.server.start()
        settings = demo_settings({"cooldown_sec": 2}, volume_threshold=500)
        settings["symbols"] = {symbol: settings["symbols"][symbol] for symbol in SYMBOLS}
        self.bot = BotProcess(home, settings)
        self.bot.start()
        self.bot.wait_until_trading()
        self.dashboard = Dashboard(home)
        self.dashboard.open()
        bot, page = psutil.Process(self.bot.pid), psutil.Process(self.dashboard.process.pid)
        self.metrics = [ProcessMetrics("bot", bot), ProcessMetrics("dashboard", page)]
        self.injected: list[FaultKind] = []
        self.largest_wal = 0

    def _market(self, started_at: int) -> MarketSource:
        listings = [load_listings()[symbol] for symbol in SYMBOLS]
        self.sources.append(FastForwardSource(SyntheticSource(listings, started_at, SEED), started_at, SPEED))
        return self.sources[-1]

    def run(self, seconds: int) -> None:
        """Take a sample each second, inject a fault every two to five, request all pages every ten."""
        random, started = Random(SEED), time.monotonic()
        fault_at = pages_at = started + 2
        tick = started
        while (now := time.monotonic()) < started + seconds:
            if now >= fault_at:
                fault_at = now + random.uniform(2, 5)
                fault = a_fault(random)
                self.injected.append(fault.kind)
                self.server.exchange.inject(fault)
            if now >= pages_at:
                pages_at = now + 10
                self.check_pages()
            self._measure()
            tick += 1
            time.sleep(max(0.0, tick - time.monotonic()))  # the sampling interval

    def _measure(self) -> None:
        for each in self.metrics:
            each.sample()
        for path in self.home.glob("*.db-wal"):
            with suppress(FileNotFoundError):  # the last connection that closes removes the WAL
                self.largest_wal = max(self.largest_wal, path.stat().st_size)

    def check_pages(self) -> None:
        canaries = canaries_of(self.server)
        for route, response in self.dashboard.pages().items():
            assert response.ok, (route, response.status_code, response.text[:200])
            assert not canaries.are_in(response.content), route
            assert not canaries.are_in(str(response.headers)), route

    def settle(self) -> None:
        """Clear the faults and wait until the records of bot and sandbox agree."""
        self.server.exchange.clear_faults()

        def agree() -> bool:
            totals = self.bot.totals()
            return totals.net == sandbox_net(self.server) and totals.positions == sandbox_positions(self.server)

        wait_until(agree, CONSISTENT_WITHIN_S, f"{self.bot.totals()} {sandbox_positions(self.server)}")

    def close(self) -> None:
        self.dashboard.close()
        self.bot.kill()
        self.server.stop()


@pytest.fixture(params=[ApiVersion(os.environ[SOAK_SCHEME])], ids=str)
def soak(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Soak]:
    soak = Soak(tmp_path, request.param)
    yield soak
    soak.close()


def flips(server: SandboxServer) -> list[Fill]:
    """Fills that reversed a position."""
    held: dict[PositionKey, Decimal] = defaultdict(Decimal)
    reversals = []
    with server.exchange.lock:
        fills = [fill for symbol in SYMBOLS for fill in server.exchange.engine.fills(symbol)]
    for fill in fills:
        key = fill.symbol, fill.position_side
        before, held[key] = held[key], held[key] + fill.side.sign * fill.quantity
        if before * held[key] < 0:
            reversals.append(fill)
    return reversals


def processes_with_secrets(server: SandboxServer) -> list[list[str]]:
    """Command lines of any process that contain a secret."""
    canaries = canaries_of(server)
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [line for line in lines if canaries.are_in(" ".join(line))]


def test_two_hours_of_faults_leak_nothing(soak: Soak) -> None:
    soak.run(SECONDS)
    soak.settle()
    soak.check_pages()

    exchange, records = soak.server.exchange, soak.server.exchange.account.request_log
    unprotected_ms = exchange.protection.longest_ms(exchange.now_ms())
    with exchange.lock:
        fills = sum(len(exchange.engine.fills(symbol)) for symbol in SYMBOLS)
    print(*(each.describe() for each in soak.metrics), sep="\n")
    print(f"market {soak.sources[0].played_ms // 60_000} min, faults {len(soak.injected)}")
    print(f"orders {len(records.attempts)}, fills {fills}, events on the page {soak.dashboard.events}")
    print(f"largest WAL {soak.largest_wal / 1e6:.2f} MB, longest without a full stop {unprotected_ms} ms")
    assert fills > SECONDS / 10, "too few fills"
    assert soak.dashboard.events > fills
    assert [growth for each in soak.metrics for growth in each.growth()] == []
    assert soak.largest_wal < MAX_WAL_BYTES
    assert set(records.times_accepted().values()) == {1}
    assert records.duplicates() == {}
    assert unprotected_ms < MAX_UNPROTECTED_MS
    assert flips(soak.server) == []
    assert processes_with_secrets(soak.server) == []
    assert soak.bot.stop() == 0
    assert canaries_of(soak.server).files_under(soak.home) == {".env"}
