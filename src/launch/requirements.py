"""Reads requirements files and compares them with what is installed, before any package can be imported."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<versions>[^;#@]*)(?P<source>@?)")
_VERSION = re.compile(r"\s*(~=|==|>=|<=|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


def included_files(requirements: Path) -> list[Path]:
    """The requirements file and those it includes with ``-r``, itself first."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    inner = [requirements.parent / line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    return [requirements, *(file for path in inner for file in included_files(path))]


def requirement_lines(requirements: Path) -> Iterator[str]:
    """What these files ask for, one package a line."""
    for file in included_files(requirements):
        for line in file.read_text(encoding="utf-8").splitlines():
            if _REQUIREMENT.match(line):
                yield line.strip()


def unsatisfied(requirements: Path) -> list[str]:
    """The lines that the running interpreter does not fulfil: the package is missing, or has another version."""
    return [line for line in requirement_lines(requirements) if not is_satisfied(line)]


def is_satisfied(line: str) -> bool:
    """Whether a package of that name is installed, in such a version."""
    found = _REQUIREMENT.match(line)
    if found is None:
        return False
    try:
        installed = metadata.version(found["name"])
    except metadata.PackageNotFoundError:
        return False
    wanted = [part for part in found["versions"].split(",") if part.strip()]
    return bool(found["source"]) or all(allows(part, installed) for part in wanted)


def allows(specifier: str, installed: str) -> bool:
    """Whether ``~=3.1``, ``<4`` and the like allow a version; False for any that is not understood."""
    asked, release = _VERSION.fullmatch(specifier), _RELEASE.match(installed)
    if asked is None or release is None:
        return False
    wanted, has = _numbers(asked[2]), _numbers(release.group())
    width = max(len(wanted), len(has))
    left, right = (each + (0,) * (width - len(each)) for each in (has, wanted))
    match asked[1]:
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
