"""A bot in one-way mode, where one exit too many would reverse the position, killed at random times."""

from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, a_busy_market, busy_settings, survive_kills

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_one_way_mode_with_v3_survives_random_kills(tmp_path: Path) -> None:
    survive_kills(tmp_path, KillPlan(102, a_busy_market(2), busy_settings(hedge_mode=False), ApiVersion.V3))
