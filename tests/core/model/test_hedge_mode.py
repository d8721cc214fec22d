"""Anything may happen in any order, in hedge mode: the trader keeps its promises, and ends up as the exchange is."""

import pytest

from tests.core.model.state_machine import PROFILE, TraderMachine

pytestmark = pytest.mark.slow


class HedgeMachine(TraderMachine):
    hedge_mode = True


TestHedge = HedgeMachine.TestCase
TestHedge.settings = PROFILE
