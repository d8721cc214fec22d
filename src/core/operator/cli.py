"""The command line of main.py: starting the bot, its status, and commands without the dashboard."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DatabaseError

from src import VERSION
from src.core.limits.loss_limits import day_start
from src.core.operator.control_files import ControlFiles
from src.database.db import open_reader, read_transaction
from src.database.foreign import ForeignDatabase, reject_foreign
from src.database.queries.account import (
    PositionQuestion,
    find_answerable,
    is_bot_alive,
    position_questions,
    positions,
    state,
)
from src.database.queries.fills import net_since
from src.domain.clock import Clock
from src.domain.commands import OperatorAction
from src.domain.enums import Network, PositionSide, TradingState, mode_description
from src.settings.config import HOME_HELP, find_home, load_environment

State = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The lines to print, and the two flags that scripts use."""

    lines: tuple[str, ...]
    is_alive: bool
    is_trading: bool
    """Alive, and entries are not blocked."""


def status_report(database: Path, now_ms: int) -> StatusReport:
    """Build the report from the database; why it cannot be read, if so."""
    try:
        reject_foreign(database)
        return _read_report(database, now_ms)
    except ForeignDatabase as error:
        return StatusReport(error.messages, is_alive=False, is_trading=False)
    except DatabaseError as error:
        reason = f"the database {database} cannot be read: {error.orig}"
        return StatusReport((reason,), is_alive=False, is_trading=False)


def _read_report(database: Path, now_ms: int) -> StatusReport:
    is_halted = ControlFiles(database).is_halted
    halt_line = ("HALT: the file exists, entries are blocked",) if is_halted else ()
    if not database.exists():
        return StatusReport(("bot: has never run here", *halt_line), is_alive=False, is_trading=False)
    engine = open_reader(database)
    try:
        with read_transaction(engine) as connection:
            report = _build_report(connection, now_ms)
    finally:
        engine.dispose()
    return StatusReport((*report.lines, *halt_line), report.is_alive, report.is_trading and not is_halted)


def _build_report(connection: Connection, now_ms: int) -> StatusReport:
    known = state(connection)
    bot = known.get("bot", {})
    is_alive = is_bot_alive(connection, now_ms)
    is_active = known.get("trading", {}).get("state") == TradingState.ACTIVE
    questions = (line for question in position_questions(known) for line in _question(question))
    lines = (_bot(bot, now_ms, is_alive=is_alive), *_trading(known), *map(_position, positions(connection)), *questions)
    day = net_since(connection, day_start(now_ms), is_simulated=bool(bot.get("is_simulated", False)))
    return StatusReport((*lines, *_exposure(known), f"today: {day:+.2f} USDT net"), is_alive, is_alive and is_active)


def _bot(bot: Mapping[str, Any], now_ms: int, *, is_alive: bool) -> str:
    if not bot:
        return "bot: has never run here"
    seconds = Decimal(max(0, now_ms - bot["heartbeat_at"])) / 1000
    mode = mode_description(bot.get("network", Network.MAINNET), is_simulated=bool(bot.get("is_simulated")))
    word = "alive" if is_alive else "NOT RUNNING; last known state"
    return f"bot: {word} (process {bot['pid']}, {bot['network']}, {mode}, last heartbeat {seconds:.1f} s ago)"


def _trading(known: State) -> Iterator[str]:
    trading = known.get("trading")
    if trading is not None:
        yield f"trading: {trading['state']}" + (f", {trading['reason']}" if trading.get("reason") else "")


def _position(row: Row[Any]) -> str:
    prices = ((row.stop_loss_price, "stop loss"), (row.take_profit_price, "take profit"), (row.mark_price, "mark"))
    details = ", ".join(f"{name} {price:f}" if price is not None else f"no {name}" for price, name in prices)
    size = f"{row.quantity:f} at {row.entry_price:f}"
    return f"position: {row.symbol} {row.position_side} {size}, {details}, protection {row.protection}"


def _question(question: PositionQuestion) -> Iterator[str]:
    command = f"main.py --position {question.symbol} {question.position_side}"
    yield f"question: {question.summary} {_WHILE_OPEN}"
    yield f"  if it is the bot's: {command} --ours"
    yield f"  if it is yours: {command} --external"


def _exposure(known: State) -> Iterator[str]:
    exposure = known.get("exposure")
    if exposure is not None:
        yield f"exposure: {Decimal(exposure['margin']):.2f} of {Decimal(exposure['cap']):.2f} USDT margin"


_EPILOG = """\
--halt, --resume, --flatten, --position, --status and --check do not start a bot. They reach the running bot of this
home through files beside its database, with or without the dashboard, and never write to the database. Exit codes:
--status 0 the bot is alive and entries are allowed, 1 otherwise; --check 0 the bot can trade with these settings, 1
otherwise; the others 0 done, 2 failed.

--import-settings and --import-db take over what another bot left: the older bot's settings.json and bot.db, the node
bot's config.json and liquidations.db. They change nothing in these files, and may run beside the bot. Exit codes: 0
done, 1 interrupted, 2 failed or not agreed.

--position answers the question that the bot asks about a position which its own trades do not explain; --status lists
open questions. SIDE is LONG or SHORT, or BOTH in one-way mode.
  main.py --position BTCUSDT LONG --ours        it is the bot's: the bot manages all of it
  main.py --position BTCUSDT LONG --external    it is yours: the bot cancels its stop loss and take profit behind it"""
_POSITION_USAGE = (
    "Give symbol, side and answer: main.py --position BTCUSDT LONG --ours, or --external. SIDE is LONG, SHORT or BOTH."
)
_WHILE_OPEN = "Stop loss and take profit stay; no entry is made, and it is closed only if no stop loss can be placed."
_EXTERNAL_CONSEQUENCE = (
    "The bot cancels its stop loss and take profit behind {}. The position is then without the bot's protection."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one sentence instead of all options."""
        sentence = _POSITION_USAGE if "--position" in message else f"{message}. main.py --help lists the options."
        self.exit(2, f"{self.prog}: {sentence}\n")


class CliCommand(StrEnum):
    """Commands of the command line; the value is the option's name."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    STATUS = "status"
    SETUP = "setup"
    CHECK = "check"
    POSITION = "position"
    IMPORT_SETTINGS = "import-settings"
    IMPORT_DB = "import-db"


_HELP = {
    CliCommand.HALT: "block entries and cancel open ones; positions stay protected",
    CliCommand.RESUME: "end any halt, pause or lock",
    CliCommand.FLATTEN: "pause entries, cancel open ones and close the bot's positions at market",
    CliCommand.STATUS: "print the status of the bot and its positions",
    CliCommand.CHECK: "check everything the bot needs and print what to fix",
    CliCommand.SETUP: "choose paper or live trading, test a key or wallet and save it; secrets are not shown",
}

IMPORTS = (CliCommand.IMPORT_SETTINGS, CliCommand.IMPORT_DB)
_IMPORT_HELP = {
    CliCommand.IMPORT_SETTINGS: "take over another bot's settings.json or config.json, after showing the changes",
    CliCommand.IMPORT_DB: "take over the liquidations and trades of another bot's database; it is only read",
}
_OWNERS = (
    ("--ours", OperatorAction.POSITION_OURS, "the position is the bot's: the bot manages all of it"),
    (
        "--external",
        OperatorAction.POSITION_EXTERNAL,
        "the position is yours: the bot cancels its stop loss and take profit behind it, after asking again",
    ),
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options; ``command`` is None if the bot is to be started."""
    parser = _Parser(
        prog="main.py",
        description="The liquidation hunting bot without its dashboard. launcher.py starts both and restarts them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", help=HOME_HELP)
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--yes",
        action="store_true",
        help=(
            "confirm live trading with the current settings (for services); with --external or --import-settings: do "
            "not ask again"
        ),
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--protect-only", action="store_true", help="protect and close positions, block entries")
    for command, help_text in _HELP.items():
        group.add_argument(f"--{command}", dest="command", action="store_const", const=command, help=help_text)
    group.add_argument(
        "--position", nargs=2, metavar=("SYMBOL", "SIDE"), help="with --ours or --external: say who owns a position"
    )
    for command, help_text in _IMPORT_HELP.items():
        group.add_argument(f"--{command}", metavar="FILE", help=help_text)
    owner = parser.add_mutually_exclusive_group()
    for name, action, help_text in _OWNERS:
        owner.add_argument(name, dest="owner", action="store_const", const=action, help=help_text)
    arguments = parser.parse_args(argv)
    for command in _IMPORT_HELP:
        if (file := vars(arguments)[command.replace("-", "_")]) is not None:
            arguments.command, arguments.file = command, Path(file)
    if arguments.position is not None:
        arguments.command = CliCommand.POSITION
        arguments.position[1] = arguments.position[1].upper()
    if (arguments.position is None) != (arguments.owner is None) or (
        arguments.position is not None and arguments.position[1] not in set(PositionSide)
    ):
        parser.error("argument --position")
    return arguments


def run_command(command: CliCommand, home: str | None, clock: Clock) -> int:
    """Run a command and print its outcome; returns the exit code. Raises ConfigError if the home cannot be read."""
    database = load_environment(find_home(home)).database
    if command is CliCommand.STATUS:
        report = status_report(database, clock.now_ms())
        print("\n".join(report.lines))
        return 0 if report.is_trading else 1
    return _report(database, clock, lambda files, now_ms: _execute(command, files, now_ms))


def answer_position(arguments: argparse.Namespace, clock: Clock, ask: Callable[[str], str] | None) -> int:
    """Pass on who owns a position, and print what happens; ``--external`` is confirmed again.

    ``ask`` prompts in the terminal; None if there is none. Returns the exit code. Raises ConfigError if the home cannot
    be read.
    """
    database = load_environment(find_home(arguments.home)).database
    action: OperatorAction = arguments.owner
    symbol, side = arguments.position
    found = _find_answerable(database, action, symbol, side)
    if found is None and status_report(database, clock.now_ms()).is_alive:
        print(f"The bot does not ask about {symbol} {side}. main.py --status lists its questions.", file=sys.stderr)
        return 2
    name, position_side = found or (symbol.upper(), PositionSide(side))
    about = f"{name} {side}"
    is_external = action is OperatorAction.POSITION_EXTERNAL
    if is_external and not arguments.yes and not _is_confirmed(about, ask):
        return 2
    effect = f"yours: {_EXTERNAL_CONSEQUENCE.format('it')}" if is_external else "the bot's: the bot manages all of it."

    def write(files: ControlFiles, now_ms: int) -> _Outcome:
        return _queued(f"Requested: {about} is {effect}", files.write_command(action, now_ms, name, position_side).file)

    return _report(database, clock, write)


def _find_answerable(database: Path, action: OperatorAction, symbol: str, side: str) -> tuple[str, PositionSide] | None:
    """None also if the database cannot be read: the bot itself finds the position then."""
    if not database.exists():
        return None
    engine = open_reader(database)
    try:
        with read_transaction(engine) as connection:
            return find_answerable(connection, action, symbol, side)
    except DatabaseError:
        return None
    finally:
        engine.dispose()


def _is_confirmed(about: str, ask: Callable[[str], str] | None) -> bool:
    """Ask again before the bot's stop loss and take profit are cancelled."""
    if ask is None:
        print(
            "Nothing changed: --external cancels the bot's stop loss and take profit. Run it in a terminal to confirm, "
            "or add --yes.",
            file=sys.stderr,
        )
        return False
    try:
        typed = ask(f"{_EXTERNAL_CONSEQUENCE.format(about)}\nType YES if the position is yours: ")
    except (EOFError, KeyboardInterrupt):
        typed = ""
    if typed.strip().upper() != "YES":
        print("Nothing changed: stop loss and take profit stay, and the question stays open.", file=sys.stderr)
        return False
    return True


def _report(database: Path, clock: Clock, write: Callable[[ControlFiles, int], "_Outcome"]) -> int:
    """Write a control file and print what happens next; returns the exit code."""
    try:
        outcome = write(ControlFiles(database), clock.now_ms())
    except (OSError, ValueError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 2
    is_alive = status_report(
        database, clock.now_ms()
    ).is_alive  # after the command: a hanging database must not delay a halt
    print(outcome.message, outcome.if_running if is_alive else outcome.if_stopped)
    return 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was requested, and what happens next with and without a running bot."""

    message: str
    if_running: str
    if_stopped: str


def _execute(command: CliCommand, files: ControlFiles, now_ms: int) -> _Outcome:
    if command is CliCommand.HALT:
        files.halt()
        return _Outcome(
            f"Halted: entries are blocked while {files.halt_file} exists.",
            "Open entries are cancelled within a second; positions stay protected.",
            "No bot is running: one started now makes no entries.",
        )
    if command is CliCommand.RESUME:
        file = files.write_command(OperatorAction.RESUME, now_ms).file
        files.halt_file.unlink(missing_ok=True)
        return _queued("Resumed: the file HALT is removed; pause, halt and lock end.", file)
    file = files.write_command(OperatorAction.FLATTEN, now_ms).file
    return _queued("Requested: pause entries, cancel the open ones and close all positions of the bot.", file)


def _queued(sentence: str, file: Path) -> _Outcome:
    return _Outcome(
        sentence,
        "The bot does it within a second; main.py --status shows the result.",
        f"No bot is running: it is done at the next start, unless you delete {file} first.",
    )
