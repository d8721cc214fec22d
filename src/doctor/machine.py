"""Checks of the machine: Python, packages, disk space and the dashboard's port."""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from src.domain.checks import Check, failed, passed, warned
from src.launch import OLDEST_PYTHON
from src.launch.errors import LaunchError
from src.launch.home import Address, require_free_port

_INSTALL = "run launcher.py once to install the packages"
_CLAUSE = re.compile(r"(~=|>=|<=|==|<|>)\s*([0-9][0-9.]*)")
_MIN_FREE_BYTES, _LOW_DISK_BYTES = 100 * 1024**2, 1024**3
_BYTES_PER_MB = 1024**2

Version = tuple[int, ...]


def check_python() -> Check:
    """Check the version of the running interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return passed("python", found)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return failed("python", f"{found} is too old", f"install Python {oldest} or newer")


def check_packages(requirements: Path) -> Iterator[Check]:
    """Report each package that is missing or has the wrong version; one check if all are installed."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    required = [line.split(";")[0].strip() for line in lines if line[:1].isalnum()]
    faults = [fault for line in required if (fault := _requirement_error(line)) is not None]
    for fault in faults:
        yield failed("packages", fault, _INSTALL)
    if not faults:
        yield passed("packages", f"all {len(required)} are installed")


def _requirement_error(line: str) -> str | None:
    name = re.split(r"[~<>=! \[]", line, maxsplit=1)[0]
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    clauses = _CLAUSE.findall(line)
    return (
        None
        if all(_satisfies(_version(found), *clause) for clause in clauses)
        else f"{name} {found} does not match {line}"
    )


def _satisfies(found: Version, relation: str, text: str) -> bool:
    required = _version(text)
    length = max(len(found), len(required))
    left, right = (each + (0,) * (length - len(each)) for each in (found, required))
    match relation:
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case "<":
            return left < right
        case ">":
            return left > right
        case "==":
            return left == right
        case _:  # ~=: at least this version, in the same series
            return left >= right and found[: len(required) - 1] == required[:-1]


def _version(text: str) -> Version:
    digits = re.match(r"[0-9.]*", text)
    return tuple(int(part) for part in (digits.group() if digits else "").split(".") if part)


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
