"""Fixtures: processes that are killed, cleaned up at the end of the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fault_table import UNPROTECTED
from tests.recovery.harness import PROCESS_SETUPS, BotHarness, ProcessSetup

MakeHarness = Callable[..., BotHarness]


@pytest.fixture(params=PROCESS_SETUPS, ids=str)
def process_setup(request: pytest.FixtureRequest) -> ProcessSetup:
    """Kill only the bot, or launcher, bot and dashboard together."""
    return ProcessSetup(request.param.with_launcher, request.param.scheme)


@pytest.fixture
def make_harness(
    tmp_path: Path, process_setup: ProcessSetup, record_property: Callable[[str, object], None]
) -> Iterator[MakeHarness]:
    """Creates harnesses with their own settings; nothing is started yet."""
    harnesses: list[BotHarness] = []

    def make(**changes: Any) -> BotHarness:
        home = tmp_path / str(len(harnesses))
        home.mkdir()
        harnesses.append(BotHarness(home, process_setup, **changes))
        return harnesses[-1]

    yield make
    for harness in harnesses:
        record_property(UNPROTECTED, harness.longest_unprotected_ms())
        harness.close()


@pytest.fixture
def harness(make_harness: MakeHarness) -> BotHarness:
    return make_harness()
