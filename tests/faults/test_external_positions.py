"""External positions, opened manually or by another program (F32, I19)."""

from decimal import Decimal

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, Side
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeHarness, in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("allows_second_stop", [True, False])
def test_f32_external_position_is_adopted_if_enabled(
    make_harness: MakeHarness, hedge: bool, allows_second_stop: bool
) -> None:
    harness = make_harness({"hedge_mode": hedge, "adopt_foreign_positions": True}).start()
    if not allows_second_stop:
        harness.inject(FaultKind.ONE_CLOSING_STOP, path=SYMBOL, times=FOREVER)
    harness.trade_manually(Side.BUY, "0.005")
    harness.measure("adopted", lambda: harness.orders(STOP), 30)
    harness.wait_protected()
    assert len(harness.orders(STOP)) == len(harness.orders(TAKE)) == 1
    harness.close_position()
    wait_until(lambda: not harness.position, 15, "it is closed like an own position")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    wait_until(lambda: harness.recorded_net() == harness.net(), 60, "the result is taken from the income history")
    harness.check_consistency(unprotected_ms=30_000)


def test_f32_external_position_is_reported_and_left_alone(harness: FaultHarness) -> None:
    harness.trade_manually(Side.BUY, "0.005")
    wait_until(lambda: any("has no stop loss" in alert for alert in harness.alerts()), 15, "an alert")
    harness.wait_verdict("external orders or position")
    assert harness.position == harness.recorded_position() == Decimal("0.005")
    assert not harness.received_orders()


def leave_while_closing(harness: FaultHarness) -> Decimal:
    """Stop the bot while a close is pending; returns the position's quantity."""
    harness.open_position()
    harness.inject(FaultKind.REJECTED, CLOSE, value=4131, times=FOREVER)
    harness.close_position()
    wait_until(lambda: harness.received_orders(CLOSE), 10, "a close is attempted")
    harness.stop()
    harness.exchange.clear_faults()
    return harness.position


def replace_manually(harness: FaultHarness, held: Decimal) -> set[int]:
    """Close the position manually and open an equal one; returns the trade ids of the bot's position."""
    bot_trades = {fill.trade_id for fill in harness.fills()}
    harness.trade_manually(Side.SELL, str(held))
    harness.trade_manually(Side.BUY, str(held))
    return bot_trades


def wait_until_asked(harness: FaultHarness) -> None:
    wait_until(lambda: harness.state("position_questions").get("items"), 60, "a person is asked")


@in_both_modes
def test_f32_position_replaced_while_down_asks_and_stays_protected(harness: FaultHarness) -> None:
    held = leave_while_closing(harness)
    bot_trades, closes = replace_manually(harness, held), len(harness.received_orders(CLOSE))
    harness.launch()
    wait_until_asked(harness)
    assert any("It was to be closed; that is dropped" in alert for alert in harness.alerts())
    assert (harness.position, len(harness.received_orders(CLOSE))) == (held, closes)
    wait_until(lambda: len(harness.orders(STOP)) == len(harness.orders(TAKE)) == 1, 10, "one stop, one take profit")
    harness.resume()
    harness.stop()
    harness.launch()
    wait_until_asked(harness)  # neither a resume nor a restart is an answer
    harness.send_command(OperatorAction.POSITION_EXTERNAL, symbol=SYMBOL)
    wait_until(lambda: not harness.orders(), 10, "the bot's orders behind it are cancelled")
    wait_until(lambda: any("has no stop loss" in alert for alert in harness.alerts()), 15, "an alert")
    assert harness.rows("SELECT protection FROM positions") == [{"protection": "external"}]
    assert (harness.position, len(harness.received_orders(CLOSE))) == (held, closes)
    assert harness.recorded_trades() == bot_trades


def test_f32_replaced_position_is_adopted_if_enabled(
    make_harness: MakeHarness,
) -> None:
    harness = make_harness({"adopt_foreign_positions": True}).start()
    held = leave_while_closing(harness)
    replace_manually(harness, held)
    closes = len(harness.received_orders(CLOSE))
    [old] = harness.orders(STOP)
    harness.launch()
    wait_until(lambda: any("adopted" in alert for alert in harness.alerts()), 60, "it is adopted")
    wait_until(lambda: len(harness.received_orders(STOP)) == 2 and len(harness.orders(STOP)) == 1, 15, "a new stop")
    assert harness.orders(STOP) != [old]
    assert (harness.position, len(harness.received_orders(CLOSE))) == (held, closes)
    assert harness.longest_unprotected_ms() < 5_000


@in_both_modes
def test_f32_manual_trade_while_down_asks_and_is_managed_after_the_answer(harness: FaultHarness) -> None:
    held = leave_while_closing(harness)
    harness.trade_manually(Side.SELL, "0.003")
    harness.launch()
    wait_until_asked(harness)
    assert harness.position == held - Decimal("0.003")
    harness.send_command(OperatorAction.POSITION_OURS, symbol=SYMBOL)
    wait_until(lambda: not harness.state("position_questions").get("items"), 10, "the question is answered")
    harness.close_position()
    wait_until(lambda: not harness.position, 30, "it is closed")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    assert harness.longest_unprotected_ms() < 5_000


@in_both_modes
def test_f32_manual_close_while_down_needs_no_question(harness: FaultHarness) -> None:
    held = leave_while_closing(harness)
    harness.trade_manually(Side.SELL, str(held))
    harness.start()
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    wait_until(lambda: harness.recorded_net() == harness.net(), 60, "the result is taken from the income history")
    assert not harness.state("position_questions").get("items")
