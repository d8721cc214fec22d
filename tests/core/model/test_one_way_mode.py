"""The state machine in one-way and multi-assets mode: invariants hold, and database and exchange agree in the end."""

import pytest

from tests.core.model.state_machine import PROFILE, TraderMachine

pytestmark = pytest.mark.slow


class OneWayMachine(TraderMachine):
    hedge_mode = False
    multi_assets = True


TestOneWay = OneWayMachine.TestCase
TestOneWay.settings = PROFILE
