"""A position that somebody else has opened by hand (F32, I19)."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeRig
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("may_second_stand", [True, False])
def test_f32_a_position_of_somebody_else_is_taken_over_where_the_settings_say_so(
    make_rig: MakeRig, hedge: bool, may_second_stand: bool
) -> None:
    rig = make_rig({"hedge_mode": hedge, "adopt_foreign_positions": True}).start()
    if not may_second_stand:
        rig.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    rig.trade_by_hand(Side.BUY, "0.005")
    rig.measure("taken over", lambda: rig.orders(STOP), 15)
    rig.wait_protected()
    assert len(rig.orders(STOP)) == len(rig.orders(TAKE)) == 1
    rig.close_position()
    wait_until(lambda: not rig.position, 5, "it is closed as the bot's own")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books(naked_ms=30_000)


def test_f32_a_position_of_somebody_else_is_left_alone_and_told_of(rig: Rig) -> None:
    rig.trade_by_hand(Side.BUY, "0.005")
    wait_until(lambda: any("is not the bot's and has no stop loss" in alert for alert in rig.alerts()), 15, "the alarm")
    rig.move(rig.middle)
    rig.liquidate()
    wait_until(lambda: rig.verdicts() and "not the bot's" in rig.verdicts()[-1], 3)
    assert rig.position == rig.booked_position() == Decimal("0.005")
    assert not rig.arrived()
