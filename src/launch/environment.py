"""Makes the virtual environment beside the project and keeps it at what the requirements ask for."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from src.launch.console import Console
from src.launch.errors import OLDEST_PYTHON, LaunchError
from src.launch.pip_run import run_pip
from src.launch.requirements import included_files, is_virtual, requirement_lines, unsatisfied

PROBE = (
    "import importlib.util, sys\n"
    "pip = importlib.util.find_spec('pip') is not None\n"
    "print(*sys.version_info[:2], 'pip' if pip else 'no-pip', sys.platform)"
)


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


def ensure_venv(
    root: Path, requirements: Path, console: Console, *, install: bool = True, use_running: bool = True
) -> Path:
    """Return a Python that has every package of ``requirements``; make and fill ``.venv`` where needed.

    A virtual environment that is in use and has them all is taken as it is, unless ``use_running`` is False. The
    second call with the same requirements installs nothing. With ``install=False`` nothing is made: ``.venv`` or the
    running interpreter must be complete already. Raises `LaunchError` with one plain sentence.
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
    """A hash that changes with any line of the requirements and with the Python they were installed for."""
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
            f"--no-install was given, .venv is not complete and this Python lacks {', '.join(missing)}: "
            f"start once without --no-install, or run: {sys.executable} -m pip install -r {requirements.name}"
        )
    return Path(sys.executable)


def _create(environment: VirtualEnv, console: Console) -> Interpreter:
    if environment.folder.exists() and not environment.is_ours:
        raise LaunchError(
            f"{environment.folder} was not made by this launcher and holds no Python >= 3.11 with pip: "
            "delete or rename that folder and start again."
        )
    _require_venv_module()
    console.say("Making a virtual environment in .venv (only this once) ...")
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


def _install(environment: VirtualEnv, found: Interpreter, requirements: Path, console: Console) -> None:
    for stamp in environment.folder.glob("installed-*.sha256"):
        stamp.unlink()  # whatever interrupts pip from here on, the next start installs again
    arguments = ["--prefer-binary", "-r", str(requirements)]
    count = len(list(requirement_lines(requirements)))
    run_pip(environment.python, arguments, count, environment.folder / "install.log", console)
    for file in included_files(requirements):
        environment.stamp(file).write_text(fingerprint(file, found), encoding="utf-8")
