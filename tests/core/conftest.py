from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.rig import Rig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def rig(path: Path) -> Iterator[Rig]:
    """A connected bot in hedge mode, flat, with 1,000 USDT."""
    rig = Rig(path).connect()
    yield rig
    rig.close()
