from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.rig import FakeMarket, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A dashboard in a fresh home; the bot has never run in it until the test lets it."""
    rig = Rig(tmp_path, market=FakeMarket())
    yield rig
    rig.close()
