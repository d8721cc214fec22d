"""``python -m benchmarks``: speed of the bot, compared with a minimal program measured in the same run."""

import argparse
import sys

from benchmarks.burst import measure_burst
from benchmarks.latency import measure_latency
from benchmarks.signing import measure_signing


def main() -> int:
    """Print all figures with their bounds; returns 1 if one exceeds its bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=150, help="liquidations for the latency figures (default 150)")
    parser.add_argument("--burst", type=int, default=20_000, help="liquidations in the burst (default 20000)")
    parser.add_argument("--signatures", type=int, default=300, help="requests to sign with each method (default 300)")
    arguments = parser.parse_args()
    signing = measure_signing(arguments.signatures)
    for each in signing:
        print(each.report())
    print(f"event → order received, {arguments.events} events each, bot and baseline alternating")
    latency = measure_latency(arguments.events)
    print(latency.report())
    burst = measure_burst(arguments.burst)
    print(burst.report())
    return 0 if latency.is_good and burst.is_good and all(each.is_good for each in signing) else 1


if __name__ == "__main__":
    sys.exit(main())
