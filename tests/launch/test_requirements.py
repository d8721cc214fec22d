"""Which requirements the running Python fulfils, and that an environment which has them all is used as it is."""

import io
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
def test_versions_are_compared(specifier: str, installed: str, is_allowed: bool) -> None:
    assert allows(specifier, installed) is is_allowed


@pytest.mark.parametrize(
    ("line", "has_it"),
    [
        ("pytest", True),
        ("pytest>=1,<1000  # a remark", True),
        ("pytest>=1,<2", False),
        ("pytest @ https://example.org/pytest.whl", True),
        ("no-such-package-anywhere", False),
    ],
)
def test_a_line_is_fulfilled_by_what_is_installed(line: str, has_it: bool) -> None:
    assert is_satisfied(line) is has_it


def test_our_own_requirements_are_all_understood() -> None:
    """The tests run where they are fulfilled: a line that is not understood would look unfulfilled."""
    assert unsatisfied(ROOT / "requirements-dev.txt") == []
    assert len(list(requirement_lines(ROOT / "requirements-dev.txt"))) > 20


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A file that the running Python fulfils."""
    file = tmp_path / "requirements.txt"
    file.write_text(f"pytest=={metadata.version('pytest')}\n", encoding="utf-8")
    return file


def test_a_virtual_environment_that_has_everything_is_used_as_it_is(
    requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "is_virtual", lambda: True)
    out = io.StringIO()

    assert ensure_venv(requirements.parent, requirements, Console(out)) == Path(sys.executable)
    assert not (requirements.parent / ".venv").exists()
    assert out.getvalue() == ""


@pytest.mark.parametrize(("is_virtual", "lacks"), [(False, ""), (True, "no-such-package-anywhere\n")])
def test_any_other_python_makes_an_environment(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, is_virtual: bool, lacks: str
) -> None:
    def make(*_: object) -> None:
        raise RuntimeError("one is made")

    monkeypatch.setattr(environment, "is_virtual", lambda: is_virtual)
    monkeypatch.setattr(environment, "_create", make)
    requirements.write_text(requirements.read_text(encoding="utf-8") + lacks, encoding="utf-8")
    with pytest.raises(RuntimeError, match="one is made"):
        ensure_venv(requirements.parent, requirements, Console(io.StringIO()))
