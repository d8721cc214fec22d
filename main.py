"""The bot, headless: what it is asked for on the command line, what it is started with, and the code it ends with."""

import argparse
import getpass
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from src.launch.packages import required_packages

with required_packages(of_program=__name__ == "__main__"):
    from src import VERSION
    from src.bot.bot import EXIT_CRASH, Bot
    from src.bot.surroundings import Surroundings
    from src.core.operator.cli import Wish, fulfil, parse_arguments
    from src.core.operator.set_up import Terminal, set_up
    from src.core.status import mode_of
    from src.database.ledger import AlreadyRunning, LedgerLock, Unavailable, open_ledger
    from src.doctor.examination import examine, report
    from src.domain.clock import SystemClock
    from src.domain.errors import ConfigError
    from src.exchange.credential_check import CredentialChecker
    from src.launch.console import utf8_output
    from src.utils.config import find_home, load_environment, load_settings
    from src.utils.log import set_up_logging

log = logging.getLogger("hunter.main")

EXIT_CONFIG, EXIT_LOCKED = 2, 3
_LAST_WORDS_SECONDS = 1.0


def start(arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Read everything, take the lock, run. ConfigError where the bot cannot be started as it is set."""
    clock = SystemClock()
    began_at = clock.now_ms()
    environment = load_environment(find_home(arguments.home))
    credentials = environment.credentials
    hidden = credentials.secrets if credentials else ()
    set_up_logging("bot", environment.log_directory, secrets=hidden)
    settings = load_settings(environment.settings_file)
    for sentence in (*environment.warnings, *settings.obsolete):
        log.warning("%s", sentence)
    if not settings.globals_.simulate_only and credentials is None and not environment.is_supervised:
        raise ConfigError(
            f"settings.json asks for real orders (simulate_only is false), but {environment.home / '.env'} holds "
            "neither an API key nor an API wallet: run python main.py --setup, or set simulate_only to true"
        )
    lock = LedgerLock(environment.database)
    lock.acquire()
    try:
        ledger = open_ledger(environment.database, clock.now_ms())
        around = Surroundings(environment, settings, clock, stop, arguments.protect_only, began_at, arguments.yes)
        mode = mode_of(environment.network, is_simulated=settings.globals_.simulate_only)
        log.info("bot %s on %s: %s, symbols %s", VERSION, environment.network, mode, ", ".join(settings.symbols))
        return Bot(around, ledger).run(str(ledger.moved_aside) if ledger.moved_aside else None)
    finally:
        lock.release()


def _stop_on_signals() -> threading.Event:
    """Ctrl-C and a service manager's stop set it."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), ask_to_stop)
    return stop


def ask_for_set_up(home: str | None) -> int:
    """The questions of ``--setup``, and what the exchange says to the answers."""
    environment = load_environment(find_home(home))
    checker = CredentialChecker(environment.base_url, SystemClock())
    terminal = Terminal(input, getpass.getpass, print)
    try:
        return set_up(environment, terminal, lambda found, hedge_mode: checker.check(found, hedge_mode=hedge_mode))
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was saved.")
        return 1


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 stopped, 1 died, 2 settings or .env, 3 another bot runs on this database, 4 start anew."""
    arguments = parse_arguments(argv)
    try:
        if arguments.wish is Wish.CHECK:
            return report(examine(find_home(arguments.home), SystemClock()), utf8_output())
        if arguments.wish is Wish.SETUP:
            return ask_for_set_up(arguments.home)
        if arguments.wish is not None:
            return fulfil(arguments.wish, arguments.home, SystemClock())
        return start(arguments, _stop_on_signals())
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return _exit_code(error)


def _exit_code(error: ConfigError) -> int:
    """A database that only cannot be used at this moment is tried again by the launcher."""
    match error:
        case AlreadyRunning():
            return EXIT_LOCKED
        case Unavailable():
            return EXIT_CRASH
        case _:
            return EXIT_CONFIG


def end(code: int) -> NoReturn:
    """Leave; after a crash whatever hangs: Python would wait for the scheduler's threads for ever."""
    if code == EXIT_CRASH:
        last_words = threading.Thread(target=logging.shutdown, daemon=True)
        last_words.start()
        last_words.join(_LAST_WORDS_SECONDS)
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    end(main())
