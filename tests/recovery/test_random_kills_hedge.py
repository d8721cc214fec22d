"""A bot in hedge mode, killed at random times in a busy market."""

from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, a_busy_market, busy_settings, survive_kills

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_hedge_mode_with_v1_survives_random_kills(tmp_path: Path) -> None:
    survive_kills(tmp_path, KillPlan(101, a_busy_market(1), busy_settings(hedge_mode=True), ApiVersion.V1))
