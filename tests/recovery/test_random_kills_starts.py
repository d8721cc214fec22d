"""A bot with an API wallet that is killed mostly during its start."""

from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, a_busy_market, busy_settings, survive_kills

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_v3_survives_kills_during_its_start(tmp_path: Path) -> None:
    survive_kills(tmp_path, KillPlan(103, a_busy_market(3), busy_settings(), ApiVersion.V3, starts_killed=0.7))
