"""Runs pip behind one line that says how far it is; everything pip writes goes to a log file."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.launch.console import Console
from src.launch.errors import LaunchError

BAR_WIDTH = 24
POLL_S = 0.2
PACKAGES_PER_REQUIREMENT = 4
"""About how many packages come with each one that is asked for; only the bar depends on it."""
_FOUND = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:) ", re.MULTILINE)
_INSTALLING = re.compile(r"^Installing collected packages: (.*)$", re.MULTILINE)


@dataclass(slots=True)
class Progress:
    """How far pip is: the first half is finding and downloading, the second half is installing."""

    requirements: int
    installed_before: int
    """Packages in the environment before pip began."""

    def share(self, log: str, installed: int) -> float:
        """Between 0 and 1, from what pip has written and how many packages the environment has now."""
        names = _INSTALLING.search(log)
        if names is None:
            expected = max(1, self.requirements * PACKAGES_PER_REQUIREMENT)
            return 0.5 * min(len(_FOUND.findall(log)) / expected, 1.0)
        total = names[1].count(",") + 1
        return 0.5 + 0.5 * min(max(0, installed - self.installed_before) / total, 1.0)


def run_pip(python: Path, arguments: Sequence[str], requirements: int, log: Path, console: Console) -> None:
    """Run ``python -m pip install`` with these arguments; raises `LaunchError` that names the log where it fails."""
    packages = log.parent / "lib"
    progress = Progress(requirements, _count_installed(packages))
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    # A personal pip configuration with user = true would fail inside a virtual environment.
    environment = os.environ | {"PIP_USER": "0", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    console.progress("Installing packages, a minute or two, only this once")
    began = time.monotonic()
    try:
        with log.open("wb") as file:
            process = subprocess.Popen([*command, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            while not _has_ended(process):
                share = progress.share(_read(log), _count_installed(packages))
                console.progress(f"Installing packages {bar(share)} {time.monotonic() - began:3.0f} s")
        finally:
            process.kill()  # where Ctrl-C ended the waiting; otherwise it has ended
            process.wait()
    except OSError as error:
        raise LaunchError(f"The packages could not be installed: {error}.") from error
    seconds = time.monotonic() - began
    if process.returncode:
        console.end_progress(f"Installing packages failed after {seconds:.0f} s.")
        raise LaunchError(failure(_read(log), log))
    count = max(0, _count_installed(packages) - progress.installed_before)
    console.end_progress(f"Installed {count} packages in {seconds:.0f} s.")


def bar(share: float) -> str:
    """For example ``[######------------------]  25 %``."""
    full = round(share * BAR_WIDTH)
    return f"[{'#' * full}{'-' * (BAR_WIDTH - full)}] {share:4.0%}".replace("%", " %")


def failure(log: str, path: Path) -> str:
    """One sentence about a failed pip: its first error, and where the rest is."""
    errors = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if line.startswith("ERROR:")]
    said = f" (pip: {errors[0]})" if errors else ""
    return (
        f"The packages could not be installed{said}: check the connection to the package index and start again. "
        f"All that pip wrote is in {path}."
    )


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _count_installed(packages: Path) -> int:
    """The folder is named ``Lib`` on Windows, where upper and lower case are the same."""
    return sum(1 for _ in packages.rglob("*.dist-info"))
