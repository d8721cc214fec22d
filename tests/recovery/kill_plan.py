"""Kills a bot repeatedly at random times in a busy market, and checks the sandbox's records."""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from src.domain.orders import Fill
from src.sandbox.market.listings import load_listings
from src.sandbox.market.scenario import Scenario
from src.sandbox.market.synthetic import MarketProfile, SyntheticSource
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.recovery.harness import PROTECTED_WITHIN_MS, max_unprotected_ms, startup_delay_ms
from tests.system.harness import BotProcess, demo_settings, sandbox_net, sandbox_positions, wait_until

ROUNDS = int(os.environ.get("KILL_ROUNDS", "50"))
_MAX_START_S = 2.0
_MIN_RUN_S, _MAX_RUN_S = 0.1, 3.0
_CONSISTENT_WITHIN_SECONDS = 60
_BUSY = MarketProfile(liquidations_per_minute=120, first_cascade_ms=3_000, cascade_every_ms=5_000)


@dataclass(frozen=True, slots=True)
class KillPlan:
    """Market, settings and kills of a test; ``starts_killed`` is the share of kills during the start."""

    seed: int
    scenario: Scenario
    settings: dict[str, Any]
    scheme: ApiVersion
    starts_killed: float = 0.2
    rounds: int = field(default=ROUNDS)


def a_busy_market(seed: int) -> Scenario:
    listings = load_listings()
    return Scenario(listings, lambda at: SyntheticSource(listings.values(), at, seed, _BUSY))


def busy_settings(**global_changes: Any) -> dict[str, Any]:
    """Nearly every liquidation is a signal and exits are close, so that orders are always pending."""
    document = demo_settings({"cooldown_sec": 1, "order_ttl_seconds": 5, **global_changes})
    for symbol in document["symbols"].values():
        symbol.update(volume_threshold=500, take_profit_pct=0.1, stop_loss_pct=0.15, price_offset_pct=0)
    return document


def survive_kills(home: Path, plan: KillPlan) -> None:
    """Start and kill the bot repeatedly, then check protection, duplicate orders and records."""
    with _running(home, plan) as (server, bot):
        random, kill_times, late = Random(plan.seed), list[int](), 0
        for _ in range(plan.rounds):
            launched_at = server.exchange.now_ms()
            bot.start()
            if random.random() < plan.starts_killed:
                _wait(random.uniform(0, _MAX_START_S))
            else:
                bot.wait_until_trading()
                late = max(late, startup_delay_ms(launched_at, bot.state("bot")["started_at"]))
                _wait(random.uniform(_MIN_RUN_S, _MAX_RUN_S))
            bot.kill()
            kill_times.append(server.exchange.now_ms())
        launched_at = server.exchange.now_ms()
        bot.start()
        bot.wait_until_trading()
        late = max(late, startup_delay_ms(launched_at, bot.state("bot")["started_at"]))
        _check(server, bot, plan)
        assert _max_unprotected_ms(server, kill_times) < PROTECTED_WITHIN_MS + late


@contextmanager
def _running(home: Path, plan: KillPlan) -> Iterator[tuple[SandboxServer, BotProcess]]:
    server, bot = SandboxServer(home, plan.scenario, scheme=plan.scheme), BotProcess(home, plan.settings)
    server.start()
    try:
        yield server, bot
    finally:
        bot.kill()
        server.stop()


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _max_unprotected_ms(server: SandboxServer, kill_times: list[int]) -> int:
    with server.exchange.lock:
        return max_unprotected_ms(server.exchange.protection.spans(), kill_times, server.exchange.now_ms())


def _check(server: SandboxServer, bot: BotProcess, plan: KillPlan) -> None:
    records, exchange = server.exchange.account.request_log, server.exchange
    assert len(records.received) > plan.rounds // 4, "too few orders"
    assert records.duplicates() == {}
    with exchange.lock:
        fills = [exchange.engine.fills(symbol) for symbol in exchange.market.symbols]
    assert [flip for symbol_fills in fills for flip in _flips(symbol_fills)] == []

    def agree() -> bool:
        totals = bot.totals()
        return totals.net == sandbox_net(server) and totals.positions == sandbox_positions(server)

    wait_until(
        agree, _CONSISTENT_WITHIN_SECONDS, f"{bot.totals()} against {sandbox_net(server)} {sandbox_positions(server)}"
    )
    assert bot.totals().undecided == 0


def _flips(fills: list[Fill]) -> Iterator[Fill]:
    """Fills that reversed a position."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in fills:
        key = fill.symbol, fill.position_side.value
        before = held[key]
        held[key] = before + fill.side.sign * fill.quantity
        if before * held[key] < 0:
            yield fill
