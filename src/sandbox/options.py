"""The command line of the sandbox, and the market it asks for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from src.sandbox.market.listings import load_listings
from src.sandbox.market.recording import load_candles, load_recording
from src.sandbox.market.replay import ReplaySource, listings_for, make_price_paths
from src.sandbox.market.scenario import Scenario, recorded_history, synthetic_history
from src.sandbox.market.synthetic import SyntheticSource
from src.utils.auth import ApiVersion


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
    scheme: ApiVersion


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
    parser.add_argument(
        "--scheme", type=ApiVersion, choices=list(ApiVersion), default=ApiVersion.V1, help="what .env signs with"
    )
    options = parser.parse_args(arguments)
    if options.klines is not None and options.replay is None:
        parser.error("--klines needs --replay")
    return Options(**vars(options))


def make_scenario(options: Options) -> Scenario:
    """The market the options ask for; raises ConfigError where a recording cannot be read."""
    if options.replay is not None:
        return replay_scenario(options.replay, options.speed, options.klines, waits_for_subscriber=True)
    return synthetic_scenario(options.seed)


def synthetic_scenario(seed: int = 1) -> Scenario:
    """The made-up market with its cascades."""
    listings = load_listings()
    return Scenario(
        listings,
        lambda at: SyntheticSource(listings.values(), at, seed),
        lambda at: synthetic_history(listings.values(), at, seed),
    )


def replay_scenario(
    file: Path, speed: Decimal = Decimal(1), klines: Path | None = None, *, waits_for_subscriber: bool = False
) -> Scenario:
    """The market of a recording; raises ConfigError where a file cannot be read."""
    recording = load_recording(file)
    candles = load_candles(klines, recording.symbols) if klines is not None else {}
    paths = make_price_paths(recording, candles)
    listings = listings_for(recording, load_listings(), paths)
    return Scenario(
        listings,
        lambda at: ReplaySource(recording, paths, at, speed),
        lambda at: recorded_history(candles, recording.started_at, at),
        waits_for_subscriber,
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
