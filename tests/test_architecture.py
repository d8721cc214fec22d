"""The layers of the packages, checked by their imports (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "launch": {"domain", "utils.files"},
    "engine": {"domain"},
    "utils": {"domain"},
    "database": {"domain", "utils.files"},
    "credentials": {"domain", "utils"},
    "settings": {"domain", "utils", "credentials"},
    "exchange": {"domain", "utils", "credentials"},
    "core": {
        *("domain", "utils", "credentials", "settings", "database"),
        *("exchange.port", "exchange.wire", "exchange.stream"),
    },
    "doctor": {"domain", "utils", "credentials", "settings", "database", "exchange", "core", "launch"},
    "bot": {"domain", "utils", "credentials", "settings", "database", "engine", "exchange", "core", "launch.shutdown"},
    "sandbox": {"domain", "engine", "exchange.wire", "utils"},
    "api": {"domain", "utils", "credentials", "settings", "database", "exchange.port"},
}
EXTRA_IMPORTS = {
    "exchange/paper.py": {"engine"},
    # Composes the dashboard: the only module that chooses the exchange it reads.
    "api/api_server.py": {"exchange", "launch"},
    "sandbox/server.py": {"launch.shutdown"},
}
PURE_MODULES = (
    "entries/entry_context",
    "entries/strategy",
    "entries/risk",
    "positions/protection_plan",
    "account/account_setup",
    "limits/risk_terms",
)
"""Modules of src/core that take values and return values: no clock, no database, no shared state."""
PURE_MAY_IMPORT = (
    "src.domain.",
    "src.settings.config",
    "src.settings.exits",
    "src.core.portfolio",
    *(f"src.core.{name.replace('/', '.')}" for name in PURE_MODULES),
)
STANDARD_LIBRARY_ONLY = ("domain", "launch")


def modules() -> list[Path]:
    """All our modules, without the migrations, which are never edited."""
    return sorted(path for path in SRC.rglob("*.py") if path.parent != SRC and path.parent.name != "versions")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


def package_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def is_allowed(name: str, path: Path) -> bool:
    if name == "src":  # the version
        return True
    target = name.removeprefix("src.")
    allowed = (
        {package_of(path)} | MAY_IMPORT[package_of(path)] | EXTRA_IMPORTS.get(path.relative_to(SRC).as_posix(), set())
    )
    return any(target == each or target.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SRC).as_posix())
def test_package_imports_only_packages_below_it(path: Path) -> None:
    assert package_of(path) in MAY_IMPORT
    assert [name for name in imports(path) if name.startswith("src") and not is_allowed(name, path)] == []


@pytest.mark.parametrize("module", PURE_MODULES)
def test_pure_module_imports_only_pure_modules(module: str) -> None:
    imported = [name for name in imports(SRC / "core" / f"{module}.py") if name.startswith("src")]
    assert [name for name in imported if not name.startswith(PURE_MAY_IMPORT)] == []


@pytest.mark.parametrize("package", STANDARD_LIBRARY_ONLY)
def test_lowest_packages_import_only_the_standard_library(package: str) -> None:
    third_party = {
        name.split(".")[0]
        for path in (SRC / package).rglob("*.py")
        for name in imports(path)
        if not name.startswith("src")
    } - set(sys.stdlib_module_names)
    assert third_party == set()


def test_imported_history_reaches_the_bot_nowhere() -> None:
    """Trades of other bots must not be taken for its own: only the command line and the dashboard open imported.db."""
    users = {
        path.relative_to(SRC).as_posix()
        for path in modules()
        if {"src.database.imported", "src.database.other_bots"} & set(imports(path))
    }
    assert users == {"api/routes/imports.py", "core/operator/importing.py", "database/imported.py"}
    importing = "src.core.operator.importing"
    assert [path.name for path in modules() if importing in imports(path)] == []  # main.py alone


def test_files_and_functions_stay_within_their_limits() -> None:
    """At most 500 lines in a file and 45 in a function."""
    long_files, long_functions = [], []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 500:
            long_files.append(path.name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > 45:
                long_functions.append(f"{path.name}:{node.name}")
    assert (long_files, long_functions) == ([], [])


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
