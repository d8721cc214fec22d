"""``python main.py --check``: run all checks, print one line each, and report whether the bot can trade."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from src.doctor import machine
from src.doctor.configuration import check_consent, read_configuration
from src.doctor.database import check_database, check_sqlite
from src.doctor.exchange import ExchangeChecks
from src.domain.checks import Check, CheckLevel, all_passed
from src.domain.clock import Clock
from src.settings.environment import PROJECT_ROOT

_COLOURS = {CheckLevel.OK: "\x1b[32m", CheckLevel.WARN: "\x1b[33m", CheckLevel.FAIL: "\x1b[1;31m"}
_RESET = "\x1b[0m"


def run_checks(home: Path, clock: Clock) -> Iterator[Check]:
    """Yield the checks as they finish. Writes nothing, and sends nothing that could trade."""
    logging.getLogger("hunter").addHandler(logging.NullHandler())  # the checks report what matters
    yield machine.check_python()
    yield from machine.check_packages(PROJECT_ROOT / "requirements.txt")
    found = read_configuration(home)
    yield from found.checks
    environment = found.environment
    database = check_database(environment.database, environment.network, clock.now_ms())
    yield check_sqlite()
    yield from database.checks
    if found.settings is not None:
        yield from check_consent(database.bot_state, environment, found.settings)
    yield machine.check_disk(environment.database.parent)
    yield machine.check_port(environment.host, environment.port, is_bot_alive=database.is_bot_alive)
    yield from ExchangeChecks(environment, found.settings, clock).run()


def print_report(checks: Iterator[Check], out: TextIO) -> int:
    """Print the checks as they finish; return 0 if the bot can trade with its settings, else 1."""
    is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
    if is_coloured and os.name == "nt":
        os.system("")  # enables escape sequences in the Windows console
    found: list[Check] = []
    for check in checks:
        found.append(check)
        print(_format_line(check, is_coloured=is_coloured), file=out, flush=True)
    failures = sum(check.level is CheckLevel.FAIL for check in found)
    if all_passed(found):
        print("\nThe bot can trade with these settings.", file=out)
        return 0
    failed_checks = f"{failures} checks" if failures > 1 else "the check"
    print(f"\nThe bot cannot trade with these settings: fix {failed_checks} marked FAIL.", file=out)
    return 1


def _format_line(check: Check, *, is_coloured: bool) -> str:
    """Format one line without control characters, which could be terminal commands from a file or a response."""
    safe = replace(check, message=_printable(check.message), remedy=_printable(check.remedy))
    word = f"{check.level:<4}"
    return safe.line.replace(word, f"{_COLOURS[check.level]}{word}{_RESET}", 1) if is_coloured else safe.line


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
