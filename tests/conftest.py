"""What the whole run knows: what is begun first, and where the table of faults is to be written, if at all."""

from pathlib import Path

import pytest

from tests.faults.table import FaultsTable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-table", type=Path, metavar="FILE", help="write what the fault tests have shown there")


def pytest_configure(config: pytest.Config) -> None:
    target: Path | None = config.getoption("--faults-table")
    if target is not None and not hasattr(config, "workerinput"):  # the workers' reports come to the one that began
        config.pluginmanager.register(FaultsTable(target))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
