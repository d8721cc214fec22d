"""Fixtures: a bot on a sandbox, stopped at the end of the test."""

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
    """Run each test with an API key (V1) and with an API wallet (V3)."""
    return ApiVersion(request.param)


@pytest.fixture
def make_harness(
    tmp_path: Path, request: pytest.FixtureRequest, scheme: ApiVersion, caplog: pytest.LogCaptureFixture
) -> Iterator[MakeHarness]:
    """Creates harnesses with their own settings; the bot is not started yet.

    At the end no file and no log line may contain a secret, even without masking.
    """
    harnesses: list[FaultHarness] = []
    caplog.set_level(logging.INFO)

    def make(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> FaultHarness:
        home = tmp_path / str(len(harnesses))
        home.mkdir(exist_ok=True)
        harnesses.append(FaultHarness(home, scheme, global_changes, **symbol_changes))
        return harnesses[-1]

    yield make
    for harness in reversed(harnesses):  # a second bot before the owner of the sandbox
        request.node.user_properties.extend(harness.measured.items())  # sent with the teardown report
        harness.close()
    log_lines = [logging.Formatter().format(record) for phase in _PHASES for record in caplog.get_records(phase)]
    for harness in harnesses:
        canaries = canaries_of(harness.server)
        assert canaries.files_under(harness.home) == set()
        assert [line for line in log_lines if canaries.are_in(line)] == []


@pytest.fixture
def harness(make_harness: MakeHarness, request: pytest.FixtureRequest) -> FaultHarness:
    """A bot that trades; by default in one-way mode, where one exit too many would reverse the position."""
    return make_harness({"hedge_mode": getattr(request, "param", False)}).start()


in_both_modes = pytest.mark.parametrize("harness", [False, True], indirect=True, ids=["one_way", "hedge"])
"""Run the test in each position mode."""
