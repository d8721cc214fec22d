"""A bot on a sandbox, ended with its test."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from src.utils.auth import ApiVersion
from tests.faults.harness import FaultHarness
from tests.sandbox.credentials import canaries_of

MakeHarness = Callable[..., FaultHarness]
_PHASES: tuple[Literal["setup", "call"], ...] = ("setup", "call")


@pytest.fixture(params=ApiVersion)
def scheme(request: pytest.FixtureRequest) -> ApiVersion:
    """Whatever goes wrong, it does so for those who sign by API key and for those who sign by API wallet."""
    return ApiVersion(request.param)


@pytest.fixture
def make_harness(
    tmp_path: Path, request: pytest.FixtureRequest, scheme: ApiVersion, caplog: pytest.LogCaptureFixture
) -> Iterator[MakeHarness]:
    """Makes rigs with settings of their own; the bot is not started yet.

    Whatever went wrong, at the end no secret stands in any file or in any line of the log, masked by nobody.
    """
    rigs: list[FaultHarness] = []
    caplog.set_level(logging.INFO)

    def make(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> FaultHarness:
        home = tmp_path / str(len(rigs))
        home.mkdir(exist_ok=True)
        rigs.append(FaultHarness(home, scheme, global_changes, **symbol_changes))
        return rigs[-1]

    yield make
    for harness in reversed(rigs):  # a guest before its host
        request.node.user_properties.extend(harness.measured.items())  # told with the report of this test's end
        harness.close()
    told = [logging.Formatter().format(record) for phase in _PHASES for record in caplog.get_records(phase)]
    for harness in rigs:
        canaries = canaries_of(harness.server)
        assert canaries.files_under(harness.home) == set()
        assert [line for line in told if canaries.are_in(line)] == []


@pytest.fixture
def harness(make_harness: MakeHarness, request: pytest.FixtureRequest) -> FaultHarness:
    """A bot that trades; in one-way mode, where an exit too many would flip the position, unless asked otherwise."""
    return make_harness({"hedge_mode": getattr(request, "param", False)}).start()


in_both_modes = pytest.mark.parametrize("harness", [False, True], indirect=True, ids=["one_way", "hedge"])
"""Run the test in each position mode."""
