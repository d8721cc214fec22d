from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.harness import ApiHarness, FakeMarket


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ApiHarness]:
    """A dashboard in a new home in which the bot has not run yet."""
    harness = ApiHarness(tmp_path, market=FakeMarket())
    yield harness
    harness.close()
