"""The launcher's command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = (
    "Starts the Aster liquidation hunter: the bot and its dashboard, and with --demo a local exchange to try them on."
)
EPILOG = """\
The first start makes .venv beside this file and installs what requirements.txt names; later starts skip that.

Without --demo the bot reads .env and settings.json beside this file. With --demo everything lives in data/demo:
no key is needed, and your own .env, settings.json and database are neither read nor touched.

The dashboard listens on http://127.0.0.1:5000; PORT and HOST, in the environment or in .env, change that.
Logs are in the folder logs beside the database. NO_COLOR=1 turns the colours off.

exit codes: 0 stopped, 1 something failed, 2 wrong options, settings, port or set-up, 3 the bot already runs
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; paths are absolute."""

    demo: bool
    install: bool
    replay: Path | None
    speed: float | None
    klines: Path | None
    yes: bool = False


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; a fault ends the process with exit code 2 and a sentence."""
    parser = argparse.ArgumentParser(
        "launcher.py", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demo", action="store_true", help="trade on a local exchange with play money, no key needed")
    parser.add_argument(
        "--replay", metavar="FILE", type=Path, help="with --demo: play a recorded liquidation file (CSV, gzip)"
    )
    parser.add_argument("--speed", metavar="N", type=float, help="with --replay: N times as fast as it happened")
    parser.add_argument("--klines", metavar="DIR", type=Path, help="with --replay: take prices from the klines in DIR")
    parser.add_argument(
        "--yes", action="store_true", help="agree to real orders as the settings ask for them (for services)"
    )
    parser.add_argument("--no-install", action="store_true", help="set nothing up: fail when packages are missing")
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
