"""A bot on recorded liquidations, killed at random times."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.sandbox.options import replay_scenario
from src.utils.auth import ApiVersion
from tests.recovery.kill_plan import KillPlan, busy_settings, survive_kills
from tests.system.test_replay import a_recording

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_replay_with_v1_survives_random_kills(tmp_path: Path) -> None:
    scenario = replay_scenario(a_recording(tmp_path), speed=Decimal(3), waits_for_subscriber=True)
    survive_kills(tmp_path, KillPlan(104, scenario, busy_settings(), ApiVersion.V1))
