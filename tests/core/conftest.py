from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.harness import Harness


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def harness(path: Path) -> Iterator[Harness]:
    """A connected bot in hedge mode, flat, with 1,000 USDT."""
    harness = Harness(path).connect()
    yield harness
    harness.close()
