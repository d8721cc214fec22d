"""Profiles and reruns, checked on a small generated test suite."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.profiles import EFFORTS, Profile, ProfileRun, names_files, unit_of

ROOT = Path(__file__).resolve().parent.parent
CONFTEST = (
    "from tests.conftest import pytest_addoption, pytest_configure, pytest_xdist_auto_num_workers  # noqa: F401\n"
)
SUITE = """
import os
import pathlib
import pytest

def fails_once(name):
    file = pathlib.Path(__file__).with_name(name)
    if not file.exists():
        file.touch()
        raise AssertionError("the machine was busy")

def test_quick():
    print("kills", os.environ["KILL_ROUNDS"])

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.long
def test_long():
    pass
"""
FLAKY = """
@pytest.mark.recovery
@pytest.mark.parametrize("number", range({count}))
def test_flaky(number):
    fails_once(f"ran {{number}}")
"""

runs_pytest = pytest.mark.slow


@dataclass(frozen=True)
class Suite:
    folder: Path

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run pytest; returns its exit code and its output."""
        environment = {
            name: value for name, value in os.environ.items() if name not in EFFORTS and "PYTEST" not in name
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", *arguments]
        environment["PYTHONPATH"] = str(ROOT)
        run = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8")
        return run.returncode, run.stdout + run.stderr

    def add(self, text: str) -> None:
        with (self.folder / "tests" / "test_suite.py").open("a", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    suite = Suite(tmp_path)
    suite.add(SUITE)
    return suite


@runs_pytest
@pytest.mark.parametrize(
    ("arguments", "passed", "kills", "last_line"),
    [
        (["-n0"], 1, 12, "Left out: 2 tests that start the real programs"),
        (["-n0", "--all"], 2, 12, "Left out: 1 tests, and the longer runs"),
        (["-n0", "--long"], 3, 50, "Nothing was left out."),
        (["-n0", "-m", "slow or not slow"], 3, 12, "Ran the tests given on the command line."),
        (["tests/test_suite.py"], 3, 12, "Ran the tests given on the command line."),
    ],
    ids=str,
)
def test_last_line_reports_the_tests_left_out(
    suite: Suite, arguments: list[str], passed: int, kills: int, last_line: str
) -> None:
    code, output = suite.run(*arguments)

    assert code == 0, output
    assert f"{passed} passed" in output
    assert f"kills {kills}" in output
    assert output.splitlines()[-1].startswith(last_line)


@runs_pytest
def test_workers_leave_out_the_same_tests(suite: Suite) -> None:
    code, output = suite.run("-n", "2")

    assert code == 0, output
    assert "1 passed" in output
    assert output.splitlines()[-1].startswith("Left out: 2 tests")


@runs_pytest
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_process_test_is_rerun_once_and_listed(suite: Suite, workers: str) -> None:
    suite.add(FLAKY.format(count=3))
    code, output = suite.run(workers, "--all")

    assert code == 0, output
    assert "5 passed" in output
    assert output.count("AssertionError: the machine was busy") == output.count("RERUN tests/test_suite.py") == 3


@runs_pytest
def test_fourth_rerun_fails_the_run(suite: Suite) -> None:
    suite.add(FLAKY.format(count=4))
    code, output = suite.run("-n2", "--all")

    assert code == 1, output
    assert "1 failed" in output


@runs_pytest
def test_other_tests_are_not_rerun(suite: Suite) -> None:
    suite.add("\ndef test_flaky():\n    fails_once('ran')\n")
    code, output = suite.run("-n0")

    assert code == 1, output
    assert "RERUN" not in output


def test_single_test_counts_as_a_file_and_a_folder_does_not() -> None:
    assert names_files(["tests/core/limits/test_loss_limits.py::test_one[a.b]", "-x"])
    assert not names_files(["tests/core", "-k", "stop"])


def test_every_profile_has_its_own_last_line() -> None:
    lines = [ProfileRun(profile).last_line(7) for profile in Profile]
    assert len(set(lines)) == len(Profile)


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        ("tests/bot/test_threads.py::test_one", "tests/bot/test_threads.py"),
        ("tests/recovery/test_fills.py::test_one[a-b]", "tests/recovery/test_fills.py::test_one[a-b]"),
    ],
)
def test_slow_tests_are_assigned_one_by_one(test: str, unit: str) -> None:
    assert unit_of(test) == unit
