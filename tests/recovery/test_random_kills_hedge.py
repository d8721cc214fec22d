"""A bot in hedge mode, killed at random instants of a busy market."""

from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, a_busy_market, busy_settings, survive_kills

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_in_hedge_mode_on_v1_withstands_kills_at_any_instant(tmp_path: Path) -> None:
    survive_kills(tmp_path, KillPlan(101, a_busy_market(1), busy_settings(hedge_mode=True), ApiVersion.V1))
