"""``python -m benchmarks``: how fast is the bot, as ratios against a floor measured in the same run."""

import argparse
import sys

from benchmarks.burst import measure_burst
from benchmarks.latency import measure_latency
from benchmarks.signing import measure_signing


def main() -> int:
    """Print every figure with what it is compared to; 1 where one lies past its bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=150, help="liquidations for the latency figures (default 150)")
    parser.add_argument("--burst", type=int, default=20_000, help="liquidations in the burst (default 20000)")
    parser.add_argument("--signatures", type=int, default=300, help="requests to sign each way (default 300)")
    arguments = parser.parse_args()
    signing = measure_signing(arguments.signatures)
    for each in signing:
        print(each.told())
    print(f"event → order received, {arguments.events} events each, bot and floor in turn")
    latency = measure_latency(arguments.events)
    print(latency.told())
    burst = measure_burst(arguments.burst)
    print(burst.told())
    return 0 if latency.is_good and burst.is_good and all(each.is_good for each in signing) else 1


if __name__ == "__main__":
    sys.exit(main())
