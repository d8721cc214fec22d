"""A burst of liquidations through parser, queue, trader and database, beside a floor that stores the same rows.

Of 300 symbols ten are configured, and three of ten liquidations are theirs: each of these gets its stored verdict.
``python -m benchmarks.burst bot|floor COUNT FOLDER`` runs one side in its own process and prints JSON.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.exchange import background_symbol, liquidation_frame
from benchmarks.programs import ROOT, settings_document
from src.bot.threads import tune_interpreter
from src.core.event_queue import MAX_LIQUIDATIONS, EventQueue
from src.core.streamer import LiquidationStreamer
from src.database.open_database import open_database
from src.domain.enums import MarginType, PositionSide
from src.exchange.wire import read_json
from src.settings.config import parse_settings
from tests.builders import NOW, a_report
from tests.core.harness import Harness

_BATCH = 500
_WAIT_SECONDS = 0.001
_DECISION = (
    "INSERT INTO decisions (liquidation_id, symbol, liquidation_side, decided_at, gate, reason, numbers, "
    "window_volume, threshold, client_order_id) "
    "VALUES (?, ?, 'SELL', ?, 'threshold', ?, ?, '3982.00', '1000000000', NULL)"
)
_LIQUIDATION = (
    "INSERT INTO liquidations (id, symbol, side, quantity, price, average_price, filled_quantity, usdt_value, "
    "order_type, time_in_force, status, traded_at, event_at, received_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def measure(program: str, count: int, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.burst", program, str(count), str(folder)]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


def _frames(count: int) -> list[bytes]:
    return [liquidation_frame(background_symbol(number), NOW) for number in range(count)]


def _run_bot(frames: list[bytes], path: Path) -> dict[str, float]:
    document = settings_document()
    for each in document["symbols"].values():
        each["volume_threshold"] = 1_000_000_000
    crossed = {"position_side": PositionSide.BOTH, "leverage": 5, "margin_type": MarginType.CROSSED}
    reports = tuple(a_report(symbol=symbol, **crossed) for symbol in document["symbols"])
    harness = Harness(path, parse_settings(document)).connect(positions=reports)
    queue = EventQueue()
    handler = LiquidationStreamer("", lambda: harness.settings.symbols, queue.put, harness.clock).handler

    def receive() -> None:
        for frame in frames:
            # A socket holds back what is not read: nothing may be dropped for want of speed.
            while queue.stats.waiting > MAX_LIQUIDATIONS - _BATCH:
                time.sleep(_WAIT_SECONDS)
            handler.on_message(read_json(frame))
        queue.close()

    tune_interpreter()

    def run() -> None:
        reader = threading.Thread(target=receive)
        reader.start()
        harness.trader.run(queue, lambda _: None, lambda: None)
        reader.join()

    result = _timed(run)
    with sqlite3.connect(path) as connection:
        gates = dict(connection.execute("SELECT gate, count(*) FROM decisions GROUP BY gate").fetchall())
        stored = connection.execute("SELECT count(*) FROM liquidations").fetchone()[0]
    harness.close()
    return result | {"stored": stored, "decided": gates.get("threshold", 0), "dropped": queue.stats.dropped}


def _run_floor(frames: list[bytes], path: Path) -> dict[str, float]:
    open_database(path, NOW).engine.dispose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    watched = set(settings_document()["symbols"])

    def run() -> None:
        for start in range(0, len(frames), _BATCH):
            orders = [json.loads(frame)["data"] for frame in frames[start : start + _BATCH]]
            rows, decisions = [], []
            for number, event in enumerate(orders, start + 1):
                order = event["o"]
                notional = f"{float(order['z']) * float(order['ap']):.2f}"
                values = (order["q"], order["p"], order["ap"], order["z"], notional, order["o"], order["f"], order["X"])
                rows.append((number, order["s"], order["S"], *values, order["T"], event["E"], event["E"]))
                if order["s"] in watched:
                    decisions.append((number, order["s"], NOW, "the volume is below the threshold", '{"volume": "1"}'))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_LIQUIDATION, rows)
            connection.executemany(_DECISION, decisions)
            connection.execute("COMMIT")

    result = _timed(run)
    stored, decided = (connection.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in _TABLES)
    connection.close()
    return result | {"stored": stored, "decided": decided, "dropped": 0}


_TABLES = ("liquidations", "decisions")
_PROGRAMS: dict[str, Callable[[list[bytes], Path], dict[str, float]]] = {"bot": _run_bot, "floor": _run_floor}


def _timed(run: Callable[[], Any]) -> dict[str, float]:
    process = psutil.Process()
    before = process.memory_info().rss
    started, cpu_started = time.perf_counter(), time.process_time()
    run()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "grown_mb": (process.memory_info().rss - before) / 1e6,
    }


def main() -> None:
    program, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as folder:
        print(json.dumps(_PROGRAMS[program](_frames(count), Path(folder) / "bot.db")))


if __name__ == "__main__":
    main()
