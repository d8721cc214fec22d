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
    """A project directory with requirements that need no network."""

    root: Path
    out: io.StringIO = field(default_factory=io.StringIO)

    @property
    def requirements(self) -> Path:
        return self.root / "requirements.txt"

    def require(self, text: str) -> None:
        self.requirements.write_text(text, encoding="utf-8")

    def ensure_venv(self, *, install: bool = True) -> Path:
        self.out = io.StringIO()
        return ensure_venv(self.root, self.requirements, Console(self.out), install=install, use_running=False)

    @property
    def output(self) -> list[str]:
        return self.out.getvalue().splitlines()


def a_wheel(folder: Path, name: str) -> str:
    """Write a minimal package; returns its requirement line."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    dist_info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "answer = 42\n")
        archive.writestr(f"{dist_info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{dist_info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{dist_info}/RECORD", "")
    return f"{name} @ {wheel.as_uri()}\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an environment that all tests of this file share."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.require(a_wheel(project.root, "tinyone"))
    project.ensure_venv()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.require("")
    return project


def imports(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def test_first_start_creates_and_fills_the_environment(installed: Project) -> None:
    creating, installing = installed.output
    assert "Creating a virtual environment" in creating
    assert re.fullmatch(r"\[launcher\]  Installing packages.* \.\.\. Installed 1 packages in \d+ s\.", installing)
    assert imports(VirtualEnv(installed.root / ".venv").python, "tinyone")


def test_second_start_installs_nothing(installed: Project) -> None:
    installed.ensure_venv()
    assert installed.output == []


def test_changed_requirements_are_installed(installed: Project) -> None:
    installed.require(installed.requirements.read_text(encoding="utf-8") + a_wheel(installed.root, "tinytwo"))
    python = installed.ensure_venv()
    assert imports(python, "tinytwo")
    assert any("Installing" in line for line in installed.output)


def test_failed_install_is_retried(installed: Project) -> None:
    good = installed.requirements.read_text(encoding="utf-8")
    installed.require(good + "nowhere @ file:///does/not/exist-1.0-py3-none-any.whl\n")
    with pytest.raises(LaunchError, match=r"could not be installed .*exist-1.0.*The log of pip is .*install\.log"):
        installed.ensure_venv()
    assert "does/not/exist" in (installed.root / ".venv" / "install.log").read_text(encoding="utf-8")
    assert len(installed.output) == 1

    installed.require(good)
    installed.ensure_venv()
    assert any("Installing" in line for line in installed.output), "a failed pip leaves unknown packages"


def test_interrupted_creation_is_repeated(installed: Project) -> None:
    environment = VirtualEnv(installed.root / ".venv")
    environment.marker.write_text("making", encoding="utf-8")
    installed.ensure_venv()
    assert environment.marker.read_text(encoding="utf-8") == "made"
    assert any("Creating" in line for line in installed.output)


def test_folder_of_another_program_is_reported_and_kept(project: Project) -> None:
    precious = project.root / ".venv" / "precious.txt"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(LaunchError, match="was not created by this launcher"):
        project.ensure_venv()
    assert precious.exists()


def test_missing_ensurepip_names_the_debian_package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(LaunchError, match="sudo apt install python3-venv"):
        project.ensure_venv()


def test_no_install_uses_a_complete_interpreter(project: Project) -> None:
    project.require("pytest>=1\n")
    assert project.ensure_venv(install=False) == Path(sys.executable)
    assert not (project.root / ".venv").exists()


def test_no_install_names_the_missing_package(project: Project) -> None:
    project.require("pytest>=1\nno-such-package-anywhere~=1.0\n")
    with pytest.raises(LaunchError, match="lacks no-such-package-anywhere"):
        project.ensure_venv(install=False)


def test_included_requirements_change_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("flask~=3.1\n", encoding="utf-8")
    more = tmp_path / "more.txt"
    more.write_text("-r base.txt\npytest~=9.0\n", encoding="utf-8")
    before = fingerprint(more, PYTHON_311)
    assert included_files(more) == [more, tmp_path / "base.txt"]

    (tmp_path / "base.txt").write_text("flask~=3.2\n", encoding="utf-8")
    assert fingerprint(more, PYTHON_311) != before


def test_python_version_changes_the_fingerprint(tmp_path: Path) -> None:
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


def test_folder_that_cannot_be_created_is_reported(project: Project) -> None:
    (project.root / ".venv").symlink_to(project.root / "nowhere")
    with pytest.raises(LaunchError, match="could not be created"):
        project.ensure_venv()
