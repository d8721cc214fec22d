"""Reads requirements files and compares them with the installed packages; needs only the standard library."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<versions>[^;#@]*)(?P<source>@?)")
_CONDITION = re.compile(r'(?P<subject>python_version <|platform_machine in) "(?P<value>[^"]+)"')
_VERSION = re.compile(r"\s*(~=|==|>=|<=|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


def included_files(requirements: Path) -> list[Path]:
    """The requirements file, then the files it includes with ``-r``."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    inner = [requirements.parent / line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    return [requirements, *(file for path in inner for file in included_files(path))]


def requirement_lines(requirements: Path) -> Iterator[str]:
    """The requirements of these files, one package per line."""
    for file in included_files(requirements):
        for line in file.read_text(encoding="utf-8").splitlines():
            if _REQUIREMENT.match(line):
                yield line.strip()


def unsatisfied(requirements: Path) -> list[str]:
    """Requirements the running interpreter does not meet: the package is missing or has the wrong version."""
    return [line for line in requirement_lines(requirements) if not is_satisfied(line)]


def package_name(line: str) -> str:
    """The name of the package in a requirement line; empty if the line is not a requirement."""
    found = _REQUIREMENT.match(line)
    return found["name"] if found else ""


def is_satisfied(line: str) -> bool:
    """Whether the package is installed in an allowed version."""
    found = _REQUIREMENT.match(line)
    if found is None:
        return False
    if not _is_for_this_machine(line):
        return True
    try:
        installed = metadata.version(found["name"])
    except metadata.PackageNotFoundError:
        return False
    wanted = [part for part in found["versions"].split(",") if part.strip()]
    return bool(found["source"]) or all(allows(part, installed) for part in wanted)


def _is_for_this_machine(line: str) -> bool:
    """Whether the conditions behind the ``;`` of a line are met; one of another kind than ours counts as met."""
    conditions = line.partition(";")[2].split(" and ")
    found = [_CONDITION.fullmatch(each.strip()) for each in conditions]
    return all(_is_met(each["subject"], each["value"]) for each in found if each is not None)


def _is_met(subject: str, value: str) -> bool:
    if subject == "platform_machine in":
        return platform.machine() in value.split()
    return sys.version_info[:2] < _numbers(value)


def allows(specifier: str, installed: str) -> bool:
    """Whether a specifier such as ``~=3.1`` or ``<4`` allows a version; False if either cannot be parsed."""
    required, release = _VERSION.fullmatch(specifier), _RELEASE.match(installed)
    if required is None or release is None:
        return False
    wanted, has = _numbers(required[2]), _numbers(release.group())
    width = max(len(wanted), len(has))
    left, right = (each + (0,) * (width - len(each)) for each in (has, wanted))
    match required[1]:
        case "~=":
            return left >= right and has[: len(wanted) - 1] == wanted[:-1]
        case "==":
            return left == right
        case "!=":
            return left != right
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left < right


def is_virtual() -> bool:
    """Whether this Python runs in a virtual environment."""
    return sys.prefix != sys.base_prefix


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
