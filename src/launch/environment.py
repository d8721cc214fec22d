"""Creates the project's virtual environment and keeps it in line with the requirements."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from src.launch import OLDEST_PYTHON
from src.launch.console import Console
from src.launch.errors import LaunchError
from src.launch.pip_run import run_pip
from src.launch.requirements import included_files, is_virtual, requirement_lines, unsatisfied

PROBE = (
    "import importlib.util, sys\n"
    "pip = importlib.util.find_spec('pip') is not None\n"
    "print(*sys.version_info[:2], 'pip' if pip else 'no-pip', sys.platform)"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Properties of the Python in a virtual environment."""

    version: tuple[int, int]
    has_pip: bool
    platform: str

    @property
    def is_usable(self) -> bool:
        return self.has_pip and self.version >= OLDEST_PYTHON


@dataclass(frozen=True, slots=True)
class VirtualEnv:
    """The folder ``.venv``, which may not exist yet."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter inside; all child processes use it."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def marker(self) -> Path:
        """A file in a folder that the launcher created: ``making`` until the environment is usable, then ``made``."""
        return self.folder / "made-by-the-launcher"

    @property
    def is_ours(self) -> bool:
        return self.marker.exists() or (self.folder.is_dir() and not any(self.folder.iterdir()))

    def stamp(self, requirements: Path) -> Path:
        """The file that holds the fingerprint of the requirements once they are installed completely."""
        return self.folder / f"installed-{requirements.stem}.sha256"

    def probe(self) -> Interpreter | None:
        """Query the interpreter inside; ``None`` if none works or its creation was interrupted."""
        try:
            if self.marker.exists() and self.marker.read_text(encoding="utf-8") != "made":
                return None
            command = [str(self.python), "-I", "-c", PROBE]
            output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
            return Interpreter((int(output[0]), int(output[1])), output[2] == "pip", output[3])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return None


def ensure_venv(
    root: Path, requirements: Path, console: Console, *, install: bool = True, use_running: bool = True
) -> Path:
    """Return a Python that has all packages of ``requirements``; create and fill ``.venv`` if necessary.

    An active virtual environment that has them all is used as it is, unless ``use_running`` is False. A second call
    with the same requirements installs nothing. With ``install=False`` nothing is created: ``.venv`` or the running
    interpreter must already be complete. Raises `LaunchError`.
    """
    if use_running and is_virtual() and not unsatisfied(requirements):
        return Path(sys.executable)
    environment = VirtualEnv(root / ".venv")
    found = environment.probe()
    if found is not None and _is_complete(environment, found, requirements):
        return environment.python
    if not install:
        return _running_interpreter(requirements)
    if found is None or not found.is_usable:
        found = _create(environment, console)
    _install(environment, found, requirements, console)
    return environment.python


def fingerprint(requirements: Path, interpreter: Interpreter) -> str:
    """A hash of the requirements and of the Python they are installed for."""
    digest = hashlib.sha256(repr(interpreter).encode())
    for file in included_files(requirements):
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _is_complete(environment: VirtualEnv, found: Interpreter, requirements: Path) -> bool:
    stamp = environment.stamp(requirements)
    return stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint(requirements, found)


def _running_interpreter(requirements: Path) -> Path:
    missing = unsatisfied(requirements)
    if missing:
        raise LaunchError(
            f"--no-install is set, .venv is incomplete and this Python lacks {', '.join(missing)}: "
            f"start once without --no-install, or run: {sys.executable} -m pip install -r {requirements.name}"
        )
    return Path(sys.executable)


def _create(environment: VirtualEnv, console: Console) -> Interpreter:
    if environment.folder.exists() and not environment.is_ours:
        raise LaunchError(
            f"{environment.folder} was not created by this launcher and has no Python >= 3.11 with pip: "
            "delete or rename that folder and start again."
        )
    _require_venv_module()
    console.say("Creating a virtual environment in .venv (only once) ...")
    try:
        if environment.folder.exists():
            shutil.rmtree(environment.folder)
        environment.folder.mkdir()
        environment.marker.write_text("making", encoding="utf-8")
        command = [sys.executable, "-m", "venv", str(environment.folder)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        environment.marker.write_text("made", encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise LaunchError(f"The virtual environment {environment.folder} could not be created: {reason}") from error
    found = environment.probe()
    if found is None or not found.is_usable:
        raise LaunchError(f"The virtual environment {environment.folder} was created, but its Python does not work.")
    return found


def _require_venv_module() -> None:
    """Raise LaunchError without venv or ensurepip, which Debian and Ubuntu ship in a separate package."""
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        raise LaunchError(
            "This Python cannot create virtual environments: its venv or ensurepip module is missing. "
            "On Debian or Ubuntu run: sudo apt install python3-venv"
        )


def _install(environment: VirtualEnv, found: Interpreter, requirements: Path, console: Console) -> None:
    for stamp in environment.folder.glob("installed-*.sha256"):
        stamp.unlink()  # if pip is interrupted, the next start installs again
    arguments = ["--prefer-binary", "-r", str(requirements)]
    count = len(list(requirement_lines(requirements)))
    run_pip(environment.python, arguments, count, environment.folder / "install.log", console)
    for file in included_files(requirements):
        environment.stamp(file).write_text(fingerprint(file, found), encoding="utf-8")
