"""docs/faults.md lists all faults and never hides a failed test."""

import re
from pathlib import Path

import pytest

from tests.faults.fault_table import CATALOGUE, UNPROTECTED, CataloguedFault, FaultsTable, Gap, render_page

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
NODE = "tests/faults/test_orders.py::test_f07_a_close[{}]"


def a_report(
    part: str = "a", outcome: str = "passed", properties: dict[str, object] | None = None, node: str = NODE
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=node.format(part),
        location=("", 0, ""),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type]
        longrepr=None,
        when="call",
        user_properties=list((properties or {}).items()),
    )


def row_of(text: str, number: int) -> list[str]:
    row, *_ = re.findall(rf"^\| F{number} \|.*$", text, re.MULTILINE)
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_catalogue_numbers_run_from_1_to_58() -> None:
    assert [fault.number for fault in CATALOGUE] == list(range(1, 59))


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: f"F{fault.number}")
def test_page_lists_each_fault_of_the_catalogue(fault: CataloguedFault) -> None:
    row = row_of(PAGE.read_text(encoding="utf-8"), fault.number)
    assert row[1:4] == [fault.title, fault.expected, fault.bound or "–"]


def test_row_shows_the_maximum_of_all_measurements(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    table.pytest_runtest_logreport(a_report("a", properties={UNPROTECTED: 120, "halted": 7}))
    table.pytest_runtest_logreport(a_report("b", properties={UNPROTECTED: 310, "halted": 3}))
    table.pytest_runtest_logreport(a_report("b", properties={"a comment": "not a number"}))
    table.pytest_sessionfinish()
    text = (tmp_path / "faults.md").read_text(encoding="utf-8")
    assert row_of(text, 7)[4:] == ["2", "holds", "310 ms", "halted: 7 ms"]
    assert row_of(text, 8)[4:] == ["0", "**not tested**", "–", "–"]


def test_failed_phase_is_not_hidden_by_a_passed_one(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    for part, outcome in (("a", "failed"), ("a", "passed"), ("b", "passed")):
        table.pytest_runtest_logreport(a_report(part, outcome))
    table.pytest_sessionfinish()
    assert row_of((tmp_path / "faults.md").read_text(encoding="utf-8"), 7)[5] == "**1 of 2 failed**"


def test_recovery_tests_count_for_f44(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    table.pytest_runtest_logreport(a_report(node="tests/recovery/test_orders.py::test_c14_the_second_fill[bot]"))
    table.pytest_sessionfinish()
    assert row_of((tmp_path / "faults.md").read_text(encoding="utf-8"), 44)[4:6] == ["1", "holds"]


def test_gaps_are_listed_with_their_reasons() -> None:
    text = render_page({}, [Gap(45, "a page that hangs", "no reason")])
    assert "| F45 | a page that hangs | no reason |" in text.splitlines()
    assert "No gaps are known" not in text
    assert "No gaps are known" in render_page({}, [])
