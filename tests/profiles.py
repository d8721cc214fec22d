"""Which tests a run consists of: the quick ones, all (``--all``), or all and at length (``--long``).

The quick profile leaves out what starts the real programs, drives a browser or takes long. A test file named on the
command line runs whole, and ``-m`` replaces the profile.
"""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum

import pytest
from xdist.scheduler import LoadScopeScheduling

NOT_QUICK = ("slow", "recovery", "first", "browser", "long")
"""Markers of the tests that the quick profile leaves out."""
RERUN_ONCE = ("recovery", "first", "browser", "processes")
"""Markers of the tests that depend on how the machine schedules processes: each may fail once."""
EFFORTS = {
    "KILL_ROUNDS": ("12", "50"),
    "SOAK_SECONDS": ("120", "360"),
    "MODEL_EXAMPLES": ("150", "500"),
}
"""By environment variable: how much of it ``--all`` does, and how much ``--long``."""
QUICK_WORKERS, ALL_WORKERS = 4, 6
"""At least so many, and as many as there are processors: most tests wait for sockets and processes."""
ONE_BY_ONE = ("tests/faults/", "tests/recovery/", "tests/system/")
"""Folders whose tests share nothing and take seconds each: each goes to the next worker that is free."""


class Profile(StrEnum):
    QUICK = "quick"
    ALL = "all"
    LONG = "long"
    NAMED = "named"
    """Whatever the command line names."""


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("profiles", "which tests to run")
    group.addoption(
        "--all",
        dest="tests_profile",
        action="store_const",
        const=Profile.ALL,
        help="run also the tests that start the real programs, drive a browser or take long",
    )
    group.addoption(
        "--long", dest="tests_profile", action="store_const", const=Profile.LONG, help="run everything, and for longer"
    )


def choose(config: pytest.Config) -> Profile:
    """The profile of this run. Its workers, which get the options and the environment, make the same choice."""
    if config.option.tests_profile is None:
        is_named = config.option.markexpr or names_files(config.invocation_params.args)
        config.option.tests_profile = Profile.NAMED if is_named else Profile.QUICK
    profile = Profile(config.option.tests_profile)
    for name, (usual, long) in EFFORTS.items():
        os.environ.setdefault(name, long if profile is Profile.LONG else usual)
    return profile


def names_files(arguments: Sequence[str]) -> bool:
    """Whether single test files, or single tests, are named."""
    return any(argument.partition("::")[0].endswith(".py") for argument in map(str, arguments))


def workers(config: pytest.Config) -> int:
    """How many processes run the tests where ``-n`` does not say; none for a file or two."""
    named = [argument for argument in map(str, config.invocation_params.args) if names_files([argument])]
    if 0 < len(named) < QUICK_WORKERS:
        return 0
    fewest = QUICK_WORKERS if choose(config) is Profile.QUICK else ALL_WORKERS
    return max(fewest, os.cpu_count() or 1)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """Gives a worker one file at a time, or one test where files are long."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


class ProfileRun:
    """Leaves out what is not in the profile, and says so in the last line of the run."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = [item for item in items if self._is_left_out(item)]
        items[:] = [item for item in items if not self._is_left_out(item)]
        items.sort(key=_turn)
        for item in items:
            if _has_any(item, RERUN_ONCE):
                item.add_marker(pytest.mark.flaky(reruns=1))
        self._left_out = len(left_out)
        of_worker: dict[str, object] | None = getattr(config, "workeroutput", None)
        if of_worker is not None:
            of_worker["left_out"] = len(left_out)
        if left_out:
            config.hook.pytest_deselected(items=left_out)

    def _is_left_out(self, item: pytest.Item) -> bool:
        if self._profile is Profile.QUICK:
            return _has_any(item, NOT_QUICK)
        return self._profile is Profile.ALL and _has_any(item, ["long"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Every worker has left out the same."""
        self._left_out = getattr(node, "workeroutput", {}).get("left_out", self._left_out)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        yield
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.write_line(self.last_line(self._left_out))

    def last_line(self, left_out: int) -> str:
        match self._profile:
            case Profile.QUICK:
                return (
                    f"Left out: {left_out} tests that start the real programs, drive a browser or take long. "
                    "All of them: python3 tests/run.py --all"
                )
            case Profile.ALL:
                return (
                    f"Left out: {left_out} tests, and more kills, stories and minutes for others. "
                    "All of it: python3 tests/run.py --long"
                )
            case Profile.LONG:
                return "Nothing was left out."
        return "Ran what the command line names. The quick profile: python3 tests/run.py"


def _turn(item: pytest.Item) -> int:
    """The longest tests begin first, and the quick ones fill the gaps at the end."""
    if item.get_closest_marker("first") is not None:
        return 0
    return 1 if _has_any(item, NOT_QUICK) else 2


def _has_any(item: pytest.Item, markers: Sequence[str]) -> bool:
    return any(item.get_closest_marker(name) is not None for name in markers)
