"""Command line of the sandbox and the scenario it selects."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from src.domain.numbers import ZERO
from src.sandbox.market.listings import also_quoted_in, load_listings
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
    quotes: tuple[str, ...] = ()


def parse_options(arguments: Sequence[str]) -> Options:
    """Parse the command line; exits with code 2 and a message if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m src.sandbox.server",
        description="A local exchange with Aster's protocol, play money and a synthetic or recorded market.",
    )
    parser.add_argument(
        "--home", type=Path, default=Path("data/demo"), help="directory for .env with keys and addresses"
    )
    parser.add_argument("--rest-port", type=_port, default=0, help="default: any free port")
    parser.add_argument("--ws-port", type=_port, default=0, help="default: any free port")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="replay recorded liquidations (CSV, plain or gzip)")
    parser.add_argument("--speed", type=_speed, default=Decimal(1), help="replay speed factor (default 1)")
    parser.add_argument("--klines", type=Path, metavar="DIR", help="directory with recorded candles: SYMBOL.csv.gz")
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic market (default 1)")
    parser.add_argument("--allow-faults", action="store_true", help="enable fault injection by /sandbox/faults (tests)")
    parser.add_argument(
        "--scheme", type=ApiVersion, choices=list(ApiVersion), default=ApiVersion.V1, help="credentials written to .env"
    )
    parser.add_argument(
        "--quotes",
        type=_assets,
        default=(),
        metavar="ASSETS",
        help="list the symbols of the synthetic market in these assets too, for example USDC,USD1",
    )
    options = parser.parse_args(arguments)
    if options.klines is not None and options.replay is None:
        parser.error("--klines needs --replay")
    return Options(**vars(options))


def make_scenario(options: Options) -> Scenario:
    """Return the scenario of these options. Raises ConfigError if a recording cannot be read."""
    if options.replay is not None:
        return replay_scenario(options.replay, options.speed, options.klines, waits_for_subscriber=True)
    return synthetic_scenario(options.seed, options.quotes)


def synthetic_scenario(seed: int = 1, quotes: Sequence[str] = ()) -> Scenario:
    """Return a synthetic market with liquidation cascades; its symbols are quoted in USDT and in ``quotes``."""
    listings = also_quoted_in(load_listings(), quotes)
    return Scenario(
        listings,
        lambda at: SyntheticSource(listings.values(), at, seed),
        lambda at: synthetic_history(listings.values(), at, seed),
    )


def replay_scenario(
    file: Path, speed: Decimal = Decimal(1), klines: Path | None = None, *, waits_for_subscriber: bool = False
) -> Scenario:
    """Return the market of a recording. Raises ConfigError if a file cannot be read."""
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


def _assets(text: str) -> tuple[str, ...]:
    assets = tuple(text.split(","))
    if all(asset.isascii() and asset.isalnum() and asset.isupper() for asset in assets):
        return assets
    raise argparse.ArgumentTypeError(f"{text!r} is not a list of assets")


def _speed(text: str) -> Decimal:
    try:
        speed = Decimal(text)
    except InvalidOperation:
        speed = ZERO
    if not (speed.is_finite() and Decimal("0.01") <= speed <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed between 0.01 and 1000000")
    return speed
