"""The command line of the sandbox, and the market it asks for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from src.sandbox.catalogue import load_catalogue
from src.sandbox.history import made_up_history, recorded_history
from src.sandbox.recording import load_candles, load_recording
from src.sandbox.replay import ReplaySource, listings_for, plan_paths
from src.sandbox.script import Script
from src.sandbox.synthetic import SyntheticSource
from src.utils.auth import Scheme


@dataclass(frozen=True, slots=True)
class Options:
    home: Path
    rest_port: int
    ws_port: int
    replay: Path | None
    speed: Decimal
    klines: Path | None
    seed: int
    allow_faults: bool
    scheme: Scheme


def parse_options(arguments: Sequence[str]) -> Options:
    """Ends the program with exit code 2 and a sentence where the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m src.sandbox.server",
        description="A local exchange that speaks Aster's protocol, with play money and a made-up or recorded market.",
    )
    parser.add_argument("--home", type=Path, default=Path("data/demo"), help="where keys and addresses are written")
    parser.add_argument("--rest-port", type=_port, default=0, help="default: any free one")
    parser.add_argument("--ws-port", type=_port, default=0, help="default: any free one")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play recorded liquidations (CSV, plain or gzip)")
    parser.add_argument("--speed", type=_speed, default=Decimal(1), help="how many times as fast (default 1)")
    parser.add_argument("--klines", type=Path, metavar="DIR", help="recorded prices: SYMBOL.csv.gz")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up market (default 1)")
    parser.add_argument("--allow-faults", action="store_true", help="let /sandbox/faults make it misbehave (tests)")
    parser.add_argument("--scheme", type=Scheme, choices=list(Scheme), default=Scheme.V1, help="what .env signs with")
    options = parser.parse_args(arguments)
    if options.klines is not None and options.replay is None:
        parser.error("--klines needs --replay")
    return Options(**vars(options))


def make_script(options: Options) -> Script:
    """The market the options ask for; raises ConfigError where a recording cannot be read."""
    if options.replay is not None:
        return replay_script(options.replay, options.speed, options.klines, awaits_listener=True)
    return synthetic_script(options.seed)


def synthetic_script(seed: int = 1) -> Script:
    """The made-up market with its cascades."""
    listings = load_catalogue()
    return Script(
        listings,
        lambda at: SyntheticSource(listings.values(), at, seed),
        lambda at: made_up_history(listings.values(), at, seed),
    )


def replay_script(
    file: Path, speed: Decimal = Decimal(1), klines: Path | None = None, *, awaits_listener: bool = False
) -> Script:
    """The market of a recording; raises ConfigError where a file cannot be read."""
    recording = load_recording(file)
    candles = load_candles(klines, recording.symbols) if klines is not None else {}
    paths = plan_paths(recording, candles)
    listings = listings_for(recording, load_catalogue(), paths)
    return Script(
        listings,
        lambda at: ReplaySource(recording, paths, at, speed),
        lambda at: recorded_history(candles, recording.started_at, at),
        awaits_listener,
    )


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port")


def _speed(text: str) -> Decimal:
    try:
        speed = Decimal(text)
    except InvalidOperation:
        speed = Decimal(0)
    if not (speed.is_finite() and Decimal("0.01") <= speed <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed between 0.01 and 1000000")
    return speed
