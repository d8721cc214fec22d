"""Every declared package is used: imported by our code or tests, or configured as a tool."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from src.launch.requirements import package_name, requirement_lines

ROOT = Path(__file__).resolve().parent.parent
CODE = ("main.py", "launcher.py", "src", "tests", "benchmarks")
PLUGINS = {
    "pytest-cov": "--cov",
    "pytest-xdist": "--numprocesses",
    "pytest-rerunfailures": "--max-suite-reruns",
    "pytest-playwright": "playwright",
}
"""Plugins of pytest, with the option or module by which each is used."""
TOOLS = {"ruff", "mypy"}


def packages() -> list[str]:
    lines = requirement_lines(ROOT / "requirements-dev.txt")
    return sorted({package_name(line).lower() for line in lines})


@cache
def imported() -> frozenset[str]:
    """The top-level modules that our code imports."""
    files = [file for name in CODE for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))]
    return frozenset(module for file in files for module in _imports(ast.parse(file.read_text(encoding="utf-8"))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def modules_of(package: str) -> set[str]:
    """The top-level modules of a package."""
    normal = re.compile(r"[-_.]+")
    normalized = normal.sub("-", package)
    distributions = metadata.packages_distributions().items()
    return {
        module for module, names in distributions if normalized in {normal.sub("-", name.lower()) for name in names}
    }


def configuration() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8") + (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", packages())
def test_declared_package_is_used(package: str) -> None:
    if package in TOOLS:
        assert f"[tool.{package}" in configuration()
        assert f"-m {package}" in configuration()
    elif package in PLUGINS:
        assert PLUGINS[package] in configuration() or PLUGINS[package] in imported()
    elif package.startswith("types-"):
        assert package.removeprefix("types-") in imported()
    else:
        assert modules_of(package) & imported(), f"nothing imports {package}: remove it from the requirements"
