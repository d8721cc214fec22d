"""The layers of the house, held by a walk through the imports (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "launch": {"domain"},
    "engine": {"domain"},
    "utils": {"domain"},
    "database": {"domain"},
    "exchange": {"domain", "utils"},
    "core": {"domain", "utils", "database", "exchange.port", "exchange.wire", "exchange.stream"},
    "doctor": {"domain", "utils", "database", "exchange", "core", "launch"},
    "bot": {"domain", "utils", "database", "engine", "exchange", "core"},
    "sandbox": {"domain", "engine", "exchange.wire", "utils"},
    "api": {"domain", "utils", "database", "exchange.port"},
    "backtest": {"domain", "engine", "core", "exchange.paper", "database.queries"},
}
ALSO = {
    "exchange/paper.py": {"engine"},
    "exchange/paper_memory.py": {"engine"},
    # Composes the dashboard: the one place that knows which exchange it reads.
    "api/api_server.py": {"exchange", "launch"},
}
PLANS_MAY_IMPORT = ("src.domain.", "src.utils.config", "src.core.plans.", "src.core.books")
STANDARD_LIBRARY_ONLY = ("domain", "launch")


def modules() -> list[Path]:
    """Every module of ours; migrations are written by Alembic and never again touched."""
    return sorted(path for path in SRC.rglob("*.py") if path.parent != SRC and path.parent.name != "versions")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def is_allowed(name: str, path: Path) -> bool:
    if name == "src":  # the version
        return True
    target = name.removeprefix("src.")
    allowed = {room_of(path)} | MAY_IMPORT[room_of(path)] | ALSO.get(path.relative_to(SRC).as_posix(), set())
    return any(target == each or target.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SRC).as_posix())
def test_a_room_knows_only_the_rooms_below_it(path: Path) -> None:
    assert room_of(path) in MAY_IMPORT
    assert [name for name in imports(path) if name.startswith("src") and not is_allowed(name, path)] == []


def test_plans_are_pure_values_in_and_values_out() -> None:
    asked = {name for path in (SRC / "core" / "plans").glob("*.py") for name in imports(path) if name.startswith("src")}
    assert [name for name in sorted(asked) if not name.startswith(PLANS_MAY_IMPORT)] == []


@pytest.mark.parametrize("room", STANDARD_LIBRARY_ONLY)
def test_the_lowest_rooms_need_nothing_installed(room: str) -> None:
    outside = {
        name.split(".")[0]
        for path in (SRC / room).rglob("*.py")
        for name in imports(path)
        if not name.startswith("src")
    } - set(sys.stdlib_module_names)
    assert outside == set()


def test_files_and_functions_keep_their_size() -> None:
    """A file past 300 lines or a function past 45 is asking to be two."""
    long_files, long_functions = [], []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 300:
            long_files.append(path.name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > 45:
                long_functions.append(f"{path.name}:{node.name}")
    assert (long_files, long_functions) == ([], [])


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
