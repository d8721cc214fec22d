"""``python -m benchmarks [name …]``: how fast the bot is, compared with a floor measured in the same run.

Names: v1, v3 (event → order and fill → stop without delay), delays (round trips of 20 and 80 ms), burst, signing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import burst, report
from benchmarks.latency import ROUNDS, measure_latency
from benchmarks.report import BurstRow, Row
from benchmarks.signing import measure_signing
from src.utils.auth import ApiVersion

_NAMES = ("v1", "v3", "delays", "burst", "signing")
_DELAYS_MS = (20, 80)
_DELAYED_EVENTS = 5
"""One delayed round has fewer events by this factor: what it shows is the round trip."""
_BURSTS = (20_000, 200_000)


def main() -> int:
    """Print all figures with their goals; returns 1 if one is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure (default: all): {', '.join(_NAMES)}")
    parser.add_argument(
        "--events", type=int, default=200, help=f"liquidations in each of {ROUNDS} rounds (default 200)"
    )
    parser.add_argument("--signatures", type=int, default=300, help="requests to sign with each method (default 300)")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the databases are (default: temporary)"
    )
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument("--document", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    names: list[str] = arguments.names or list(_NAMES)
    if unknown := set(names).difference(_NAMES):
        parser.error(f"unknown name: {', '.join(sorted(unknown))}")
    where = report.machine(arguments.folder)
    signing = measure_signing(arguments.signatures) if "signing" in names else []
    for each in signing:
        print(each.report())
    rows = _latencies(names, arguments.events, arguments.folder)
    bursts = [_burst(count, arguments.folder) for count in _BURSTS] if "burst" in names else []
    print(f"\n{where}\n\n{report.tables(rows, bursts)}")
    if arguments.json:
        arguments.json.write_text(report.to_json(rows, bursts, where), encoding="utf-8")
    if arguments.document:
        report.write_document(rows, bursts, where, " ".join(["python -m benchmarks", *sys.argv[1:]]))
    met = [each.is_good for each in signing] + [row.is_good for row in rows] + [row.is_good for row in bursts]
    return 0 if all(met) else 1


def _latencies(names: list[str], events: int, folder: Path) -> list[Row]:
    rows: list[Row] = []
    for version in ApiVersion:
        if version.value in names:
            rows += measure_latency(version, 0, events, folder, _say)
    if "delays" in names:
        for delay_ms in _DELAYS_MS:
            rows += measure_latency(ApiVersion.V1, delay_ms, max(events // _DELAYED_EVENTS, 10), folder, _say)
    return rows


def _burst(count: int, folder: Path) -> BurstRow:
    _say(f"burst of {count} liquidations")
    return BurstRow(count, burst.measure("floor", count, folder), burst.measure("bot", count, folder))


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
