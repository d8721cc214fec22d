"""Requirements are compared with the installed packages; a complete virtual environment is used as it is."""

import io
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

from src.launch import environment
from src.launch.console import Console
from src.launch.environment import ensure_venv
from src.launch.requirements import allows, is_satisfied, requirement_lines, unsatisfied

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("specifier", "installed", "is_allowed"),
    [
        ("~=3.1", "3.1", True),
        ("~=3.1", "3.9.2", True),
        ("~=3.1", "3.0.9", False),
        ("~=3.1", "4.0", False),
        ("~=0.17.0", "0.17.6", True),
        ("~=0.17.0", "0.18.0", False),
        ("~=2.32", "2.33.0.20261030", True),
        (">=9", "9.0.1", True),
        (">=9.1", "9", False),
        ("<10", "10.0.0", False),
        ("<10", "9.9", True),
        ("<=9.0", "9", True),
        ("==1.0", "1.0.0", True),
        ("==1.0", "1.0.1", False),
        ("!=1.0", "1.0", False),
        (">1", "1.0", False),
        (" >= 2 ", "2.1rc1", True),
        ("===1.0", "1.0", False),
        ("~=1.*", "1.0", False),
        (">=1", "unknown", False),
    ],
)
def test_version_is_compared_with_the_specifier(specifier: str, installed: str, is_allowed: bool) -> None:
    assert allows(specifier, installed) is is_allowed


@pytest.mark.parametrize(
    ("line", "is_met"),
    [
        ("pytest", True),
        ("pytest>=1,<1000  # a comment", True),
        ("pytest>=1,<2", False),
        ("pytest @ https://example.org/pytest.whl", True),
        ("no-such-package-anywhere", False),
    ],
)
def test_requirement_is_compared_with_the_installed_package(line: str, is_met: bool) -> None:
    assert is_satisfied(line) is is_met


def test_requirements_of_the_project_are_satisfied() -> None:
    """The tests run with all of them installed: a line that cannot be parsed would count as missing."""
    assert unsatisfied(ROOT / "requirements-dev.txt") == []
    assert len(list(requirement_lines(ROOT / "requirements-dev.txt"))) > 20


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A file that the running Python satisfies."""
    file = tmp_path / "requirements.txt"
    file.write_text(f"pytest=={metadata.version('pytest')}\n", encoding="utf-8")
    return file


def test_complete_virtual_environment_is_used_as_it_is(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "is_virtual", lambda: True)
    out = io.StringIO()

    assert ensure_venv(requirements.parent, requirements, Console(out)) == Path(sys.executable)
    assert not (requirements.parent / ".venv").exists()
    assert out.getvalue() == ""


@pytest.mark.parametrize(("is_virtual", "missing"), [(False, ""), (True, "no-such-package-anywhere\n")])
def test_other_python_creates_an_environment(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, is_virtual: bool, missing: str
) -> None:
    def create(*_: object) -> None:
        raise RuntimeError("created")

    monkeypatch.setattr(environment, "is_virtual", lambda: is_virtual)
    monkeypatch.setattr(environment, "_create", create)
    requirements.write_text(requirements.read_text(encoding="utf-8") + missing, encoding="utf-8")
    with pytest.raises(RuntimeError, match="created"):
        ensure_venv(requirements.parent, requirements, Console(io.StringIO()))


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ('python_version < "3.4"', True),
        ('python_version < "99.1"', False),
        ('platform_machine in "none"', True),
        (f'python_version < "99.1" and platform_machine in "none {platform.machine()}"', False),
    ],
)
def test_package_for_another_machine_is_not_missing(condition: str, is_met: bool) -> None:
    assert is_satisfied(f"no-such-package>=1; {condition}") is is_met
