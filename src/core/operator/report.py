"""How the bot is, in sentences for a terminal, read from what it wrote of itself. Nothing is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from src.core.operator.operator_files import OperatorFiles
from src.core.plans.locks import day_start
from src.core.status import mode_of
from src.database.db import open_reader, reading
from src.database.queries.account import is_run_ended, positions, state
from src.database.queries.results import net_since
from src.domain.enums import Network, TradingState

_HEARTBEAT_LASTS_MS = 15_000
"""A bot that is silent for longer is restarted (I32)."""

State = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a person reads, and the two claims a script asks for."""

    lines: tuple[str, ...]
    is_alive: bool
    is_trading: bool
    """Alive, and nothing keeps entries back."""


def read_report(database: Path, now_ms: int) -> Report:
    """From the state rows, positions and fills. DatabaseError where the file cannot be read."""
    is_halted = OperatorFiles(database).is_halted
    halt_line = ("HALT: the file is there, no entry is sent",) if is_halted else ()
    if not database.exists():
        return Report(("bot: it has never run here", *halt_line), is_alive=False, is_trading=False)
    engine = open_reader(database)
    try:
        with reading(engine) as connection:
            report = _report(connection, now_ms)
    finally:
        engine.dispose()
    return Report((*report.lines, *halt_line), report.is_alive, report.is_trading and not is_halted)


def is_bot_alive(connection: Connection, now_ms: int) -> bool:
    """It was heard of lately, and has not said that it ends."""
    beat_at = state(connection).get("bot", {}).get("heartbeat_at")
    is_heard = beat_at is not None and now_ms - beat_at <= _HEARTBEAT_LASTS_MS
    return is_heard and not is_run_ended(connection)


def _report(connection: Connection, now_ms: int) -> Report:
    known = state(connection)
    bot = known.get("bot", {})
    is_alive = is_bot_alive(connection, now_ms)
    is_active = known.get("trading", {}).get("state") == TradingState.ACTIVE
    lines = (_bot(bot, now_ms, is_alive=is_alive), *_trading(known), *map(_position, positions(connection)))
    day = net_since(connection, day_start(now_ms), is_simulated=bool(bot.get("is_simulated", False)))
    return Report((*lines, *_exposure(known), f"today: {day:+.2f} USDT net"), is_alive, is_alive and is_active)


def _bot(bot: Mapping[str, Any], now_ms: int, *, is_alive: bool) -> str:
    if not bot:
        return "bot: it has never run here"
    seconds = Decimal(max(0, now_ms - bot["heartbeat_at"])) / 1000
    mode = mode_of(bot.get("network", Network.MAINNET), is_simulated=bool(bot.get("is_simulated")))
    word = "alive" if is_alive else "NOT RUNNING; what follows is how it was"
    return f"bot: {word} (process {bot['pid']}, {bot['network']}, {mode}, last heard of {seconds:.1f} s ago)"


def _trading(known: State) -> Iterator[str]:
    trading = known.get("trading")
    if trading is not None:
        yield f"trading: {trading['state']}" + (f", {trading['reason']}" if trading.get("reason") else "")


def _position(row: Row[Any]) -> str:
    prices = ((row.stop_loss_price, "stop loss"), (row.take_profit_price, "take profit"), (row.mark_price, "mark"))
    told = ", ".join(f"{name} {price:f}" if price is not None else f"no {name}" for price, name in prices)
    size = f"{row.quantity:f} at {row.entry_price:f}"
    return f"position: {row.symbol} {row.position_side} {size}, {told}, protection {row.protection}"


def _exposure(known: State) -> Iterator[str]:
    exposure = known.get("exposure")
    if exposure is not None:
        yield f"exposure: {Decimal(exposure['margin']):.2f} of {Decimal(exposure['cap']):.2f} USDT margin"
