"""The command line of main.py: starting the bot, its status, and commands without the dashboard."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DatabaseError

from src import VERSION
from src.core.health.status import mode_label
from src.core.limits.loss_limits import day_start
from src.core.operator.control_files import ControlFiles
from src.database.db import open_reader, read_transaction
from src.database.queries.account import is_run_ended, positions, state
from src.database.queries.fills import net_since
from src.domain.clock import Clock
from src.domain.commands import OperatorAction
from src.domain.enums import Network, TradingState
from src.settings.config import find_home, load_environment

_HEARTBEAT_TIMEOUT_MS = 15_000
"""A bot that is silent for longer is restarted (I32)."""

State = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a person reads, and the two claims a script asks for."""

    lines: tuple[str, ...]
    is_alive: bool
    is_trading: bool
    """Alive, and nothing keeps entries back."""


def read_report(database: Path, now_ms: int) -> StatusReport:
    """From the state rows, positions and fills. DatabaseError where the file cannot be read."""
    is_halted = ControlFiles(database).is_halted
    halt_line = ("HALT: the file is there, no entry is sent",) if is_halted else ()
    if not database.exists():
        return StatusReport(("bot: it has never run here", *halt_line), is_alive=False, is_trading=False)
    engine = open_reader(database)
    try:
        with read_transaction(engine) as connection:
            report = _build_report(connection, now_ms)
    finally:
        engine.dispose()
    return StatusReport((*report.lines, *halt_line), report.is_alive, report.is_trading and not is_halted)


def is_bot_alive(connection: Connection, now_ms: int) -> bool:
    """It was heard of lately, and has not said that it ends."""
    heartbeat_at = state(connection).get("bot", {}).get("heartbeat_at")
    is_recent = heartbeat_at is not None and now_ms - heartbeat_at <= _HEARTBEAT_TIMEOUT_MS
    return is_recent and not is_run_ended(connection)


def _build_report(connection: Connection, now_ms: int) -> StatusReport:
    known = state(connection)
    bot = known.get("bot", {})
    is_alive = is_bot_alive(connection, now_ms)
    is_active = known.get("trading", {}).get("state") == TradingState.ACTIVE
    lines = (_bot(bot, now_ms, is_alive=is_alive), *_trading(known), *map(_position, positions(connection)))
    day = net_since(connection, day_start(now_ms), is_simulated=bool(bot.get("is_simulated", False)))
    return StatusReport((*lines, *_exposure(known), f"today: {day:+.2f} USDT net"), is_alive, is_alive and is_active)


def _bot(bot: Mapping[str, Any], now_ms: int, *, is_alive: bool) -> str:
    if not bot:
        return "bot: it has never run here"
    seconds = Decimal(max(0, now_ms - bot["heartbeat_at"])) / 1000
    mode = mode_label(bot.get("network", Network.MAINNET), is_simulated=bool(bot.get("is_simulated")))
    word = "alive" if is_alive else "NOT RUNNING; what follows is how it was"
    return f"bot: {word} (process {bot['pid']}, {bot['network']}, {mode}, last heard of {seconds:.1f} s ago)"


def _trading(known: State) -> Iterator[str]:
    trading = known.get("trading")
    if trading is not None:
        yield f"trading: {trading['state']}" + (f", {trading['reason']}" if trading.get("reason") else "")


def _position(row: Row[Any]) -> str:
    prices = ((row.stop_loss_price, "stop loss"), (row.take_profit_price, "take profit"), (row.mark_price, "mark"))
    details = ", ".join(f"{name} {price:f}" if price is not None else f"no {name}" for price, name in prices)
    size = f"{row.quantity:f} at {row.entry_price:f}"
    return f"position: {row.symbol} {row.position_side} {size}, {details}, protection {row.protection}"


def _exposure(known: State) -> Iterator[str]:
    exposure = known.get("exposure")
    if exposure is not None:
        yield f"exposure: {Decimal(exposure['margin']):.2f} of {Decimal(exposure['cap']):.2f} USDT margin"


_EPILOG = """\
--halt, --resume, --flatten, --status and --check start no bot. They reach the one of this home by files beside its
database, with or without a dashboard, and never write a database themselves. Exit codes of --status: 0 the bot is
alive and may make entries, 1 it is not; of --check: 0 it can trade as its settings say, 1 it cannot. Of the others:
0 done, 2 not possible, with the reason."""


class CliCommand(StrEnum):
    """What the command line can ask for; the value is its option."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    STATUS = "status"
    SETUP = "setup"
    CHECK = "check"


_HELP = {
    CliCommand.HALT: "no entry is sent any more, open ones are cancelled; positions stay protected",
    CliCommand.RESUME: "end a halt, a pause and a lock, wherever they came from",
    CliCommand.FLATTEN: "pause entries, cancel open ones and close the bot's positions at the market",
    CliCommand.STATUS: "print how the bot and its positions are",
    CliCommand.CHECK: "look at everything the bot needs, line by line, with what to do where something is wrong",
    CliCommand.SETUP: "choose paper or real orders, test a key or wallet and save it; what you type is not shown",
}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """``home``, ``protect_only`` and ``command``, which is None where the bot is to be started."""
    parser = argparse.ArgumentParser(
        prog="main.py",
        description="The liquidation hunting bot without its dashboard. launcher.py starts both and restarts them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--home", help="directory of .env, settings.json and the data (default: HUNTER_HOME, else here)"
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--yes", action="store_true", help="agree to real orders as the settings ask for them at start (for services)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--protect-only", action="store_true", help="protect and close positions, open none")
    for command, help_text in _HELP.items():
        group.add_argument(f"--{command}", dest="command", action="store_const", const=command, help=help_text)
    return parser.parse_args(argv)


def run_command(command: CliCommand, home: str | None, clock: Clock) -> int:
    """Do what the command line asks for and say it; the exit code. ConfigError where the home cannot be read."""
    database = load_environment(find_home(home)).database
    if command is CliCommand.STATUS:
        report = _read_report(database, clock.now_ms())
        print("\n".join(report.lines))
        return 0 if report.is_trading else 1
    try:
        outcome = _execute(command, ControlFiles(database), clock.now_ms())
    except OSError as error:
        print(f"not possible: {error}", file=sys.stderr)
        return 2
    is_alive = _read_report(database, clock.now_ms()).is_alive  # only now: a database that hangs holds no halt up
    print(outcome.message, outcome.if_running if is_alive else outcome.if_stopped)
    return 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was left for the bot, and what comes of it with a bot and without."""

    message: str
    if_running: str
    if_stopped: str


def _execute(command: CliCommand, files: ControlFiles, now_ms: int) -> _Outcome:
    if command is CliCommand.HALT:
        files.halt()
        return _Outcome(
            f"Halted: no entry is sent while {files.halt_file} is there.",
            "Open entries are cancelled within a second; positions stay protected.",
            "No bot is alive here now: one that is started makes no entry.",
        )
    if command is CliCommand.RESUME:
        file = files.write_command(OperatorAction.RESUME, now_ms).file
        files.halt_file.unlink(missing_ok=True)
        return _queued("Resumed: the file HALT is gone; pause, halt and lock end.", file)
    file = files.write_command(OperatorAction.FLATTEN, now_ms).file
    return _queued("Asked to pause entries, cancel the open ones and close all positions of the bot.", file)


def _queued(sentence: str, file: Path) -> _Outcome:
    return _Outcome(
        sentence,
        "The bot does it within a second; main.py --status shows the result.",
        f"No bot is alive here now: it is done when one is started, unless you delete {file} before.",
    )


def _read_report(database: Path, now_ms: int) -> StatusReport:
    try:
        return read_report(database, now_ms)
    except DatabaseError as error:
        return StatusReport(
            (f"the database {database} cannot be read: {error.orig}",), is_alive=False, is_trading=False
        )
