"""A stage for processes that die, cleared with its test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.table import NAKED
from tests.recovery.lives import LIVES, Life
from tests.recovery.rig import Stage

MakeStage = Callable[..., Stage]


@pytest.fixture(params=LIVES, ids=str)
def life(request: pytest.FixtureRequest) -> Life:
    """The bot alone is killed, or launcher, bot and dashboard together."""
    return Life(request.param.whole, request.param.scheme)


@pytest.fixture
def make_stage(tmp_path: Path, life: Life, record_property: Callable[[str, object], None]) -> Iterator[MakeStage]:
    """Makes stages with settings of their own; nothing is started yet."""
    stages: list[Stage] = []

    def make(**changes: Any) -> Stage:
        home = tmp_path / str(len(stages))
        home.mkdir()
        stages.append(Stage(home, life, **changes))
        return stages[-1]

    yield make
    for stage in stages:
        record_property(NAKED, stage.longest_naked_ms())
        stage.close()


@pytest.fixture
def stage(make_stage: MakeStage) -> Stage:
    return make_stage()
