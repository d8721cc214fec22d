"""Time from a liquidation to the order at the exchange: the bot and a minimal baseline program, alternating."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from sqlalchemy.exc import OperationalError

from src.database.db import open_reader, read_transaction
from src.database.models import StateRow
from src.domain.enums import Side
from src.domain.orders import OrderRequest
from src.sandbox.account.limits import RequestLimits
from src.sandbox.server import SandboxServer

ROOT = Path(__file__).parents[1]
BOT_SYMBOL, BASELINE_SYMBOL = "BTCUSDT", "ETHUSDT"
MAX_RATIO = 3.0
MAX_DISTURBED_SHARE = 0.02
_START_SECONDS = 30
_ORDER_SECONDS = 5
_BETWEEN_EVENTS_SECONDS = 0.05
_QUOTE_AHEAD_SECONDS = 0.03

_SETTINGS: dict[str, Any] = {
    "globals": {
        "simulate_only": False,
        "db_path": "bot.db",
        "volume_window_sec": 60,
        "cooldown_sec": 0,
        "hedge_mode": False,
        "order_ttl_seconds": 3600,
        "max_open_orders_per_symbol": 199,
        "max_total_exposure_usdt": 100_000,
    },
    "symbols": {
        BOT_SYMBOL: {
            "volume_threshold": 1,
            "leverage": 5,
            "margin_type": "CROSSED",
            "trade_value_usdt": 40,
            "max_position_usdt": 50_000,
            "take_profit_pct": 5,
            "stop_loss_pct": 5,
        }
    },
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of the bot and of the baseline, and how often another request preceded the order."""

    bot_ms: list[float]
    baseline_ms: list[float]
    disturbed: int
    """Events with another request of the bot between the event and its order."""

    @property
    def ratio(self) -> float:
        return median(self.bot_ms) / median(self.baseline_ms)

    @property
    def is_good(self) -> bool:
        return self.ratio <= MAX_RATIO and self.disturbed <= len(self.bot_ms) * MAX_DISTURBED_SHARE

    def report(self) -> str:
        return (
            f"  baseline p50 {median(self.baseline_ms):.2f} ms, p95 {_p95(self.baseline_ms):.2f} ms\n"
            f"  bot      p50 {median(self.bot_ms):.2f} ms, p95 {_p95(self.bot_ms):.2f} ms\n"
            f"  p50 ratio {self.ratio:.2f} (bound {MAX_RATIO})\n"
            f"  events with another request before their order: {self.disturbed} of {len(self.bot_ms)} "
            f"(the snapshot every 30 s may precede one in a hundred)"
        )


class _CountedLimits(RequestLimits):
    """The exchange's limits; also counts requests."""

    requests = 0

    def use_weight(self, weight: int, now_ms: int) -> None:
        self.requests += 1
        super().use_weight(weight, now_ms)


class _OrderTimer:
    """Records when the next order of a symbol arrives, and how many requests preceded it."""

    def __init__(self, server: SandboxServer) -> None:
        self._server = server
        self._arrived = threading.Condition()
        self._at: dict[str, int] = {}
        self.disturbed = 0
        self._limits = server.exchange.limits = _CountedLimits()
        records = server.exchange.account.request_log
        receive = records.record

        def timed(request: OrderRequest, at: int, code: int | None = None) -> None:
            arrived_at = time.perf_counter_ns()
            receive(request, at, code)
            with self._arrived:
                self._at[request.symbol] = arrived_at
                self._arrived.notify_all()

        records.record = timed  # type: ignore[method-assign]

    def measure(self, symbol: str) -> float:
        """Emit one liquidation and wait for its order; returns milliseconds."""
        exchange = self._server.exchange
        price = exchange.market[symbol].last_price
        exchange.move(symbol, price)
        time.sleep(_QUOTE_AHEAD_SECONDS)
        with self._arrived:
            self._at.pop(symbol, None)
            self._limits.requests = 0
        emitted_at = time.perf_counter_ns()
        exchange.liquidate(symbol, Side.SELL, Decimal(2), price)
        with self._arrived:
            if not self._arrived.wait_for(lambda: symbol in self._at, _ORDER_SECONDS):
                raise RuntimeError(f"no order for {symbol} within {_ORDER_SECONDS} s")
            self.disturbed += symbol == BOT_SYMBOL and self._limits.requests > 1
            return (self._at[symbol] - emitted_at) / 1e6


def measure_latency(events: int) -> Latency:
    """Run the sandbox, the baseline and the bot; alternate between the last two."""
    with tempfile.TemporaryDirectory() as folder, SandboxServer(Path(folder)) as server:
        (Path(folder) / "settings.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
        timer = _OrderTimer(server)
        with _baseline(server), _bot(Path(folder)):
            for _ in range(5):
                timer.measure(BASELINE_SYMBOL)
                timer.measure(BOT_SYMBOL)
            timer.disturbed = 0
            bot_ms, baseline_ms = [], []
            for _ in range(events):
                baseline_ms.append(timer.measure(BASELINE_SYMBOL))
                bot_ms.append(timer.measure(BOT_SYMBOL))
                time.sleep(_BETWEEN_EVENTS_SECONDS)
            _cancel_all(server)
    return Latency(bot_ms, baseline_ms, timer.disturbed)


def _cancel_all(server: SandboxServer) -> None:
    with server.exchange.lock:
        for order in server.exchange.engine.open_orders():
            server.exchange.engine.cancel(order.symbol, server.exchange.now_ms(), order_id=order.order_id)


@contextmanager
def _baseline(server: SandboxServer) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.baseline", server.base_url, server.ws_url, BASELINE_SYMBOL]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the baseline program has no pipes")
    try:
        process.stdin.write(f"{server.api_key} {server.api_secret}\n")
        process.stdin.flush()
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _bot(home: Path) -> Iterator[None]:
    command = [sys.executable, "main.py", "--home", str(home)]
    with (home / "bot.out").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=_environment())
        try:
            _wait_until_trading(home)
            yield
        finally:
            process.terminate()
            process.wait(10)


def _environment() -> dict[str, str]:
    excluded = ("API_KEY", "API_SECRET", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_HOME")
    return {name: value for name, value in os.environ.items() if name not in excluded}


def _wait_until_trading(home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    engine = open_reader(home / "bot.db")
    while time.monotonic() < deadline:
        time.sleep(0.1)
        try:
            with read_transaction(engine) as connection:
                row = connection.execute(StateRow.__table__.select().where(StateRow.key == "trading")).first()
        except OperationalError:
            continue
        if row is not None and row.value["state"] == "ACTIVE":
            return
    raise RuntimeError(f"the bot did not start trading; its output:\n{(home / 'bot.out').read_text(encoding='utf-8')}")


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]
