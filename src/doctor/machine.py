"""Checks of the machine: Python, packages, disk space and the dashboard's port."""

import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from src.domain.checks import Check, failed, passed, warned
from src.launch import OLDEST_PYTHON
from src.launch.errors import LaunchError
from src.launch.home import Address, require_free_port
from src.launch.requirements import is_satisfied, package_name, requirement_lines

_INSTALL = "run launcher.py once to install the packages"
_MIN_FREE_BYTES, _LOW_DISK_BYTES = 100 * 1024**2, 1024**3
_BYTES_PER_MB = 1024**2


def check_python() -> Check:
    """Check the version of the running interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return passed("python", found)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return failed("python", f"{found} is too old", f"install Python {oldest} or newer")


def check_packages(requirements: Path) -> Iterator[Check]:
    """Report each package that is missing or has the wrong version; one check if all are installed."""
    lines = list(requirement_lines(requirements))
    wrong = [line for line in lines if not is_satisfied(line)]
    for line in wrong:
        yield failed("packages", _requirement_error(line), _INSTALL)
    if not wrong:
        yield passed("packages", f"all {len(lines)} are installed")


def _requirement_error(line: str) -> str:
    name = package_name(line)
    try:
        return f"{name} {metadata.version(name)} does not match {line}"
    except metadata.PackageNotFoundError:
        return f"{name} is missing"


def check_disk(directory: Path) -> Check:
    """Check the free disk space for the database and the logs."""
    existing = next(each for each in (directory, *directory.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    message = f"{free / _BYTES_PER_MB:,.0f} MB are free for {directory}"
    if free < _MIN_FREE_BYTES:
        return failed("disk", f"{message}: too little for the database", "free some disk space")
    if free < _LOW_DISK_BYTES:
        return warned("disk", message, "free some disk space: one month of records may need that much")
    return passed("disk", message)


def check_port(host: str, port: int, *, is_bot_alive: bool) -> Check:
    """Check that the dashboard's port is free; trading does not depend on it."""
    address = Address(host, port)
    try:
        require_free_port(address)
    except LaunchError as error:
        if is_bot_alive:
            return passed("dashboard", f"{address.url} is in use while the bot is running")
        message, _, remedy = str(error).rstrip(".").partition(": ")
        return warned("dashboard", message, remedy or "choose another HOST or PORT in .env")
    return passed("dashboard", f"{address.url} is free")
