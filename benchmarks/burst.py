"""Sends a burst of liquidations through the trader and its database; counts losses and events per second."""

import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from src.core.context import TraderContext
from src.core.event_queue import EventQueue
from src.core.events import ExchangeHealth
from src.core.health.status import BotInfo
from src.core.trader import Trader
from src.database.db import open_reader, read_transaction
from src.database.models import DecisionRow, LiquidationRow
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import SystemClock
from src.domain.enums import Side
from src.domain.market import Liquidation
from src.sandbox.market.listings import load_listings
from src.settings.config import Settings, parse_settings

MIN_RATE = 5_000


@dataclass(frozen=True, slots=True)
class Burst:
    """Result of a burst."""

    pushed: int
    stored: int
    decided: int
    seconds: float
    baseline_seconds: float
    """Time to only add up the same numbers."""

    @property
    def rate(self) -> float:
        return self.pushed / self.seconds

    @property
    def is_good(self) -> bool:
        return self.stored == self.decided == self.pushed and self.rate >= MIN_RATE

    def report(self) -> str:
        return (
            f"burst of {self.pushed}: {self.stored} stored, {self.decided} decided, {self.rate:.0f} per second "
            f"(minimum {MIN_RATE}), {self.seconds / self.baseline_seconds:.0f} × the time to add them up"
        )


def measure_burst(count: int) -> Burst:
    """Queue all events at once, then run the trader's loop until its queue is empty."""
    listings = load_listings()
    instruments = {symbol: listing.instrument for symbol, listing in listings.items()}
    events = _liquidations(sorted(instruments), count)
    started = time.perf_counter()
    sum((each.notional for each in events), Decimal(0))
    baseline_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bot.db"
        clock = SystemClock()
        database = open_database(path, clock.now_ms())
        context = TraderContext(
            _settings(sorted(instruments)), instruments, Store(database.engine, clock), clock, Random(1).randrange, True
        )
        trader = Trader(context, BotInfo("benchmark", 0, clock.now_ms(), "sandbox", True), ExchangeHealth)
        trader.restore()
        event_queue = EventQueue()
        started = time.perf_counter()
        for event in events:
            event_queue.put(event)
        event_queue.close()
        trader.run(event_queue, lambda _: None, lambda: None)
        seconds = time.perf_counter() - started
        with read_transaction(open_reader(path)) as connection:
            stored = connection.scalar(select(func.count()).select_from(LiquidationRow)) or 0
            decided = connection.scalar(select(func.count()).select_from(DecisionRow)) or 0
        database.engine.dispose()
    return Burst(count, stored, decided, seconds, baseline_seconds)


def _liquidations(symbols: list[str], count: int) -> list[Liquidation]:
    """Liquidations of all symbols with realistic sizes: a median near 200 USDT and a long tail."""
    random, now_ms = Random(7), SystemClock().now_ms()
    liquidations = []
    for _ in range(count):
        price = Decimal(random.randrange(90_000, 110_000)) / 1000
        quantity = Decimal(round(random.lognormvariate(5.3, 1.9))) / 100 + 1
        side = random.choice((Side.BUY, Side.SELL))
        liquidations.append(
            Liquidation(random.choice(symbols), side, quantity, price, price, quantity, now_ms, now_ms, now_ms)
        )
    return liquidations


def _settings(symbols: list[str]) -> Settings:
    each = {
        "volume_threshold": 50_000,
        "leverage": 5,
        "trade_value_usdt": 10,
        "max_position_usdt": 100,
        "take_profit_pct": 1,
        "stop_loss_pct": 2,
    }
    return parse_settings({"globals": {"max_total_exposure_usdt": 1000}, "symbols": dict.fromkeys(symbols, each)})
