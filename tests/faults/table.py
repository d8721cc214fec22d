"""docs/faults.md: what the last run of the fault tests has shown, fault by fault."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.catalogue import CATALOGUE, KNOWN_GAPS, CataloguedFault, Gap

NAKED = "longest without a full stop"
"""The property of a test that holds a measured time without protection, in ms on the exchange's clock."""

_FAULT_TEST = re.compile(r"::test_f(\d\d)_")
_DEATHS, _DEATH_TESTS = 44, ("tests/recovery/", "tests/system/test_kill.py")
"""Killed processes have rooms of their own."""
_ABOVE = """# Faults: what must not lose money, and what was measured

Written by the run of the tests (`python3 tests/run.py --faults-table=docs/faults.md`, as CI does): each fault is
brought about at the edge of the sandbox exchange, and judged by the sandbox's own books. In every one of them: no order
was asked for twice, no position was flipped, and the bot's ledger ended equal to the exchange's, to the last digit.

*Without a stop* is the longest time any position had no stop for its whole size, on the exchange's clock, over all
tests of the fault; milliseconds on the machine of that run. *Measured* is what else a fault's bound asks for.
"""


@dataclass(slots=True)
class Shown:
    """What the tests of one fault have come to."""

    outcomes: dict[str, bool] = field(default_factory=dict)
    """By test: whether every part of it passed."""
    naked_ms: int | None = None
    measured: dict[str, int] = field(default_factory=dict)

    def note(self, test: str, passed: bool, properties: Iterable[tuple[str, object]]) -> None:
        """Add one phase of a test; of what was measured more than once the worst counts."""
        self.outcomes[test] = self.outcomes.get(test, True) and passed
        for name, value in properties:
            if not isinstance(value, int):
                continue
            if name == NAKED:
                self.naked_ms = max(self.naked_ms or 0, value)
            else:
                self.measured[name] = max(self.measured.get(name, 0), value)

    @property
    def result(self) -> str:
        if not self.outcomes:
            return "**not tested**"
        failed = sum(not passed for passed in self.outcomes.values())
        return f"**{failed} of {len(self.outcomes)} failed**" if failed else "holds"


class FaultsTable:
    """Listens to the run and writes the page at its end."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._shown: dict[int, Shown] = defaultdict(Shown)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        number = _fault_of(report.nodeid)
        if number is not None and str(report.outcome) != "rerun":  # the second run counts
            self._shown[number].note(report.nodeid, report.passed, report.user_properties)

    def pytest_sessionfinish(self) -> None:
        self._target.write_text(page(self._shown), encoding="utf-8", newline="\n")


def _fault_of(node: str) -> int | None:
    named = _FAULT_TEST.search(node)
    if named is not None:
        return int(named[1])
    return _DEATHS if node.startswith(_DEATH_TESTS) else None


def page(shown: dict[int, Shown], gaps: Sequence[Gap] = KNOWN_GAPS) -> str:
    """The whole page."""
    rows = [_row(fault, shown.get(fault.number, Shown())) for fault in CATALOGUE]
    head = ["| # | what breaks | what must happen | bound | tests | result | without a stop | measured |"]
    lines = [*head, "|---|---|---|---|---|---|---|---|", *rows]
    return "\n".join([_ABOVE, *lines, "", "## What could not be made true", "", *_told(gaps), ""])


def _row(fault: CataloguedFault, shown: Shown) -> str:
    naked = "–" if shown.naked_ms is None else f"{shown.naked_ms} ms"
    measured = "; ".join(f"{name}: {value} ms" for name, value in sorted(shown.measured.items())) or "–"
    cells = (f"F{fault.number}", fault.breaks, fault.must, fault.bound or "–", str(len(shown.outcomes)), shown.result)
    return f"| {' | '.join((*cells, naked, measured))} |"


def _told(gaps: Sequence[Gap]) -> list[str]:
    if not gaps:
        return ["Nothing is known that belongs here."]
    rows = [f"| F{gap.number} | {gap.what} | {gap.reason} |" for gap in gaps]
    return ["| # | what | why |", "|---|---|---|", *rows]
