"""A burst of liquidations through the trader and its real database: none lost, all decided, how many a second."""

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

SMALLEST_RATE = 5_000


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of a burst."""

    pushed: int
    stored: int
    decided: int
    seconds: float
    floor_seconds: float
    """Adding the same numbers up and doing nothing else."""

    @property
    def rate(self) -> float:
        return self.pushed / self.seconds

    @property
    def is_good(self) -> bool:
        return self.stored == self.decided == self.pushed and self.rate >= SMALLEST_RATE

    def told(self) -> str:
        return (
            f"burst of {self.pushed}: {self.stored} stored, {self.decided} decided, {self.rate:.0f} a second "
            f"(bound {SMALLEST_RATE}), {self.seconds / self.floor_seconds:.0f} × the time of adding them up"
        )


def measure_burst(count: int) -> Burst:
    """Post them all at once, then let the trader's own loop empty its inbox."""
    listings = load_listings()
    instruments = {symbol: listing.instrument for symbol, listing in listings.items()}
    events = _liquidations(sorted(instruments), count)
    started = time.perf_counter()
    sum((each.notional for each in events), Decimal(0))
    floor_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bot.db"
        clock = SystemClock()
        ledger = open_database(path, clock.now_ms())
        context = TraderContext(
            _settings(sorted(instruments)), instruments, Store(ledger.engine, clock), clock, Random(1).randrange, True
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
        ledger.engine.dispose()
    return Burst(count, stored, decided, seconds, floor_seconds)


def _liquidations(symbols: list[str], count: int) -> list[Liquidation]:
    """Of every configured symbol, with sizes as they are seen: a median near 200 USDT and a long tail."""
    draw, now_ms = Random(7), SystemClock().now_ms()
    found = []
    for _ in range(count):
        price = Decimal(draw.randrange(90_000, 110_000)) / 1000
        quantity = Decimal(round(draw.lognormvariate(5.3, 1.9))) / 100 + 1
        side = draw.choice((Side.BUY, Side.SELL))
        found.append(Liquidation(draw.choice(symbols), side, quantity, price, price, quantity, now_ms, now_ms, now_ms))
    return found


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
