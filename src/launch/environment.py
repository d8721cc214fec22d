"""Makes the virtual environment beside the project and keeps it at what the requirements ask for."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from src.launch.errors import OLDEST_PYTHON, LaunchError

PROBE = (
    "import importlib.util, sys\n"
    "pip = importlib.util.find_spec('pip') is not None\n"
    "print(*sys.version_info[:2], 'pip' if pip else 'no-pip', sys.platform)"
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What the environment's own Python says about itself."""

    version: tuple[int, int]
    has_pip: bool
    platform: str

    @property
    def is_usable(self) -> bool:
        return self.has_pip and self.version >= OLDEST_PYTHON


@dataclass(frozen=True, slots=True)
class VirtualEnv:
    """The folder ``.venv``, whether it exists yet or not."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter inside, which every child runs on."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def marker(self) -> Path:
        """Our own note in a folder we made: ``making`` until it can be used, then ``made``."""
        return self.folder / "made-by-the-launcher"

    @property
    def is_ours(self) -> bool:
        return self.marker.exists() or (self.folder.is_dir() and not any(self.folder.iterdir()))

    def stamp(self, requirements: Path) -> Path:
        """The note that says which requirements were installed to the end."""
        return self.folder / f"installed-{requirements.stem}.sha256"

    def probe(self) -> Interpreter | None:
        """Ask the interpreter inside; ``None`` when there is none that works, or its making was interrupted."""
        try:
            if self.marker.exists() and self.marker.read_text(encoding="utf-8") != "made":
                return None
            command = [str(self.python), "-I", "-c", PROBE]
            answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
            return Interpreter((int(answer[0]), int(answer[1])), answer[2] == "pip", answer[3])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return None


def ensure_venv(root: Path, requirements: Path, say: Say, *, install: bool = True) -> Path:
    """Return a Python that has every package of ``requirements``; make and fill ``.venv`` where needed.

    The second call with the same requirements starts one short process and installs nothing. With
    ``install=False`` nothing is made: ``.venv`` or the running interpreter must be complete already.
    Raises `LaunchError` with one plain sentence.
    """
    environment = VirtualEnv(root / ".venv")
    found = environment.probe()
    if found is not None and _is_complete(environment, found, requirements):
        return environment.python
    if not install:
        return _running_interpreter(requirements)
    if found is None or not found.is_usable:
        found = _create(environment, say)
    _install(environment, found, requirements, say)
    return environment.python


def included_files(requirements: Path) -> list[Path]:
    """The requirements file and those it includes with ``-r``, itself first."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    inner = [requirements.parent / line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    return [requirements, *(file for path in inner for file in included_files(path))]


def fingerprint(requirements: Path, interpreter: Interpreter) -> str:
    """A hash that changes with any line of the requirements and with the Python they were installed for."""
    digest = hashlib.sha256(repr(interpreter).encode())
    for file in included_files(requirements):
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _is_complete(environment: VirtualEnv, found: Interpreter, requirements: Path) -> bool:
    stamp = environment.stamp(requirements)
    return stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint(requirements, found)


def _running_interpreter(requirements: Path) -> Path:
    missing = [name for name in _package_names(requirements) if not _is_installed(name)]
    if missing:
        raise LaunchError(
            f"--no-install was given, .venv is not complete and this Python lacks {', '.join(missing)}: "
            f"start once without --no-install, or run: {sys.executable} -m pip install -r {requirements.name}"
        )
    return Path(sys.executable)


def _package_names(requirements: Path) -> Iterator[str]:
    for file in included_files(requirements):
        for line in file.read_text(encoding="utf-8").splitlines():
            if name := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line):
                yield name.group()


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _create(environment: VirtualEnv, say: Say) -> Interpreter:
    if environment.folder.exists() and not environment.is_ours:
        raise LaunchError(
            f"{environment.folder} was not made by this launcher and holds no Python >= 3.11 with pip: "
            "delete or rename that folder and start again."
        )
    _require_venv_module()
    say("Making a virtual environment in .venv (only this once) ...")
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
        raise LaunchError(f"The virtual environment {environment.folder} could not be made: {reason}") from error
    found = environment.probe()
    if found is None or not found.is_usable:
        raise LaunchError(f"The virtual environment {environment.folder} was made, but its Python does not work.")
    return found


def _require_venv_module() -> None:
    """Debian and Ubuntu ship Python without these two; the remedy is one package."""
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        raise LaunchError(
            "This Python cannot make virtual environments: its venv or ensurepip module is missing. "
            "On Debian or Ubuntu run: sudo apt install python3-venv"
        )


def _install(environment: VirtualEnv, found: Interpreter, requirements: Path, say: Say) -> None:
    for stamp in environment.folder.glob("installed-*.sha256"):
        stamp.unlink()  # whatever interrupts pip from here on, the next start installs again
    say(f"Installing the packages of {requirements.name} into .venv (a minute or two, only this once) ...")
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # A personal pip configuration with user = true would fail inside a virtual environment.
    environ = os.environ | {"PIP_USER": "0"}
    try:
        subprocess.run([*command, "--prefer-binary", "-r", str(requirements)], check=True, env=environ)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaunchError(
            "The packages could not be installed, pip's own words are above: "
            "check the connection to the package index and start again."
        ) from error
    for file in included_files(requirements):
        environment.stamp(file).write_text(fingerprint(file, found), encoding="utf-8")
    say("Everything is installed.")
