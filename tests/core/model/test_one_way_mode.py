"""Anything may happen in any order, in one-way mode: the trader keeps its promises, and ends up as the exchange is."""

import pytest

from tests.core.model.state_machine import PROFILE, TraderMachine

pytestmark = pytest.mark.slow


class OneWayMachine(TraderMachine):
    hedge_mode = False


TestOneWay = OneWayMachine.TestCase
TestOneWay.settings = PROFILE
