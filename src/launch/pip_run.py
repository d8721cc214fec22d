"""Runs pip behind a one-line progress bar; pip's output goes to a log file."""

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
"""Estimated packages per requirement, dependencies included; only the progress bar uses it."""
_FOUND = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:) ", re.MULTILINE)
_INSTALLING = re.compile(r"^Installing collected packages: (.*)$", re.MULTILINE)


@dataclass(slots=True)
class Progress:
    """Progress of pip: the first half is finding and downloading, the second half installing."""

    requirements: int
    installed_before: int
    """Packages in the environment before pip started."""

    def share(self, log: str, installed: int) -> float:
        """Progress from 0 to 1, given pip's output and the number of packages installed now."""
        names = _INSTALLING.search(log)
        if names is None:
            expected = max(1, self.requirements * PACKAGES_PER_REQUIREMENT)
            return 0.5 * min(len(_FOUND.findall(log)) / expected, 1.0)
        total = names[1].count(",") + 1
        return 0.5 + 0.5 * min(max(0, installed - self.installed_before) / total, 1.0)


def run_pip(python: Path, arguments: Sequence[str], requirements: int, log: Path, console: Console) -> None:
    """Run ``python -m pip install`` with these arguments; raises `LaunchError` naming the log file if pip fails."""
    packages = log.parent / "lib"
    progress = Progress(requirements, _count_installed(packages))
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    # A personal pip configuration with user = true would fail inside a virtual environment.
    environment = os.environ | {"PIP_USER": "0", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    console.progress("Installing packages, a minute or two, only once")
    started = time.monotonic()
    try:
        with log.open("wb") as file:
            process = subprocess.Popen([*command, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            while not _has_ended(process):
                share = progress.share(_read(log), _count_installed(packages))
                console.progress(f"Installing packages {bar(share)} {time.monotonic() - started:3.0f} s")
        finally:
            process.kill()  # after Ctrl-C; otherwise pip has already ended
            process.wait()
    except OSError as error:
        raise LaunchError(f"The packages could not be installed: {error}.") from error
    seconds = time.monotonic() - started
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
    """Error message for a failed pip: its first error, and the path of its log."""
    errors = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if line.startswith("ERROR:")]
    reason = f" (pip: {errors[0]})" if errors else ""
    return (
        f"The packages could not be installed{reason}: check the connection to the package index and start again. "
        f"The log of pip is {path}."
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
    """Count the packages under ``lib`` (``Lib`` on Windows, where case does not matter)."""
    return sum(1 for _ in packages.rglob("*.dist-info"))
