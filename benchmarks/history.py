"""``python -m benchmarks.history FOLDER``: lists, statistics and the start of the bot with years of history."""

import argparse
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import Any

import requests
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from benchmarks.history_data import FILE, Scale, make_history
from src.database.db import open_reader, read_transaction
from src.database.models import StateRow
from src.sandbox.server import SandboxServer

ROOT = Path(__file__).parents[1]
ENDPOINTS = (
    "/api/health",
    "/api/account",
    "/api/positions",
    "/api/orders",
    "/api/liquidations?limit=400&hours=24",
    "/api/liquidations?limit=100&hours=43800&symbol=COIN001USDT",
    "/api/decisions?limit=100",
    "/api/decisions?limit=100&only_entries=true",
    "/api/decisions?limit=100&symbol=COIN002USDT",
    "/api/trades?limit=100&hours=168",
    "/api/trades?limit=1000&hours=43800",
    "/api/trades?limit=100&hours=43800&include_all=true&symbol=COIN001USDT",
    "/api/trades?limit=100&hours=43800&status=CANCELED",
    "/api/trades/40",
    "/api/chart?symbol=COIN001USDT",
    "/api/journal?limit=400&kind=alert,state,settings,command",
    "/api/journal?limit=400",
    "/api/stats?hours=24",
    "/api/stats?hours=720",
    "/api/stats?hours=17520",
    "/api/pnl/stats?days=1",
    "/api/pnl/stats?days=7",
    "/api/pnl/stats?days=365",
    "/api/pnl/symbols?days=7",
    "/api/pnl/symbols?days=365",
)
_GOAL_MS = 100
_PATIENCE_SECONDS = 20
"""How long one endpoint is measured at most."""
_WRITES_PER_SECOND = 200
_START_SECONDS = 180
_READ_CHUNK = 1 << 24
_DATABASE_PAGE_CACHE = ("", "-wal", "-shm")

_SYMBOL: dict[str, Any] = {
    "volume_threshold": 1_000_000,
    "leverage": 5,
    "trade_value_usdt": 40,
    "max_position_usdt": 500,
    "take_profit_pct": 5,
    "stop_loss_pct": 5,
}
WRITER = """
import sys, time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from src.database.db import open_writer
from src.database.repositories import Store
from src.domain.clock import SystemClock
from src.domain.decisions import Decision, Gate
from src.domain.enums import Side
from src.domain.market import Liquidation

clock, rate = SystemClock(), int(sys.argv[2])
store = Store(open_writer(Path(sys.argv[1])), clock)
each = Decimal(3)
while True:
    time.sleep(0.05)
    now = clock.now_ms()
    names = [f"COIN{number % 300:03}USDT" for number in range(rate // 20)]
    batch = [Liquidation(name, Side.SELL, each, each, each, each, now, now, now) for name in names]
    with store.transaction():
        rows = store.insert_liquidations(batch)
        store.record_decisions([
            (row, Decision(one.symbol, one.side, now, Gate.THRESHOLD, "volume below the threshold", {}, each, each))
            for row, one in list(zip(rows, batch))[:: 3]
        ])
        store.journal("liquidation", {"count": len(batch)})
"""


def measure_endpoints(address: str, rounds: int) -> dict[str, tuple[float, float, int]]:
    """Median and 95th percentile in milliseconds of each endpoint, and the size of its last response."""
    found = {}
    with requests.Session() as session:
        for path in ENDPOINTS:
            times: list[float] = []
            until = time.monotonic() + _PATIENCE_SECONDS
            while len(times) < 3 or (len(times) < rounds and time.monotonic() < until):
                started = time.perf_counter()
                response = session.get(address + path, timeout=_START_SECONDS)
                response.raise_for_status()
                times.append((time.perf_counter() - started) * 1000)
            cuts = quantiles(times, n=20, method="inclusive")
            found[path] = cuts[9], cuts[-1], len(response.content)
            print(f"  {cuts[9]:>9.1f} {cuts[-1]:>9.1f} ms {len(response.content):>9,} B  {path}", flush=True)
    return found


def measure_csv(address: str) -> tuple[float, int]:
    """Seconds and lines of trades.csv with everything in it."""
    started = time.perf_counter()
    path = "/api/trades.csv?hours=43800&include_all=true"
    with requests.get(address + path, stream=True, timeout=_START_SECONDS) as response:
        response.raise_for_status()
        lines = sum(chunk.count(b"\n") for chunk in response.iter_content(65_536))
    return time.perf_counter() - started, lines


@contextmanager
def dashboard(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The dashboard as a process: its address, and the process."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**_environment(), "PORT": str(port)}
    with (home / "dashboard.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "src/api/api_server.py", "--home", str(home)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(requests.ConnectionError):
                requests.get(address + "/api/account", timeout=60)
                break
            time.sleep(0.1)
        yield address, process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def busy_writer(path: Path) -> Iterator[None]:
    """A process that stores 200 liquidations a second as the bot does."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(_WRITES_PER_SECOND)], cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def megabytes(pid: int) -> float | None:
    """The proportional memory (PSS) of a process; None where /proc does not tell."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return None


def drop_from_cache(path: Path) -> bool:
    """Drop the pages of the database from the system's cache; False where that is not possible."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for suffix in _DATABASE_PAGE_CACHE:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            descriptor = os.open(companion, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
    return True


def read_into_cache(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(_READ_CHUNK):
            pass


def measure_start(home: Path, path: Path) -> tuple[float, float]:
    """Seconds from the start of the process until it has read the account, and until it trades; then stop it."""
    engine = open_reader(path)
    started, started_at = time.monotonic(), time.time_ns() // 1_000_000
    with (home / "bot.out").open("ab") as output:
        command = [sys.executable, "main.py", "--home", str(home), "--yes"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=_environment())
    protecting = active = 0.0
    try:
        while not active and time.monotonic() - started < _START_SECONDS and process.poll() is None:
            time.sleep(0.02)
            with suppress(OperationalError), read_transaction(engine) as connection:
                rows = {row.key: row for row in connection.execute(select(StateRow.__table__))}
            account, trading = rows.get("account"), rows.get("trading")
            if not protecting and account is not None and account.updated_at > started_at:
                protecting = time.monotonic() - started
            if protecting and trading is not None and trading.updated_at > started_at:
                active = time.monotonic() - started if trading.value["state"] == "ACTIVE" else 0.0
    finally:
        process.terminate()
        process.wait(30)
    if not active:
        raise RuntimeError(f"the bot did not start trading; its output is in {home / 'bot.out'}")
    return protecting, active


def measure_starts(home: Path, path: Path, rounds: int) -> None:
    with SandboxServer(home):
        (home / "settings.json").write_text(json.dumps(_settings(path, ["BTCUSDT"])), encoding="utf-8")
        for kind in ("warm", "cold"):
            for _ in range(rounds):
                if kind == "warm":
                    read_into_cache(path)
                elif not drop_from_cache(path):
                    print("  cold: this system cannot drop a file from its cache")
                    continue
                protecting, active = measure_start(home, path)
                print(f"  {kind}: account read after {protecting:.2f} s, ACTIVE after {active:.2f} s", flush=True)


def _settings(path: Path, symbols: Sequence[str]) -> dict[str, Any]:
    return {
        "globals": {"simulate_only": False, "db_path": str(path), "max_total_exposure_usdt": 10_000},
        "symbols": dict.fromkeys(symbols, _SYMBOL),
    }


def _environment() -> dict[str, str]:
    excluded = ("API_KEY", "API_SECRET", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_HOME")
    return {name: value for name, value in os.environ.items() if name not in excluded}


def measure_dashboard(home: Path, path: Path, rounds: int) -> bool:
    (home / "settings.json").write_text(json.dumps(_settings(path, ["COIN001USDT"])), encoding="utf-8")
    (home / ".env").write_text("HUNTER_SETUP=paper\n", encoding="utf-8")
    (home / ".env").chmod(0o600)
    with dashboard(home) as (address, process):
        print("quiet: median and 95th percentile")
        measure_endpoints(address, rounds)
        print(f"with {_WRITES_PER_SECOND} events a second")
        with busy_writer(path):
            found = measure_endpoints(address, rounds)
        seconds, lines = measure_csv(address)
        print(f"  trades.csv: {lines:,} lines in {seconds:.1f} s")
        print(f"  memory of the dashboard: {megabytes(process.pid) or 0:.0f} MB")
    return all(worst <= _GOAL_MS for _, worst, _ in found.values())


def main() -> int:
    """Returns 1 if an endpoint takes longer than its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("folder", type=Path, help=f"folder for the database; an existing {FILE} in it is used")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 5 million liquidations, about 3 GB (default 1)")
    parser.add_argument("--rounds", type=int, default=20, help="requests to each endpoint (default 20)")
    parser.add_argument("--only", choices=("dashboard", "start"), help="measure only this")
    arguments = parser.parse_args()
    home = arguments.folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    path = (arguments.folder / FILE).absolute()
    if not path.exists():
        make_history(arguments.folder, Scale(arguments.scale))
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT max(id) FROM liquidations").fetchone()[0]
    print(f"{path.stat().st_size / 1e9:.2f} GB, {rows:,} liquidations, {os.cpu_count()} processors")
    is_good = arguments.only == "start" or measure_dashboard(home, path, arguments.rounds)
    if arguments.only != "dashboard":
        print("start of the bot")
        measure_starts(home, path, 2)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
