"""Everything that can go wrong between a bot and its exchange, as this project counts it: F1 to F48."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class CataloguedFault:
    number: int
    breaks: str
    expected: str
    """What must happen all the same."""
    bound: str
    """Within what time; empty where it is no question of time."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A claim that does not hold, or that no test can show: told, not hidden."""

    number: int
    what: str
    reason: str


_ROWS = (
    ("an entry executes, the answer is 503", "found by its client id, protected, never sent again", "stop in 5 s"),
    ("an entry executes, the connection breaks before the answer", "the same", "10 s"),
    ("an entry answered by 503 never came to be", "given up only after three denials; symbol free again", "30 s"),
    ("an entry executes long after its 503", "noticed, protected or closed, a person told", "5 s from the fill"),
    ("a stop rests, its answer was -1007", "found; one stop too many at most, and that one removed", "5 s; 60 s"),
    ("a stop answered by -1007 does not rest", "another one is placed", "5 s"),
    ("a close executes, the answer is 503", "the position is read; no second close, nothing flips", "5 s"),
    ("a stop is refused because it would fire at once", "the position is closed at once", "2 s"),
    ("the market refuses a close three times", "market, limit, market again; stop stays; alarm", "rung 2 in 10 s"),
    ("a close is refused, the books call the position open", "position read, closed in the books if gone", "5 s"),
    ("no margin for an entry, or for a stop", "entry dropped, side cools down; stop tried again", "2 s"),
    ("too many stops or orders at the exchange", "tried again, and closed where no stop finds room", "5 s"),
    ("the filters of a symbol have changed", "tried again by the filters of now", "3 s"),
    ("a timestamp out of the window", "clock compared, signed anew once, same order", "2 s"),
    ("the machine's clock is wrong, then jumps an hour back", "entries halt; no lock ends early or lasts", "15 s"),
    ("429, with and without a time to wait", "only protection and reading go on", "at once"),
    ("418 for minutes, with a position open", "silence; the stop rests; read again afterwards", "10 s after it"),
    ("HTML, nothing, half an answer or a list for an object", "nothing is believed, no account is flat", ""),
    ("REST down, streams alive", "entries halt; the stop rests; the position is followed", "10 s"),
    ("streams down, REST alive", "entries halt; the account is polled", "10 s"),
    ("a stream stays open and says nothing", "called stale by its content, connected anew", "15 s"),
    ("fills are lost in a gap of the stream", "found by reading, booked once", "30 s"),
    ("events twice, in the wrong order, a minute late", "books as if in order", ""),
    ("the listen key ends, or cannot be renewed", "a new key, a new stream, the account read", "10 s"),
    ("the stream is cut after a day, or as an entry leaves", "the account is read first; entry protected", "10 s"),
    ("200 liquidations a second for a minute", "no event of ours is lost or waits", "user event 1 s late"),
    ("an entry fills in part and ends", "the part is protected, the books are exact", "5 s"),
    ("a fill is told after the cancel", "books put right, position protected", "5 s"),
    ("a stop fires and its order is refused", "the rest is closed, or stopped again", "5 s"),
    ("stopped out, the take profit is left, a new entry follows", "what is left goes first", "10 s"),
    ("a take profit fills in part in a thin book", "the stop covers the rest", "always"),
    ("somebody closes or changes the position by hand", "taken over or left; the stop fits again", "30 s"),
    ("somebody cancels the stop by hand", "replaced each time, told; from the third time an alarm", "5 s"),
    ("liquidation, deleveraging, delisting", "booked as that; no order left; symbol locked", "10 s"),
    ("funding without a position, news of another symbol", "nothing is closed", ""),
    ("leverage, margin type or position mode changed outside", "entries halt on it; positions mapped anew", "30 s"),
    ("a symbol stops trading", "no entries there; exits tried; a person told", "60 s"),
    ("the key is revoked, or the account may only reduce", "entries halt, alarm, looking goes on", "5 s"),
    ("positions are answered from an old copy", "not acted upon, nor believed against newer fills", ""),
    ("open orders leave out a stop that rests", "one stop more at most; no close, no storm", ""),
    ("two bots on one account", "the second refuses, or both halt entries and say so", "30 s"),
    ("a thread raises, hangs, or the process is frozen", "noticed, started again, read before acting", "15 s"),
    ("database locked, full, read-only or gone", "entries halt; stops and closes leave, noted elsewhere", "2 s"),
    ("kill -9 of bot, dashboard, launcher, or power cut", "everything protected, or an alarm", "20 s"),
    ("the dashboard is hammered, or hangs", "the bot is as fast as before", ""),
    ("two requests share a nonce, the signer's clock goes back", "nonces only rise, none is refused", ""),
    ("the price is past the stop before it rests", "closed, the loss booked as it was", "5 s"),
    ("fifty signals within a second", "no cap is passed, no limit outrun", ""),
)

CATALOGUE = tuple(CataloguedFault(number, *row) for number, row in enumerate(_ROWS, start=1))
KNOWN_GAPS: tuple[Gap, ...] = (
    Gap(
        20,
        "streams or REST that are gone for five minutes (F19, F20) are gone for about twelve seconds",
        "the same timers and counts run; the full time for each scheme of signing would outlast CI",
    ),
    Gap(
        21,
        "a private stream that says nothing while nothing happens in the account",
        "pongs prove its connection and extensions its key, but nothing harmless makes it speak; the first order or "
        "position that REST shows and it did not tell ends it",
    ),
    Gap(
        23, "events come twelve seconds late, not sixty", "the order of events is what matters, and is drawn at random"
    ),
    Gap(26, "the flood lasts six seconds, not sixty", "the bound of the queue is reached by a test of its own"),
    Gap(
        32,
        "a position that replaced the bot's, opened by a resting order that somebody placed before the bot's began",
        "the list of orders does not name it: in doubt it is protected as the bot's, and closed by a person only",
    ),
    Gap(
        34,
        "deleveraging and settlement are played by an order of the name the exchange gives it",
        "no public source shows Aster's own events of them; liquidations are the sandbox engine's",
    ),
    Gap(
        36,
        "a position that is held while the position mode changes",
        "the exchange, and so the sandbox, changes the mode only of a flat account",
    ),
    Gap(
        41,
        "a bot whose database is new takes up another one's orders that rest already",
        "they may be its own, of a database that was lost, and are protected as such",
    ),
    Gap(42, "the process stands still for 17 seconds, not sixty", "all bounds are below 15 seconds"),
    Gap(
        44,
        "a position whose ledger was lost with it is taken for somebody else's: an alarm, no stop",
        "what is not known to be ours is not touched, unless adopt_foreign_positions says so",
    ),
    Gap(
        44,
        "the start of Python itself is left out of the 20 seconds where it takes over five",
        "the machines that run the tests are shared and can be ten times slower than a quiet one",
    ),
)
"""What could not be made true, each with its reason."""


UNPROTECTED = "longest without a full stop"
"""The property of a test that holds a measured time without protection, in ms on the exchange's clock."""

_FAULT_TEST = re.compile(r"::test_f(\d\d)_")
_KILL_FAULT, _KILL_TESTS = 44, ("tests/recovery/", "tests/system/test_kill.py")
"""Killed processes have rooms of their own."""
_HEADER = """# Faults: what must not lose money, and what was measured

Written by the run of the tests (`python3 tests/run.py --faults-table=docs/faults.md`, as CI does): each fault is
brought about at the edge of the sandbox exchange, and judged by the sandbox's own books. In every one of them: no order
was asked for twice, no position was flipped, and the bot's ledger ended equal to the exchange's, to the last digit.

*Without a stop* is the longest time any position had no stop for its whole size, on the exchange's clock, over all
tests of the fault; milliseconds on the machine of that run. *Measured* is what else a fault's bound asks for.
"""


@dataclass(slots=True)
class FaultResult:
    """What the tests of one fault have come to."""

    outcomes: dict[str, bool] = field(default_factory=dict)
    """By test: whether every part of it passed."""
    unprotected_ms: int | None = None
    measured: dict[str, int] = field(default_factory=dict)

    def add(self, test: str, passed: bool, properties: Iterable[tuple[str, object]]) -> None:
        """Add one phase of a test; of what was measured more than once the worst counts."""
        self.outcomes[test] = self.outcomes.get(test, True) and passed
        for name, value in properties:
            if not isinstance(value, int):
                continue
            if name == UNPROTECTED:
                self.unprotected_ms = max(self.unprotected_ms or 0, value)
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
        self._results: dict[int, FaultResult] = defaultdict(FaultResult)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        number = _fault_of(report.nodeid)
        if number is not None and str(report.outcome) != "rerun":  # the second run counts
            self._results[number].add(report.nodeid, report.passed, report.user_properties)

    def pytest_sessionfinish(self) -> None:
        self._target.write_text(render_page(self._results), encoding="utf-8", newline="\n")


def _fault_of(node: str) -> int | None:
    named = _FAULT_TEST.search(node)
    if named is not None:
        return int(named[1])
    return _KILL_FAULT if node.startswith(_KILL_TESTS) else None


def render_page(results: dict[int, FaultResult], gaps: Sequence[Gap] = KNOWN_GAPS) -> str:
    """The whole page."""
    rows = [_row(fault, results.get(fault.number, FaultResult())) for fault in CATALOGUE]
    head = ["| # | what breaks | what must happen | bound | tests | result | without a stop | measured |"]
    lines = [*head, "|---|---|---|---|---|---|---|---|", *rows]
    return "\n".join([_HEADER, *lines, "", "## What could not be made true", "", *_gap_rows(gaps), ""])


def _row(fault: CataloguedFault, results: FaultResult) -> str:
    naked = "–" if results.unprotected_ms is None else f"{results.unprotected_ms} ms"
    measured = "; ".join(f"{name}: {value} ms" for name, value in sorted(results.measured.items())) or "–"
    cells = (
        f"F{fault.number}",
        fault.breaks,
        fault.expected,
        fault.bound or "–",
        str(len(results.outcomes)),
        results.result,
    )
    return f"| {' | '.join((*cells, naked, measured))} |"


def _gap_rows(gaps: Sequence[Gap]) -> list[str]:
    if not gaps:
        return ["Nothing is known that belongs here."]
    rows = [f"| F{gap.number} | {gap.what} | {gap.reason} |" for gap in gaps]
    return ["| # | what | why |", "|---|---|---|", *rows]
