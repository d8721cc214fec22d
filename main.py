"""Entry point of the bot without its dashboard: command line, startup and exit codes."""

import argparse
import getpass
import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from src.launch.errors import required_packages

with required_packages(of_program=__name__ == "__main__"):
    from src import VERSION
    from src.bot.bot import Bot, RunConfig
    from src.core.operator.cli import IMPORTS, CliCommand, answer_position, parse_arguments, run_command
    from src.core.operator.importing import Importer
    from src.core.operator.setup_wizard import Terminal, run_setup
    from src.database.foreign import reject_foreign
    from src.database.open_database import AlreadyRunning, DatabaseBusy, DatabaseLock, open_database
    from src.doctor.run import print_report, run_checks
    from src.domain.clock import SystemClock
    from src.domain.enums import mode_description
    from src.domain.errors import ConfigError
    from src.exchange.credential_check import CredentialChecker
    from src.launch.console import utf8_output
    from src.launch.shutdown import EXIT_CONFIG, EXIT_CRASH, EXIT_LOCKED, stop_on_signals
    from src.settings.config import find_home, load_environment, load_settings
    from src.utils.log import set_up_logging

log = logging.getLogger("hunter.main")

_LOG_FLUSH_SECONDS = 1.0


def start(arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Load the configuration, lock the database and run the bot. Raises ConfigError if it cannot start."""
    clock = SystemClock()
    started_at = clock.now_ms()
    environment = load_environment(find_home(arguments.home))
    credentials = environment.credentials
    hidden = credentials.secrets if credentials else ()
    environment.make_private()
    set_up_logging("bot", environment.log_directory, secrets=hidden)
    settings = load_settings(environment.settings_file)
    for sentence in (*environment.warnings, *settings.obsolete, *settings.adapted):
        log.warning("%s", sentence)
    if not settings.globals_.simulate_only and credentials is None and not environment.is_supervised:
        raise ConfigError(
            f"settings.json enables live trading (simulate_only is false), but {environment.home / '.env'} has no API "
            "key or API wallet: run python main.py --setup, or set simulate_only to true"
        )
    reject_foreign(environment.database)
    lock = DatabaseLock(environment.database)
    lock.acquire()
    try:
        database = open_database(environment.database, clock.now_ms())
        config = RunConfig(environment, settings, clock, stop, arguments.protect_only, started_at, arguments.yes)
        mode = mode_description(environment.network, is_simulated=settings.globals_.simulate_only)
        log.info(
            "bot started version=%s network=%s mode=%s symbols=%s",
            VERSION,
            environment.network,
            mode,
            ",".join(settings.symbols),
        )
        return Bot(config, database).run(str(database.quarantined_to) if database.quarantined_to else None)
    finally:
        lock.release()


def run_setup_wizard(home: str | None) -> int:
    """Run the setup dialog, testing credentials against the exchange; returns the exit code."""
    environment = load_environment(find_home(home))
    checker = CredentialChecker(environment.base_url, environment.network, SystemClock())
    terminal = Terminal(input, getpass.getpass, print)
    try:
        return run_setup(environment, terminal, lambda found, hedge_mode: checker.check(found, hedge_mode=hedge_mode))
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was saved.")
        return 1


def run_import(arguments: argparse.Namespace) -> int:
    """Take over another bot's settings or database; returns the exit code."""
    environment = load_environment(find_home(arguments.home))
    ask = input if sys.stdin and sys.stdin.isatty() else None
    importer = Importer(environment, SystemClock(), partial(print, flush=True, file=utf8_output()), ask, arguments.yes)
    is_database = arguments.command is CliCommand.IMPORT_DB
    return importer.import_database(arguments.file) if is_database else importer.import_settings(arguments.file)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 stopped, 1 crashed, 2 bad settings or .env, 3 database in use by another bot, 4 restart, 5 stopped
    while an entry or an unprotected position is left at the exchange."""
    arguments = parse_arguments(argv)
    try:
        if arguments.command is CliCommand.CHECK:
            return print_report(run_checks(find_home(arguments.home), SystemClock()), utf8_output())
        if arguments.command is CliCommand.SETUP:
            return run_setup_wizard(arguments.home)
        if arguments.command in IMPORTS:
            return run_import(arguments)
        if arguments.command is CliCommand.POSITION:
            return answer_position(arguments, SystemClock(), input if sys.stdin and sys.stdin.isatty() else None)
        if arguments.command is not None:
            return run_command(arguments.command, arguments.home, SystemClock())
        stop = threading.Event()
        stop_on_signals(stop.set)
        return start(arguments, stop)
    except ConfigError as error:
        for message in error.messages:
            print(message, file=sys.stderr)
        return _exit_code(error)


def _exit_code(error: ConfigError) -> int:
    """A busy database counts as a crash, so that the launcher retries."""
    match error:
        case AlreadyRunning():
            return EXIT_LOCKED
        case DatabaseBusy():
            return EXIT_CRASH
        case _:
            return EXIT_CONFIG


def exit_process(code: int) -> NoReturn:
    """Exit the process; after a crash without waiting for hanging threads, which would block a normal exit."""
    if code == EXIT_CRASH:
        log_flush = threading.Thread(target=logging.shutdown, daemon=True)
        log_flush.start()
        log_flush.join(_LOG_FLUSH_SECONDS)
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    os.umask(0o077)  # whatever is written is for its owner only
    exit_process(main())
