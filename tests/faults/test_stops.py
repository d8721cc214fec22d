"""A stop is replaced with two live stops in between, never none (I10), whatever the exchange allows."""

import pytest

from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import in_both_modes
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

STOP = OrderRole.STOP_LOSS


def average_down(rig: Rig) -> None:
    """The market has fallen a little, and a second entry fills there."""
    rig.shift("-0.5")
    rig.hunt()
    rig.fill()


@in_both_modes
@pytest.mark.parametrize("may_second_stand", [True, False])
def test_i10_an_averaged_down_position_gets_its_new_stop_before_the_old_one_goes(
    rig: Rig, may_second_stand: bool
) -> None:
    if not may_second_stand:
        rig.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    rig.open_position()
    held, old = rig.position, rig.orders(STOP)[0]
    average_down(rig)
    wait_until(lambda: rig.position > held and rig.has_one_right_stop(), 8, "the new stop alone")
    [stop] = rig.orders(STOP)
    assert stop.stop_price < old.stop_price
    assert stop.close_position is may_second_stand
    assert stop.close_position or stop.quantity == rig.position
    rig.shift("-3")
    wait_until(lambda: not rig.position, 5, "the new stop closes all of it")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_i10_a_stop_of_a_size_follows_the_position_until_one_that_closes_all_takes_its_place(rig: Rig) -> None:
    rig.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    rig.open_position()
    average_down(rig)
    wait_until(lambda: rig.has_one_right_stop() and not rig.orders(STOP)[0].close_position, 8, "a stop of a size")
    rig.trade_by_hand(Side.SELL, "0.003")
    wait_until(lambda: [each.quantity for each in rig.orders(STOP)] == [rig.position], 5, "the size follows")
    wait_until(lambda: rig.has_one_right_stop() and rig.orders(STOP)[0].close_position, 20, "one that closes all")
    rig.check_books(naked_ms=2_000)
