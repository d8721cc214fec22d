"""A bot on a sandbox, ended with its test."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from src.utils.auth import Scheme
from tests.faults.rig import Rig
from tests.sandbox.credentials import canaries_of

MakeRig = Callable[..., Rig]
_PHASES: tuple[Literal["setup", "call"], ...] = ("setup", "call")


@pytest.fixture(params=Scheme)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    """Whatever goes wrong, it does so for those who sign by API key and for those who sign by API wallet."""
    return Scheme(request.param)


@pytest.fixture
def make_rig(
    tmp_path: Path, request: pytest.FixtureRequest, scheme: Scheme, caplog: pytest.LogCaptureFixture
) -> Iterator[MakeRig]:
    """Makes rigs with settings of their own; the bot is not started yet.

    Whatever went wrong, at the end no secret stands in any file or in any line of the log, masked by nobody.
    """
    rigs: list[Rig] = []
    caplog.set_level(logging.INFO)

    def make(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> Rig:
        home = tmp_path / str(len(rigs))
        home.mkdir(exist_ok=True)
        rigs.append(Rig(home, scheme, global_changes, **symbol_changes))
        return rigs[-1]

    yield make
    for rig in reversed(rigs):  # a guest before its host
        request.node.user_properties.extend(rig.measured.items())  # told with the report of this test's end
        rig.close()
    told = [logging.Formatter().format(record) for phase in _PHASES for record in caplog.get_records(phase)]
    for rig in rigs:
        canaries = canaries_of(rig.server)
        assert canaries.files_under(rig.home) == set()
        assert [line for line in told if canaries.are_in(line)] == []


@pytest.fixture
def rig(make_rig: MakeRig, request: pytest.FixtureRequest) -> Rig:
    """A bot that trades; in one-way mode, where an exit too many would flip the position, unless asked otherwise."""
    return make_rig({"hedge_mode": getattr(request, "param", False)}).start()


in_both_modes = pytest.mark.parametrize("rig", [False, True], indirect=True, ids=["one_way", "hedge"])
"""Run the test in each position mode."""
