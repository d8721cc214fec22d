"""What a run leaves out, what it says of it, and which tests may fail once: seen on a small suite of its own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.profiles import EFFORTS, Profile, ProfileRun, names_files

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
UNSTEADY = """
@pytest.mark.recovery
@pytest.mark.parametrize("number", range({count}))
def test_unsteady(number):
    fails_once(f"ran {{number}}")
"""

runs_pytest = pytest.mark.slow


@dataclass(frozen=True)
class Suite:
    folder: Path

    def run(self, *arguments: str) -> tuple[int, str]:
        """Pytest's exit code, and all it wrote."""
        kept = {name: value for name, value in os.environ.items() if name not in EFFORTS and "PYTEST" not in name}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", *arguments]
        environment = kept | {"PYTHONPATH": str(ROOT)}
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
    made = Suite(tmp_path)
    made.add(SUITE)
    return made


@runs_pytest
@pytest.mark.parametrize(
    ("arguments", "passed", "kills", "last"),
    [
        (["-n0"], 1, 12, "Left out: 2 tests that start the real programs"),
        (["-n0", "--all"], 2, 12, "Left out: 1 tests, and more kills"),
        (["-n0", "--long"], 3, 50, "Nothing was left out."),
        (["-n0", "-m", "slow or not slow"], 3, 12, "Ran what the command line names."),
        (["tests/test_suite.py"], 3, 12, "Ran what the command line names."),
    ],
    ids=str,
)
def test_the_last_line_says_what_was_left_out(
    suite: Suite, arguments: list[str], passed: int, kills: int, last: str
) -> None:
    code, said = suite.run(*arguments)

    assert code == 0, said
    assert f"{passed} passed" in said
    assert f"kills {kills}" in said
    assert said.splitlines()[-1].startswith(last)


@runs_pytest
def test_workers_leave_out_the_same(suite: Suite) -> None:
    code, said = suite.run("-n", "2")

    assert code == 0, said
    assert "1 passed" in said
    assert said.splitlines()[-1].startswith("Left out: 2 tests")


@runs_pytest
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_test_of_processes_may_fail_once_and_is_named(suite: Suite, workers: str) -> None:
    suite.add(UNSTEADY.format(count=3))
    code, said = suite.run(workers, "--all")

    assert code == 0, said
    assert "5 passed" in said
    assert said.count("AssertionError: the machine was busy") == said.count("RERUN tests/test_suite.py") == 3


@runs_pytest
def test_a_fourth_rerun_fails_the_run(suite: Suite) -> None:
    suite.add(UNSTEADY.format(count=4))
    code, said = suite.run("-n2", "--all")

    assert code == 1, said
    assert "1 failed" in said


@runs_pytest
def test_other_tests_are_not_rerun(suite: Suite) -> None:
    suite.add("\ndef test_unsteady():\n    fails_once('ran')\n")
    code, said = suite.run("-n0")

    assert code == 1, said
    assert "RERUN" not in said


def test_a_single_test_is_named_and_a_folder_is_not() -> None:
    assert names_files(["tests/core/limits/test_loss_limits.py::test_one[a.b]", "-x"])
    assert not names_files(["tests/core", "-k", "stop"])


def test_every_profile_has_a_last_line() -> None:
    lines = [ProfileRun(profile).last_line(7) for profile in Profile]
    assert len(set(lines)) == len(Profile)
