import json
from pathlib import Path

from tests.coverage_gate import PACKAGES, main, measure


def a_report(folder: Path, *, branches: int = 9) -> Path:
    summary = {"num_statements": 100, "covered_lines": 95, "num_branches": 10, "covered_branches": branches}
    report = folder / "coverage.json"
    report.write_text(
        json.dumps({"files": {f"{package}/a.py": {"summary": summary} for package in PACKAGES}}), encoding="utf-8"
    )
    return report


def test_coverage_at_the_minimum_passes(tmp_path: Path) -> None:
    assert main(a_report(tmp_path)) == 0


def test_low_branch_coverage_fails(tmp_path: Path) -> None:
    assert main(a_report(tmp_path, branches=8)) == 1


def test_package_without_files_fails() -> None:
    assert not measure({"files": {}}, "src/core").is_sufficient


def test_windows_paths_are_matched() -> None:
    summary = {"num_statements": 1, "covered_lines": 1, "num_branches": 0, "covered_branches": 0}
    assert measure({"files": {"src\\core\\trader.py": {"summary": summary}}}, "src/core").is_sufficient
