"""Requires 95 % line and 90 % branch coverage of the packages that handle money: ``coverage_gate.py coverage.json``.

coverage.py checks only one combined total; this reads its JSON report and checks both figures for each package.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("src/core", "src/engine", "src/exchange", "src/domain")
MIN_LINES_PCT = 95.0
MIN_BRANCHES_PCT = 90.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of one package, in percent."""

    package: str
    lines_pct: float
    branches_pct: float

    @property
    def is_sufficient(self) -> bool:
        return self.lines_pct >= MIN_LINES_PCT and self.branches_pct >= MIN_BRANCHES_PCT

    def __str__(self) -> str:
        result = "ok" if self.is_sufficient else f"TOO LOW, required: {MIN_LINES_PCT:g} and {MIN_BRANCHES_PCT:g}"
        return f"{self.package:<13} lines {self.lines_pct:6.2f} %  branches {self.branches_pct:6.2f} %  {result}"


def measure(report: dict[str, dict[str, dict[str, dict[str, int]]]], package: str) -> Coverage:
    """Add up the files of a package; a package without files has no coverage."""
    files = [
        entry["summary"] for name, entry in report["files"].items() if name.replace("\\", "/").startswith(package + "/")
    ]
    if not files:
        return Coverage(package, 0.0, 0.0)
    lines = _percent(sum(file["covered_lines"] for file in files), sum(file["num_statements"] for file in files))
    branches = _percent(sum(file["covered_branches"] for file in files), sum(file["num_branches"] for file in files))
    return Coverage(package, lines, branches)


def _percent(covered: int, total: int) -> float:
    return 100.0 * covered / total if total else 100.0


def main(report: Path) -> int:
    """Print the coverage of each package; returns 1 if one is too low."""
    content = json.loads(report.read_text(encoding="utf-8"))
    figures = [measure(content, package) for package in PACKAGES]
    print(*figures, sep="\n")
    return 0 if all(each.is_sufficient for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
