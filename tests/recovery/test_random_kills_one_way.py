"""A bot in one-way mode, where an exit too many would flip the position, killed at random instants."""

from pathlib import Path

import pytest

from src.utils.auth import Scheme
from tests.recovery.killer import Siege, a_busy_market, busy_settings, withstand

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_in_one_way_mode_on_v3_withstands_kills_at_any_instant(tmp_path: Path) -> None:
    withstand(tmp_path, Siege(102, a_busy_market(2), busy_settings(hedge_mode=False), Scheme.V3))
