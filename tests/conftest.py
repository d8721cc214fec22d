"""Configures the test run: its profile, the API version of the soak, and the fault table."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from src.utils.auth import ApiVersion
from tests import profiles, reruns
from tests.faults.fault_table import FaultsTable

SOAK_SCHEME = "SOAK_SCHEME"


def pytest_addoption(parser: pytest.Parser) -> None:
    profiles.add_options(parser)
    parser.addoption("--faults-table", type=Path, metavar="FILE", help="write the results of the fault tests to FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(profiles.ProfileRun(profiles.choose(config)))
    config.pluginmanager.register(reruns)
    # The duration of an example depends on the machine.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")
    os.environ.setdefault(SOAK_SCHEME, random.choice(list(ApiVersion)))  # chosen once; workers inherit it
    target: Path | None = config.getoption("--faults-table")
    if target is not None and not hasattr(config, "workerinput"):  # not in a worker: the controller gets all reports
        config.pluginmanager.register(FaultsTable(target))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> profiles.Scheduler | None:
    return profiles.Scheduler(config, log) if config.option.dist == "loadfile" else None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return profiles.workers(config)
