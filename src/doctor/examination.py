"""``python main.py --check``: everything the bot needs, one line each, and whether it can trade as its settings say."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from src.doctor import machine
from src.doctor.consent import check_consent
from src.doctor.exchange import ExchangeExamination
from src.doctor.home import read_home
from src.doctor.ledger import check_sqlite, read_ledger
from src.domain.checks import Check, Verdict, is_passable
from src.domain.clock import Clock
from src.utils.environment import PROJECT_ROOT

_COLOURS = {Verdict.OK: "\x1b[32m", Verdict.WARN: "\x1b[33m", Verdict.FAIL: "\x1b[1;31m"}
_RESET = "\x1b[0m"


def examine(home: Path, clock: Clock) -> Iterator[Check]:
    """Line by line, as it is found. Nothing is written, and nothing is sent that could trade."""
    logging.getLogger("hunter").addHandler(logging.NullHandler())  # what matters of it is among the lines
    yield machine.check_python()
    yield from machine.check_packages(PROJECT_ROOT / "requirements.txt")
    found = read_home(home)
    yield from found.checks
    environment = found.environment
    ledger = read_ledger(environment.database, environment.network, clock.now_ms())
    yield check_sqlite()
    yield from ledger.checks
    if found.settings is not None:
        yield from check_consent(ledger.known, environment, found.settings)
    yield machine.check_disk(environment.database.parent)
    yield machine.check_port(environment.host, environment.port, is_bot_alive=ledger.is_bot_alive)
    yield from ExchangeExamination(environment, found.settings, clock).lines()


def report(checks: Iterator[Check], out: TextIO) -> int:
    """Print them as they come; 0 where the bot can trade as its settings say, else 1."""
    is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
    if is_coloured and os.name == "nt":
        os.system("")  # switches the Windows console to escape sequences
    found: list[Check] = []
    for check in checks:
        found.append(check)
        print(_line(check, is_coloured=is_coloured), file=out, flush=True)
    faults = sum(check.verdict is Verdict.FAIL for check in found)
    if is_passable(found):
        print("\nIt can trade as its settings say.", file=out)
        return 0
    what = "what is marked fail stands" if faults > 1 else "the line marked fail stands"
    print(f"\nIt cannot trade as its settings say while {what}.", file=out)
    return 1


def _line(check: Check, *, is_coloured: bool) -> str:
    """One line, whatever a file or an answer holds: a control character could be a command to the terminal."""
    safe = replace(check, sentence=_printable(check.sentence), remedy=_printable(check.remedy))
    word = f"{check.verdict:<4}"
    return safe.line.replace(word, f"{_COLOURS[check.verdict]}{word}{_RESET}", 1) if is_coloured else safe.line


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
