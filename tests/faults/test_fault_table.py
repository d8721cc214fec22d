"""docs/faults.md: all 48 faults stand there, and nothing that failed looks as if it held."""

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


def test_the_catalogue_counts_from_1_to_48_without_a_gap() -> None:
    assert [fault.number for fault in CATALOGUE] == list(range(1, 49))


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: f"F{fault.number}")
def test_the_page_beside_the_code_names_every_fault_in_the_words_of_the_catalogue(fault: CataloguedFault) -> None:
    told = row_of(PAGE.read_text(encoding="utf-8"), fault.number)
    assert told[1:4] == [fault.breaks, fault.expected, fault.bound or "–"]


def test_the_worst_of_all_parts_is_told(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    table.pytest_runtest_logreport(a_report("a", properties={UNPROTECTED: 120, "halted": 7}))
    table.pytest_runtest_logreport(a_report("b", properties={UNPROTECTED: 310, "halted": 3}))
    table.pytest_runtest_logreport(a_report("b", properties={"a remark": "of another kind"}))
    table.pytest_sessionfinish()
    text = (tmp_path / "faults.md").read_text(encoding="utf-8")
    assert row_of(text, 7)[4:] == ["2", "holds", "310 ms", "halted: 7 ms"]
    assert row_of(text, 8)[4:] == ["0", "**not tested**", "–", "–"]


def test_a_part_that_failed_is_never_lost_behind_one_that_passed(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    for part, outcome in (("a", "failed"), ("a", "passed"), ("b", "passed")):
        table.pytest_runtest_logreport(a_report(part, outcome))
    table.pytest_sessionfinish()
    assert row_of((tmp_path / "faults.md").read_text(encoding="utf-8"), 7)[5] == "**1 of 2 failed**"


def test_killed_processes_count_as_the_fault_they_are(tmp_path: Path) -> None:
    table = FaultsTable(tmp_path / "faults.md")
    table.pytest_runtest_logreport(a_report(node="tests/recovery/test_orders.py::test_c14_the_second_fill[bot]"))
    table.pytest_sessionfinish()
    assert row_of((tmp_path / "faults.md").read_text(encoding="utf-8"), 44)[4:6] == ["1", "holds"]


def test_what_could_not_be_made_true_is_told_with_its_reason() -> None:
    text = render_page({}, [Gap(45, "a page that hangs", "no reason at all")])
    assert "| F45 | a page that hangs | no reason at all |" in text.splitlines()
    assert "Nothing is known" not in text
    assert "Nothing is known" in render_page({}, [])
