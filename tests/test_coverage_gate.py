import json
from pathlib import Path

from tests.coverage_gate import ROOMS, main, measure


def a_report(folder: Path, *, branches: int = 9) -> Path:
    summary = {"num_statements": 100, "covered_lines": 95, "num_branches": 10, "covered_branches": branches}
    report = folder / "coverage.json"
    report.write_text(json.dumps({"files": {f"{room}/a.py": {"summary": summary} for room in ROOMS}}), encoding="utf-8")
    return report


def test_exactly_enough_passes(tmp_path: Path) -> None:
    assert main(a_report(tmp_path)) == 0


def test_branches_are_judged_by_themselves(tmp_path: Path) -> None:
    assert main(a_report(tmp_path, branches=8)) == 1


def test_a_room_without_files_fails() -> None:
    assert not measure({"files": {}}, "src/core").is_enough


def test_windows_paths_belong_to_their_room() -> None:
    summary = {"num_statements": 1, "covered_lines": 1, "num_branches": 0, "covered_branches": 0}
    assert measure({"files": {"src\\core\\trader.py": {"summary": summary}}}, "src/core").is_enough
