"""Harnesses of one test, closed at its end."""

from collections.abc import Iterator

import pytest

from tests.core.harness import Harness


@pytest.fixture
def harnesses() -> Iterator[list[Harness]]:
    opened: list[Harness] = []
    yield opened
    for harness in opened:
        harness.close()
