"""The state machine in hedge mode: invariants hold, and database and exchange agree in the end."""

import pytest

from tests.core.model.state_machine import PROFILE, TraderMachine

pytestmark = pytest.mark.slow


class HedgeMachine(TraderMachine):
    hedge_mode = True


TestHedge = HedgeMachine.TestCase
TestHedge.settings = PROFILE
