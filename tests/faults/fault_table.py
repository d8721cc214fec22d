"""The catalogue of faults between bot and exchange, F1 to F58, and the generator of docs/faults.md."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class CataloguedFault:
    number: int
    title: str
    expected: str
    """Required behaviour."""
    bound: str
    """Maximum time; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A requirement that is not met, or that no test can show."""

    number: int
    title: str
    reason: str


_ROWS = (
    ("entry executed, response 503", "found by client order id and protected, never sent again", "stop in 5 s"),
    ("entry executed, connection lost before the response", "as F1", "10 s"),
    ("entry not executed, response 503", "considered lost after three negative queries; symbol free again", "30 s"),
    ("entry executed long after its 503", "noticed, protected or closed; alert", "5 s after the fill"),
    ("stop accepted, response -1007", "found; at most one extra stop, which is cancelled", "5 s; 60 s"),
    ("stop not accepted, response -1007", "new stop placed", "5 s"),
    ("close executed, response 503", "position queried; no second close, no reversed position", "5 s"),
    ("stop rejected because it would trigger at once", "position closed at once", "2 s"),
    ("market close rejected three times", "market, limit, market again; stop kept; alert", "second attempt in 10 s"),
    ("close rejected, position open in the portfolio", "position queried, recorded as closed if it is", "5 s"),
    ("insufficient margin for an entry or a stop", "entry dropped, cooldown starts; stop retried", "2 s"),
    ("limit of stops or open orders reached", "stop retried; position closed if none is accepted", "5 s"),
    ("filters of a symbol changed", "order retried with the new filters", "3 s"),
    ("timestamp outside recvWindow", "clock offset measured, same order signed again once", "2 s"),
    ("system clock wrong, or set back an hour", "entries blocked; locks end neither early nor late", "15 s"),
    ("429, with and without Retry-After", "only protective orders and reads continue", "at once"),
    ("418 for minutes with an open position", "no requests; stop stays open; account read afterwards", "10 s after it"),
    ("HTML, empty, truncated or mistyped responses", "ignored; the account never counts as flat", ""),
    ("REST down, streams up", "entries blocked; stop stays open; position followed", "10 s"),
    ("streams down, REST up", "entries blocked; account polled", "10 s"),
    ("stream open but silent", "detected by its content, reconnected", "15 s"),
    ("fills lost in a gap of the stream", "found by REST, recorded once", "30 s"),
    ("events duplicated, out of order, a minute late", "same result as in order", ""),
    ("listen key expired or not renewable", "new key, new stream, account read", "10 s"),
    ("stream cut after a day, or as an entry is sent", "account read first; entry protected", "10 s"),
    ("200 liquidations per second for a minute", "no own event lost or delayed", "user event 1 s late"),
    ("entry partially filled, then ended", "filled part protected, records exact", "5 s"),
    ("fill reported after the cancel", "records corrected, position protected", "5 s"),
    ("stop triggered, its order not filled", "rest closed, or protected again", "5 s"),
    ("stopped out, take profit left, new entry follows", "leftover order cancelled first", "10 s"),
    ("take profit partially filled in a thin book", "stop covers the rest", "always"),
    ("position closed or changed manually", "protected, never closed, and a person is asked; or adopted", "30 s"),
    ("stop cancelled manually", "replaced and reported each time; from the third time an alert", "5 s"),
    ("liquidation, deleveraging, delisting", "recorded as such; no open orders; symbol locked", "10 s"),
    ("funding without a position, event of another symbol", "nothing closed", ""),
    ("leverage, margin type or position mode changed externally", "entries blocked; positions mapped again", "30 s"),
    ("symbol stops trading", "no entries; exits attempted; alert", "60 s"),
    ("key revoked, or account reduce-only", "entries blocked, alert, polling continues", "5 s"),
    ("stale positions in a response", "not acted on, not preferred to newer fills", ""),
    ("working stop missing from open orders", "at most one extra stop; no close, no request storm", ""),
    ("two bots on one account", "second one refuses, or both block entries and report it", "30 s"),
    ("thread raises or hangs, process suspended", "detected, restarted, account read before acting", "15 s"),
    ("database locked, full, read-only or deleted", "entries blocked; stops and closes sent", "2 s"),
    ("kill -9 of bot, dashboard, launcher; power cut", "all positions protected, or an alert", "20 s"),
    ("dashboard overloaded or hanging", "bot as fast as before", ""),
    ("requests share a nonce, signer's clock goes back", "nonces only increase, none is rejected", ""),
    ("price passes the stop before it is accepted", "position closed, actual loss recorded", "5 s"),
    ("fifty signals within a second", "no limit exceeded", ""),
    ("account event before its trade's, stamps differ by 1 to 50 ms", "position counted once, closed by one order", ""),
    ("position reports with other stamps, 0, or no flat symbols", "as with complete reports", ""),
    ("maintenance: 503 on everything, streams cut", "nothing sent; orders and position as before", "45 s after it"),
    ("announcements and undocumented user events", "ignored", ""),
    ("own orders in the public book", "not taken for the market; as without them", ""),
    ("stopped while cancels fail or an entry is unanswered", "waits; names what is left, own exit code", "15 s"),
    ("batch with one order rejected", "that one dropped; the other open, protected once filled", "5 s"),
    ("batch executed, response lost", "each order and cancel found by its client order id, none repeated", "10 s"),
    ("killed between the commit of a batch and its response", "as F56, by the next start", "20 s"),
    ("batch rejected as a whole", "each order dropped; from then on sent one by one", ""),
)

CATALOGUE = tuple(CataloguedFault(number, *row) for number, row in enumerate(_ROWS, start=1))
KNOWN_GAPS: tuple[Gap, ...] = (
    Gap(
        20,
        "streams or REST are down (F19, F20) for about twelve seconds, not five minutes",
        "the same timers and counters run; the full time for both API versions would take too long in CI",
    ),
    Gap(
        21,
        "a user data stream that is silent while nothing happens in the account",
        "pongs prove the connection and renewals the listen key, but no harmless request makes the stream send "
        "something; the first order or position that REST shows and the stream did not report reveals it",
    ),
    Gap(23, "events are twelve seconds late, not a minute", "the order of events matters, and it is randomized"),
    Gap(26, "the burst lasts six seconds, not a minute", "another test reaches the limit of the queue"),
    Gap(
        34,
        "deleveraging and settlement are simulated by an order with the client order id that the exchange uses",
        "Aster's own events are not documented; liquidations come from the sandbox engine",
    ),
    Gap(
        36,
        "a position that is open while the position mode changes",
        "the exchange, and so the sandbox, changes the mode only without positions",
    ),
    Gap(
        41,
        "a bot with a new database adopts open orders of another bot",
        "they may be its own, from a lost database, and are protected as such",
    ),
    Gap(42, "the process is suspended for 17 seconds, not a minute", "all bounds are below 15 seconds"),
    Gap(
        44,
        "after the loss of the database a position counts as external: an alert, no stop",
        "external positions are not touched, unless adopt_foreign_positions is set",
    ),
    Gap(
        44,
        "time beyond five seconds for the start of Python does not count towards the 20 seconds",
        "the machines that run the tests are shared and can be ten times slower",
    ),
    Gap(51, "the maintenance lasts twenty seconds, not half an hour", "the same timers and counters run"),
)
"""Behaviour that is missing or cannot be tested, with the reasons."""


UNPROTECTED = "longest without a full stop"
"""Name of the test property for the longest time without protection, in ms of the exchange's clock."""

_FAULT_TEST = re.compile(r"::test_f(\d\d)_")
_KILL_FAULT, _KILL_TESTS = 44, ("tests/recovery/", "tests/system/test_kill.py")
"""Tests of killed processes are in these directories."""
_HEADER = """# Faults: what must not lose money, and what was measured

Generated by the tests (`python3 tests/run.py --faults-table=docs/faults.md`, as in CI). Each fault is injected at the
sandbox exchange and checked against the sandbox's own records. In every test no order was sent twice, no position was
reversed, and the bot's records matched those of the exchange exactly.

*Without a stop* is the longest time a position had no stop for its full size, in all tests of the fault, on the
exchange's clock. *Measured* lists other times that have a bound. All times are of the machine that ran the tests.
"""


@dataclass(slots=True)
class FaultResult:
    """Results of the tests of one fault."""

    outcomes: dict[str, bool] = field(default_factory=dict)
    """By test: whether all its phases passed."""
    unprotected_ms: int | None = None
    measured: dict[str, int] = field(default_factory=dict)

    def add(self, test: str, passed: bool, properties: Iterable[tuple[str, object]]) -> None:
        """Add one phase of a test; of repeated measurements the maximum counts."""
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
    """Pytest plugin: collects the reports and writes the page at the end."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._results: dict[int, FaultResult] = defaultdict(FaultResult)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        number = _fault_of(report.nodeid)
        if number is not None and str(report.outcome) != "rerun":  # the rerun counts
            self._results[number].add(report.nodeid, report.passed, report.user_properties)

    def pytest_sessionfinish(self) -> None:
        self._target.write_text(render_page(self._results), encoding="utf-8", newline="\n")


def _fault_of(node: str) -> int | None:
    match = _FAULT_TEST.search(node)
    if match is not None:
        return int(match[1])
    return _KILL_FAULT if node.startswith(_KILL_TESTS) else None


def render_page(results: dict[int, FaultResult], gaps: Sequence[Gap] = KNOWN_GAPS) -> str:
    """The complete page."""
    rows = [_row(fault, results.get(fault.number, FaultResult())) for fault in CATALOGUE]
    head = ["| # | fault | required behaviour | bound | tests | result | without a stop | measured |"]
    lines = [*head, "|---|---|---|---|---|---|---|---|", *rows]
    return "\n".join([_HEADER, *lines, "", "## Known gaps", "", *_gap_rows(gaps), ""])


def _row(fault: CataloguedFault, results: FaultResult) -> str:
    unprotected = "–" if results.unprotected_ms is None else f"{results.unprotected_ms} ms"
    measured = "; ".join(f"{name}: {value} ms" for name, value in sorted(results.measured.items())) or "–"
    cells = (
        f"F{fault.number}",
        fault.title,
        fault.expected,
        fault.bound or "–",
        str(len(results.outcomes)),
        results.result,
    )
    return f"| {' | '.join((*cells, unprotected, measured))} |"


def _gap_rows(gaps: Sequence[Gap]) -> list[str]:
    if not gaps:
        return ["No gaps are known."]
    rows = [f"| F{gap.number} | {gap.title} | {gap.reason} |" for gap in gaps]
    return ["| # | gap | reason |", "|---|---|---|", *rows]
