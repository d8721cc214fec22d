"""A bot on recorded liquidations, killed at random instants."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.sandbox.options import replay_script
from src.utils.auth import Scheme
from tests.recovery.killer import Siege, busy_settings, withstand
from tests.system.test_replay import a_recording

pytestmark = [pytest.mark.slow, pytest.mark.recovery, pytest.mark.first]


def test_a_bot_of_v1_on_a_replay_withstands_kills_at_any_instant(tmp_path: Path) -> None:
    script = replay_script(a_recording(tmp_path), speed=Decimal(3), awaits_listener=True)
    withstand(tmp_path, Siege(104, script, busy_settings(), Scheme.V1))
