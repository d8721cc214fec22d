"""A bot in hedge mode, killed at random instants of a busy market."""

from pathlib import Path

import pytest

from src.utils.auth import Scheme
from tests.recovery.killer import Siege, a_busy_market, busy_settings, withstand

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_in_hedge_mode_on_v1_withstands_kills_at_any_instant(tmp_path: Path) -> None:
    withstand(tmp_path, Siege(101, a_busy_market(1), busy_settings(hedge_mode=True), Scheme.V1))
