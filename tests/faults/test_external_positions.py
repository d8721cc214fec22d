"""A position that somebody else has opened by hand (F32, I19)."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeHarness, in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("may_second_stand", [True, False])
def test_f32_a_position_of_somebody_else_is_taken_over_where_the_settings_say_so(
    make_harness: MakeHarness, hedge: bool, may_second_stand: bool
) -> None:
    harness = make_harness({"hedge_mode": hedge, "adopt_foreign_positions": True}).start()
    if not may_second_stand:
        harness.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    harness.trade_manually(Side.BUY, "0.005")
    harness.measure("adopted", lambda: harness.orders(STOP), 30)
    harness.wait_protected()
    assert len(harness.orders(STOP)) == len(harness.orders(TAKE)) == 1
    harness.close_position()
    wait_until(lambda: not harness.position, 15, "it is closed as the bot's own")
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency(unprotected_ms=30_000)


def test_f32_a_position_of_somebody_else_is_left_alone_and_told_of(harness: FaultHarness) -> None:
    harness.trade_manually(Side.BUY, "0.005")
    wait_until(lambda: any("has no stop loss" in alert for alert in harness.alerts()), 15, "the alarm")
    harness.wait_verdict("not the bot's")
    assert harness.position == harness.recorded_position() == Decimal("0.005")
    assert not harness.received_orders()


def leave_while_closing(harness: FaultHarness) -> Decimal:
    """The bot ends with a position that it was asked to close and could not; how much it is."""
    harness.open_position()
    harness.inject(FaultKind.REJECTED, CLOSE, value=4131, times=FOREVER)
    harness.close_position()
    wait_until(lambda: harness.received_orders(CLOSE), 10, "it was to be closed")
    harness.stop()
    harness.exchange.clear_faults()
    return harness.position


def replace_by_hand(harness: FaultHarness, held: Decimal) -> set[int]:
    """Somebody closes it, and opens one of his own; the trades that were the bot's position."""
    harness.trade_manually(Side.SELL, str(held))
    of_the_bot = {fill.trade_id for fill in harness.fills()}
    harness.trade_manually(Side.BUY, str(held))
    return of_the_bot


def booked(harness: FaultHarness) -> set[int]:
    return {row["trade_id"] for row in harness.rows("SELECT trade_id FROM fills")}


@in_both_modes
def test_f32_a_position_put_in_the_place_of_the_bots_while_it_was_down_is_left_alone(harness: FaultHarness) -> None:
    held = leave_while_closing(harness)
    of_the_bot, closes = replace_by_hand(harness, held), len(harness.received_orders(CLOSE))
    harness.launch()
    wait_until(
        lambda: any("was closed externally" in alert for alert in harness.alerts()), 30, "it is known for another"
    )
    wait_until(lambda: not harness.orders(), 10, "what protected the old one is gone")
    wait_until(lambda: any("has no stop loss" in alert for alert in harness.alerts()), 15, "the alarm")
    assert harness.rows("SELECT protection FROM positions") == [{"protection": "foreign"}]
    assert (harness.position, len(harness.received_orders(CLOSE)), len(harness.received_orders(STOP))) == (
        held,
        closes,
        1,
    )
    assert booked(harness) == of_the_bot
    harness.stop()
    harness.launch()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 45, "it trades")
    assert (harness.position, len(harness.received_orders(CLOSE))) == (held, closes)


def test_f32_a_position_put_in_the_place_of_the_bots_is_taken_over_where_the_settings_say_so(
    make_harness: MakeHarness,
) -> None:
    harness = make_harness({"adopt_foreign_positions": True}).start()
    held = leave_while_closing(harness)
    replace_by_hand(harness, held)
    closes = len(harness.received_orders(CLOSE))
    [old] = harness.orders(STOP)
    harness.launch()
    wait_until(lambda: any("adopted" in alert for alert in harness.alerts()), 30, "it is taken over")
    wait_until(
        lambda: len(harness.received_orders(STOP)) == 2 and len(harness.orders(STOP)) == 1, 15, "a stop that fits"
    )
    assert harness.orders(STOP) != [old]
    assert (harness.position, len(harness.received_orders(CLOSE))) == (held, closes)
    assert harness.longest_unprotected_ms() < 5_000


@in_both_modes
def test_f32_what_was_traded_by_hand_while_the_bot_was_down_is_booked_and_the_close_goes_on(
    harness: FaultHarness,
) -> None:
    leave_while_closing(harness)
    harness.trade_manually(Side.SELL, "0.003")
    harness.launch()
    wait_until(lambda: not harness.position, 30, "it is still the bot's, and is closed")
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    assert booked(harness) == {fill.trade_id for fill in harness.fills()}
    harness.check_consistency()


@in_both_modes
def test_f32_a_position_closed_by_hand_while_the_bot_was_down_is_booked_with_its_result(harness: FaultHarness) -> None:
    held = leave_while_closing(harness)
    harness.shift("0.5")
    harness.trade_manually(Side.SELL, str(held))
    harness.start()
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()
    assert booked(harness) == {fill.trade_id for fill in harness.fills()}
