import importlib.util
import io
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from src.launch.console import Console
from src.launch.environment import Interpreter, VirtualEnv, ensure_venv, fingerprint
from src.launch.errors import LaunchError
from src.launch.requirements import included_files

pytestmark = pytest.mark.processes
PYTHON_311 = Interpreter((3, 11), has_pip=True, platform="linux")


@dataclass
class Project:
    """A project directory with a requirement that needs no network."""

    root: Path
    out: io.StringIO = field(default_factory=io.StringIO)

    @property
    def requirements(self) -> Path:
        return self.root / "requirements.txt"

    def require(self, text: str) -> None:
        self.requirements.write_text(text, encoding="utf-8")

    def prepare(self, *, install: bool = True) -> Path:
        self.out = io.StringIO()
        return ensure_venv(self.root, self.requirements, Console(self.out), install=install, use_running=False)

    @property
    def said(self) -> list[str]:
        return self.out.getvalue().splitlines()


def a_wheel(folder: Path, name: str) -> str:
    """Write the smallest package there is; returns its requirement line."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    notes = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "answer = 42\n")
        archive.writestr(f"{notes}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{notes}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{notes}/RECORD", "")
    return f"{name} @ {wheel.as_uri()}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose environment was made once for all tests of this file."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.require(a_wheel(project.root, "tinyone"))
    project.prepare()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.require("")
    return project


def imports(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def test_first_start_makes_and_fills_the_environment(made: Project) -> None:
    making, installing = made.said
    assert "Making a virtual environment" in making
    assert re.fullmatch(r"\[launcher\]  Installing packages.* \.\.\. Installed 1 packages in \d+ s\.", installing)
    assert imports(VirtualEnv(made.root / ".venv").python, "tinyone")


def test_second_start_installs_nothing(made: Project) -> None:
    made.prepare()
    assert made.said == []


def test_changed_requirements_are_installed(made: Project) -> None:
    made.require(made.requirements.read_text(encoding="utf-8") + a_wheel(made.root, "tinytwo"))
    python = made.prepare()
    assert imports(python, "tinytwo")
    assert any("Installing" in line for line in made.said)


def test_failed_install_is_tried_again(made: Project) -> None:
    good = made.requirements.read_text(encoding="utf-8")
    made.require(good + "nowhere @ file:///does/not/exist-1.0-py3-none-any.whl\n")
    with pytest.raises(LaunchError, match=r"could not be installed .*exist-1.0.*is in .*install\.log"):
        made.prepare()
    assert "does/not/exist" in (made.root / ".venv" / "install.log").read_text(encoding="utf-8")
    assert len(made.said) == 1

    made.require(good)
    made.prepare()
    assert any("Installing" in line for line in made.said), "pip was interrupted: nothing proves what is installed"


def test_interrupted_making_is_begun_again(made: Project) -> None:
    environment = VirtualEnv(made.root / ".venv")
    environment.marker.write_text("making", encoding="utf-8")
    made.prepare()
    assert environment.marker.read_text(encoding="utf-8") == "made"
    assert any("Making" in line for line in made.said)


def test_foreign_folder_is_named_and_left_alone(project: Project) -> None:
    precious = project.root / ".venv" / "precious.txt"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(LaunchError, match="was not made by this launcher"):
        project.prepare()
    assert precious.exists()


def test_missing_ensurepip_names_the_debian_package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(LaunchError, match="sudo apt install python3-venv"):
        project.prepare()


def test_no_install_takes_a_complete_interpreter(project: Project) -> None:
    project.require("pytest>=1\n")
    assert project.prepare(install=False) == Path(sys.executable)
    assert not (project.root / ".venv").exists()


def test_no_install_names_what_is_missing(project: Project) -> None:
    project.require("pytest>=1\nno-such-package-anywhere~=1.0\n")
    with pytest.raises(LaunchError, match="lacks no-such-package-anywhere"):
        project.prepare(install=False)


def test_included_requirements_count(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("flask~=3.1\n", encoding="utf-8")
    more = tmp_path / "more.txt"
    more.write_text("-r base.txt\npytest~=9.0\n", encoding="utf-8")
    before = fingerprint(more, PYTHON_311)
    assert included_files(more) == [more, tmp_path / "base.txt"]

    (tmp_path / "base.txt").write_text("flask~=3.2\n", encoding="utf-8")
    assert fingerprint(more, PYTHON_311) != before


def test_another_python_needs_another_install(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("flask\n", encoding="utf-8")
    newer = Interpreter((3, 12), has_pip=True, platform="linux")
    assert fingerprint(file, PYTHON_311) != fingerprint(file, newer)


def test_line_endings_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(b"flask\n")
    before = fingerprint(file, PYTHON_311)
    file.write_bytes(b"flask\r\n")
    assert fingerprint(file, PYTHON_311) == before


def test_a_folder_that_cannot_be_made_is_one_sentence(project: Project) -> None:
    (project.root / ".venv").symlink_to(project.root / "nowhere")
    with pytest.raises(LaunchError, match="could not be made"):
        project.prepare()
