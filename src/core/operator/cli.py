"""The command line of ``main.py``: how the bot is started, and how a person reaches one without its dashboard."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from src import VERSION
from src.core.operator.operator_files import OperatorFiles
from src.core.operator.report import Report, read_report
from src.domain.clock import Clock
from src.domain.messages import OperatorAction
from src.utils.config import find_home, load_environment

_EPILOG = """\
--halt, --resume, --flatten, --status and --check start no bot. They reach the one of this home by files beside its
database, with or without a dashboard, and never write a database themselves. Exit codes of --status: 0 the bot is
alive and may make entries, 1 it is not; of --check: 0 it can trade as its settings say, 1 it cannot. Of the others:
0 done, 2 not possible, with the reason."""


class Wish(StrEnum):
    """What the command line can ask for; the value is its option."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    STATUS = "status"
    SETUP = "setup"
    CHECK = "check"


_MEANINGS = {
    Wish.HALT: "no entry is sent any more, open ones are cancelled; positions stay protected",
    Wish.RESUME: "end a halt, a pause and a lock, wherever they came from",
    Wish.FLATTEN: "pause entries, cancel open ones and close the bot's positions at the market",
    Wish.STATUS: "print how the bot and its positions are",
    Wish.CHECK: "look at everything the bot needs, line by line, with what to do where something is wrong",
    Wish.SETUP: "choose paper or real orders, test a key or wallet and save it; what you type is not shown",
}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """``home``, ``protect_only`` and ``wish``, which is None where the bot is to be started."""
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
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--protect-only", action="store_true", help="protect and close positions, open none")
    for wish, meaning in _MEANINGS.items():
        one_of.add_argument(f"--{wish}", dest="wish", action="store_const", const=wish, help=meaning)
    return parser.parse_args(argv)


def fulfil(wish: Wish, home: str | None, clock: Clock) -> int:
    """Do what the command line asks for and say it; the exit code. ConfigError where the home cannot be read."""
    database = load_environment(find_home(home)).database
    if wish is Wish.STATUS:
        report = _report(database, clock.now_ms())
        print("\n".join(report.lines))
        return 0 if report.is_trading else 1
    try:
        done = _act(wish, OperatorFiles(database), clock.now_ms())
    except OSError as error:
        print(f"not possible: {error}", file=sys.stderr)
        return 2
    is_alive = _report(database, clock.now_ms()).is_alive  # only now: a database that hangs holds no halt up
    print(done.sentence, done.by_the_bot if is_alive else done.without_a_bot)
    return 0


@dataclass(frozen=True, slots=True)
class _Done:
    """What was left for the bot, and what comes of it with a bot and without."""

    sentence: str
    by_the_bot: str
    without_a_bot: str


def _act(wish: Wish, files: OperatorFiles, now_ms: int) -> _Done:
    if wish is Wish.HALT:
        files.halt()
        return _Done(
            f"Halted: no entry is sent while {files.halt_file} is there.",
            "Open entries are cancelled within a second; positions stay protected.",
            "No bot is alive here now: one that is started makes no entry.",
        )
    if wish is Wish.RESUME:
        file = files.ask(OperatorAction.RESUME, now_ms).file
        files.halt_file.unlink(missing_ok=True)
        return _waiting("Resumed: the file HALT is gone; pause, halt and lock end.", file)
    file = files.ask(OperatorAction.FLATTEN, now_ms).file
    return _waiting("Asked to pause entries, cancel the open ones and close all positions of the bot.", file)


def _waiting(sentence: str, file: Path) -> _Done:
    return _Done(
        sentence,
        "The bot does it within a second; main.py --status shows the result.",
        f"No bot is alive here now: it is done when one is started, unless you delete {file} before.",
    )


def _report(database: Path, now_ms: int) -> Report:
    try:
        return read_report(database, now_ms)
    except DatabaseError as error:
        return Report((f"the database {database} cannot be read: {error.orig}",), is_alive=False, is_trading=False)
