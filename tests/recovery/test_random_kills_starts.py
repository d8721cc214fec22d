"""A bot that signs by an API wallet and is killed in its starts more often than not."""

from pathlib import Path

import pytest

from src.utils.auth import Scheme
from tests.recovery.killer import Siege, a_busy_market, busy_settings, withstand

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_of_v3_withstands_being_killed_in_its_starts(tmp_path: Path) -> None:
    withstand(tmp_path, Siege(103, a_busy_market(3), busy_settings(), Scheme.V3, starts_killed=0.7))
