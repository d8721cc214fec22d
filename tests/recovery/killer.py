"""Kills a bot again and again at random instants of a busy market; what must hold is read from the sandbox's books."""

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
from src.sandbox.catalogue import load_catalogue
from src.sandbox.script import Script
from src.sandbox.server import SandboxServer
from src.sandbox.synthetic import SyntheticSource, Temper
from src.utils.auth import Scheme
from tests.recovery.rig import PROTECTED_WITHIN_MS, late_ms, longest_ms
from tests.system.rig import BotProcess, demo_settings, sandbox_net, sandbox_positions, wait_until

ROUNDS = int(os.environ.get("KILL_ROUNDS", "50"))
_LONGEST_START_S = 2.0
_SHORTEST_LIFE_S, _LONGEST_LIFE_S = 0.1, 3.0
_AGREED_WITHIN_SECONDS = 60
_BUSY = Temper(liquidations_per_minute=120, first_cascade_ms=3_000, cascade_every_ms=5_000)


@dataclass(frozen=True, slots=True)
class Siege:
    """How a bot is beset: by which market, and how often it does not even come to its start's end."""

    seed: int
    script: Script
    settings: dict[str, Any]
    scheme: Scheme
    starts_killed: float = 0.2
    rounds: int = field(default=ROUNDS)


def a_busy_market(seed: int) -> Script:
    listings = load_catalogue()
    return Script(listings, lambda at: SyntheticSource(listings.values(), at, seed, _BUSY))


def busy_settings(**global_changes: Any) -> dict[str, Any]:
    """Nearly every liquidation is a signal, and exits are near: orders are always on their way."""
    document = demo_settings({"cooldown_sec": 1, "order_ttl_seconds": 5, **global_changes})
    for symbol in document["symbols"].values():
        symbol.update(volume_threshold=500, take_profit_pct=0.1, stop_loss_pct=0.15, price_offset_pct=0)
    return document


def withstand(home: Path, siege: Siege) -> None:
    """Kill, start, kill; then everything is protected, nothing was sent twice, and the books are equal."""
    with _beset(home, siege) as (server, bot):
        draw, deaths, late = Random(siege.seed), list[int](), 0
        for _ in range(siege.rounds):
            launched_at = server.exchange.now_ms()
            bot.start()
            if draw.random() < siege.starts_killed:
                _live(draw.uniform(0, _LONGEST_START_S))
            else:
                bot.wait_until_trading()
                late = max(late, late_ms(launched_at, bot.state("bot")["started_at"]))
                _live(draw.uniform(_SHORTEST_LIFE_S, _LONGEST_LIFE_S))
            bot.kill()
            deaths.append(server.exchange.now_ms())
        launched_at = server.exchange.now_ms()
        bot.start()
        bot.wait_until_trading()
        late = max(late, late_ms(launched_at, bot.state("bot")["started_at"]))
        _check(server, bot, siege)
        assert _longest_ms(server, deaths) < PROTECTED_WITHIN_MS + late


@contextmanager
def _beset(home: Path, siege: Siege) -> Iterator[tuple[SandboxServer, BotProcess]]:
    server, bot = SandboxServer(home, siege.script, scheme=siege.scheme), BotProcess(home, siege.settings)
    server.start()
    try:
        yield server, bot
    finally:
        bot.kill()
        server.stop()


def _live(seconds: float) -> None:
    threading.Event().wait(seconds)


def _longest_ms(server: SandboxServer, deaths: list[int]) -> int:
    with server.exchange.lock:
        return longest_ms(server.exchange.protection.spans(), deaths, server.exchange.now_ms())


def _check(server: SandboxServer, bot: BotProcess, siege: Siege) -> None:
    records, exchange = server.exchange.account.records, server.exchange
    assert len(records.received) > siege.rounds // 4, "the market was not busy"
    assert records.sent_twice() == {}
    with exchange.lock:
        fills = [exchange.engine.fills(symbol) for symbol in exchange.market.symbols]
    assert [flip for of_one in fills for flip in _flips(of_one)] == []

    def agree() -> bool:
        books = bot.books()
        return books.net == sandbox_net(server) and books.positions == sandbox_positions(server)

    wait_until(
        agree, _AGREED_WITHIN_SECONDS, f"{bot.books()} against {sandbox_net(server)} {sandbox_positions(server)}"
    )
    assert bot.books().undecided == 0


def _flips(fills: list[Fill]) -> Iterator[Fill]:
    """Fills that led from one side to the other."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in fills:
        slot = fill.symbol, fill.position_side.value
        before = held[slot]
        held[slot] = before + fill.side.sign * fill.quantity
        if before * held[slot] < 0:
            yield fill
