"""Orders whose answers are lost, late or refused (F1-F8, F10-F14)."""

import pytest

from src.domain.enums import OrderRole
from src.sandbox.faults import FaultKind
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery


def test_f01_an_entry_that_was_executed_and_answered_503_is_found_and_protected(rig: Rig) -> None:
    rig.inject(FaultKind.UNKNOWN_OUTCOME, OrderRole.ENTRY)
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 5)
    assert len(rig.arrived(OrderRole.ENTRY)) == 1
    rig.check_books()


def test_f02_an_entry_whose_answer_never_came_is_found_and_protected(rig: Rig) -> None:
    rig.inject(FaultKind.DROPPED_REPLY, OrderRole.ENTRY)
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    rig.check_books()
