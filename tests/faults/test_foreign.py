"""A position that somebody else has opened by hand (F32, I19)."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeRig, in_both_modes
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("may_second_stand", [True, False])
def test_f32_a_position_of_somebody_else_is_taken_over_where_the_settings_say_so(
    make_rig: MakeRig, hedge: bool, may_second_stand: bool
) -> None:
    rig = make_rig({"hedge_mode": hedge, "adopt_foreign_positions": True}).start()
    if not may_second_stand:
        rig.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    rig.trade_by_hand(Side.BUY, "0.005")
    rig.measure("taken over", lambda: rig.orders(STOP), 30)
    rig.wait_protected()
    assert len(rig.orders(STOP)) == len(rig.orders(TAKE)) == 1
    rig.close_position()
    wait_until(lambda: not rig.position, 15, "it is closed as the bot's own")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books(naked_ms=30_000)


def test_f32_a_position_of_somebody_else_is_left_alone_and_told_of(rig: Rig) -> None:
    rig.trade_by_hand(Side.BUY, "0.005")
    wait_until(lambda: any("is not the bot's and has no stop loss" in alert for alert in rig.alerts()), 15, "the alarm")
    rig.wait_verdict("not the bot's")
    assert rig.position == rig.booked_position() == Decimal("0.005")
    assert not rig.arrived()


def leave_while_closing(rig: Rig) -> Decimal:
    """The bot ends with a position that it was asked to close and could not; how much it is."""
    rig.open_position()
    rig.inject(FaultKind.REFUSED, CLOSE, value=4131, times=FOREVER)
    rig.close_position()
    wait_until(lambda: rig.arrived(CLOSE), 10, "it was to be closed")
    rig.stop()
    rig.exchange.clear_faults()
    return rig.position


def replace_by_hand(rig: Rig, held: Decimal) -> set[int]:
    """Somebody closes it, and opens one of his own; the trades that were the bot's position."""
    rig.trade_by_hand(Side.SELL, str(held))
    of_the_bot = {fill.trade_id for fill in rig.fills()}
    rig.trade_by_hand(Side.BUY, str(held))
    return of_the_bot


def booked(rig: Rig) -> set[int]:
    return {row["trade_id"] for row in rig.rows("SELECT trade_id FROM fills")}


@in_both_modes
def test_f32_a_position_put_in_the_place_of_the_bots_while_it_was_down_is_left_alone(rig: Rig) -> None:
    held = leave_while_closing(rig)
    of_the_bot, closes = replace_by_hand(rig, held), len(rig.arrived(CLOSE))
    rig.launch()
    wait_until(lambda: any("was closed by somebody" in alert for alert in rig.alerts()), 30, "it is known for another")
    wait_until(lambda: not rig.orders(), 10, "what protected the old one is gone")
    wait_until(lambda: any("is not the bot's and has no stop loss" in alert for alert in rig.alerts()), 15, "the alarm")
    assert rig.rows("SELECT protection FROM positions") == [{"protection": "foreign"}]
    assert (rig.position, len(rig.arrived(CLOSE)), len(rig.arrived(STOP))) == (held, closes, 1)
    assert booked(rig) == of_the_bot
    rig.stop()
    rig.launch()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 45, "it trades")
    assert (rig.position, len(rig.arrived(CLOSE))) == (held, closes)


def test_f32_a_position_put_in_the_place_of_the_bots_is_taken_over_where_the_settings_say_so(make_rig: MakeRig) -> None:
    rig = make_rig({"adopt_foreign_positions": True}).start()
    held = leave_while_closing(rig)
    replace_by_hand(rig, held)
    closes = len(rig.arrived(CLOSE))
    [old] = rig.orders(STOP)
    rig.launch()
    wait_until(lambda: any("is taken over" in alert for alert in rig.alerts()), 30, "it is taken over")
    wait_until(lambda: len(rig.arrived(STOP)) == 2 and len(rig.orders(STOP)) == 1, 15, "a stop that fits")
    assert rig.orders(STOP) != [old]
    assert (rig.position, len(rig.arrived(CLOSE))) == (held, closes)
    assert rig.longest_naked_ms() < 5_000


@in_both_modes
def test_f32_what_was_traded_by_hand_while_the_bot_was_down_is_booked_and_the_close_goes_on(rig: Rig) -> None:
    leave_while_closing(rig)
    rig.trade_by_hand(Side.SELL, "0.003")
    rig.launch()
    wait_until(lambda: not rig.position, 30, "it is still the bot's, and is closed")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    assert booked(rig) == {fill.trade_id for fill in rig.fills()}
    rig.check_books()


@in_both_modes
def test_f32_a_position_closed_by_hand_while_the_bot_was_down_is_booked_with_its_result(rig: Rig) -> None:
    held = leave_while_closing(rig)
    rig.shift("0.5")
    rig.trade_by_hand(Side.SELL, str(held))
    rig.start()
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()
    assert booked(rig) == {fill.trade_id for fill in rig.fills()}
