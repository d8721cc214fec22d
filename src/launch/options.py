"""The launcher's command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = (
    "Starts the Aster liquidation hunter: the bot and its dashboard; with --demo also a local exchange to try them on."
)
EPILOG = """\
The first start creates .venv next to this file and installs requirements.txt; later starts skip this.

Without --demo the bot reads .env and settings.json next to this file. With --demo all files are in data/demo:
no key is needed, and your own .env, settings.json and database are not used.

The dashboard listens on http://127.0.0.1:5000; set HOST and PORT in the environment or in .env to change this.
Logs are in the folder logs next to the database. NO_COLOR=1 turns colours off.

exit codes: 0 stopped, 1 failure, 2 wrong options, settings, port or installation, 3 the bot is already running,
5 stopped, but an order at the exchange needs you: see the log
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Parsed command line; paths are absolute."""

    demo: bool
    install: bool
    replay: Path | None
    speed: float | None
    klines: Path | None
    yes: bool = False


def parse_options(arguments: Sequence[str]) -> Options:
    """Parse the command line; an invalid option ends the process with exit code 2 and a message."""
    parser = argparse.ArgumentParser(
        "launcher.py", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demo", action="store_true", help="trade on a local exchange with play money; no key needed")
    parser.add_argument(
        "--replay", metavar="FILE", type=Path, help="with --demo: replay recorded liquidations (CSV, may be gzipped)"
    )
    parser.add_argument("--speed", metavar="N", type=float, help="with --replay: play N times as fast as recorded")
    parser.add_argument("--klines", metavar="DIR", type=Path, help="with --replay: read prices from klines in DIR")
    parser.add_argument(
        "--yes", action="store_true", help="confirm live trading with these settings without asking (for services)"
    )
    parser.add_argument("--no-install", action="store_true", help="install nothing: fail if packages are missing")
    chosen = parser.parse_args(arguments)
    if chosen.replay is not None and not chosen.demo:
        parser.error("--replay needs --demo")
    if chosen.replay is None and (chosen.speed is not None or chosen.klines is not None):
        parser.error("--speed and --klines need --replay")
    if chosen.speed is not None and not 0 < chosen.speed < float("inf"):
        parser.error("--speed must be a number above 0")
    if chosen.replay is not None and not chosen.replay.is_file():
        parser.error(f"--replay: {chosen.replay} is not a file")
    if chosen.klines is not None and not chosen.klines.is_dir():
        parser.error(f"--klines: {chosen.klines} is not a directory")
    return Options(
        demo=chosen.demo,
        install=not chosen.no_install,
        replay=chosen.replay and chosen.replay.resolve(),
        speed=chosen.speed,
        klines=chosen.klines and chosen.klines.resolve(),
        yes=chosen.yes,
    )
