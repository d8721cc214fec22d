"""A bot that signs by an API wallet and is killed in its starts more often than not."""

from pathlib import Path

import pytest

from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, a_busy_market, busy_settings, survive_kills

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_of_v3_withstands_being_killed_in_its_starts(tmp_path: Path) -> None:
    survive_kills(tmp_path, KillPlan(103, a_busy_market(3), busy_settings(), ApiVersion.V3, starts_killed=0.7))
