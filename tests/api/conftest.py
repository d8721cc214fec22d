from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.harness import ApiHarness, FakeMarket


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ApiHarness]:
    """A dashboard in a fresh home; the bot has never run in it until the test lets it."""
    harness = ApiHarness(tmp_path, market=FakeMarket())
    yield harness
    harness.close()
