"""Profiles of the test run: quick, ``--all``, or ``--long`` (all tests, for longer).

The quick profile excludes tests that start the real programs, use a browser or take long. A test file given on the
command line runs completely, and ``-m`` replaces the profile.
"""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum

import pytest
from xdist.scheduler import LoadScopeScheduling

NOT_QUICK = ("slow", "recovery", "first", "browser", "long")
"""Markers of the tests that the quick profile excludes."""
RERUN_ONCE = ("recovery", "first", "browser", "processes")
"""Markers of tests that depend on process scheduling: each is rerun once if it fails."""
EFFORTS = {
    "KILL_ROUNDS": ("12", "50"),
    "SOAK_SECONDS": ("120", "360"),
    "MODEL_EXAMPLES": ("150", "500"),
}
"""Environment variables with their values for ``--all`` and for ``--long``."""
QUICK_WORKERS, ALL_WORKERS = 4, 6
"""Minimum number of workers; more on a machine with more processors. Most tests wait for sockets and processes."""
ONE_BY_ONE = ("tests/faults/", "tests/recovery/", "tests/system/")
"""Directories with slow, independent tests: each test is assigned to the next free worker."""


class Profile(StrEnum):
    QUICK = "quick"
    ALL = "all"
    LONG = "long"
    NAMED = "named"
    """The tests given on the command line."""


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("profiles", "which tests to run")
    group.addoption(
        "--all",
        dest="tests_profile",
        action="store_const",
        const=Profile.ALL,
        help="also run tests that start the real programs, use a browser or take long",
    )
    group.addoption(
        "--long", dest="tests_profile", action="store_const", const=Profile.LONG, help="run all tests, for longer"
    )


def choose(config: pytest.Config) -> Profile:
    """Choose the profile of this run; workers get the same options and environment and choose the same."""
    if config.option.tests_profile is None:
        is_named = config.option.markexpr or names_files(config.invocation_params.args)
        config.option.tests_profile = Profile.NAMED if is_named else Profile.QUICK
    profile = Profile(config.option.tests_profile)
    for name, (normal, long) in EFFORTS.items():
        os.environ.setdefault(name, long if profile is Profile.LONG else normal)
    return profile


def names_files(arguments: Sequence[str]) -> bool:
    """Whether the arguments name test files or single tests."""
    return any(argument.partition("::")[0].endswith(".py") for argument in map(str, arguments))


def workers(config: pytest.Config) -> int:
    """Number of workers without ``-n``; 0 (no workers) for up to three test files."""
    named = [argument for argument in map(str, config.invocation_params.args) if names_files([argument])]
    if 0 < len(named) < QUICK_WORKERS:
        return 0
    minimum = QUICK_WORKERS if choose(config) is Profile.QUICK else ALL_WORKERS
    return max(minimum, os.cpu_count() or 1)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Assigns one unit at a time to each worker."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """The unit assigned to a worker: the test's file, or a single test in the directories with slow tests."""
    return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


class ProfileRun:
    """Deselects the tests that are not in the profile, and reports them in the last line of the run."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = [item for item in items if self._is_left_out(item)]
        items[:] = [item for item in items if not self._is_left_out(item)]
        items.sort(key=_priority)
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
        """Take the count of a worker; all workers deselect the same tests."""
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
                    f"Left out: {left_out} tests that start the real programs, use a browser or take long. "
                    "To run them: python3 tests/run.py --all"
                )
            case Profile.ALL:
                return (
                    f"Left out: {left_out} tests, and the longer runs of others. "
                    "To run them: python3 tests/run.py --long"
                )
            case Profile.LONG:
                return "Nothing was left out."
        return "Ran the tests given on the command line. The quick profile: python3 tests/run.py"


def _priority(item: pytest.Item) -> int:
    """Sort key: the longest tests start first, the quick ones fill the gaps at the end."""
    if item.get_closest_marker("first") is not None:
        return 0
    return 1 if _has_any(item, NOT_QUICK) else 2


def _has_any(item: pytest.Item, markers: Sequence[str]) -> bool:
    return any(item.get_closest_marker(name) is not None for name in markers)
