"""Holds the four rooms that handle money to 95 % of lines and 90 % of branches: ``coverage_gate.py coverage.json``.

coverage.py knows one combined total only; this reads its JSON report and checks both figures for each room.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("src/core", "src/engine", "src/exchange", "src/domain")
LINES_PCT = 95.0
BRANCHES_PCT = 90.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was covered of one room, in percent."""

    room: str
    lines_pct: float
    branches_pct: float

    @property
    def is_enough(self) -> bool:
        return self.lines_pct >= LINES_PCT and self.branches_pct >= BRANCHES_PCT

    def __str__(self) -> str:
        verdict = "ok" if self.is_enough else f"TOO LOW, wanted {LINES_PCT:g} and {BRANCHES_PCT:g}"
        return f"{self.room:<13} lines {self.lines_pct:6.2f} %  branches {self.branches_pct:6.2f} %  {verdict}"


def measure(report: dict[str, dict[str, dict[str, dict[str, int]]]], room: str) -> Figures:
    """Add up the files of ``room``; one that has none counts as not covered at all."""
    files = [
        entry["summary"] for name, entry in report["files"].items() if name.replace("\\", "/").startswith(room + "/")
    ]
    if not files:
        return Figures(room, 0.0, 0.0)
    lines = _percent(sum(file["covered_lines"] for file in files), sum(file["num_statements"] for file in files))
    branches = _percent(sum(file["covered_branches"] for file in files), sum(file["num_branches"] for file in files))
    return Figures(room, lines, branches)


def _percent(covered: int, total: int) -> float:
    return 100.0 * covered / total if total else 100.0


def main(report: Path) -> int:
    """Print the figures of each room; returns 1 when one is too low."""
    content = json.loads(report.read_text(encoding="utf-8"))
    rooms = [measure(content, room) for room in ROOMS]
    print(*rooms, sep="\n")
    return 0 if all(room.is_enough for room in rooms) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
