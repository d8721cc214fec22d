"""Partial fills, manual changes, liquidations and mismatches of positions (F27, F28, F30-F35, F47)."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from src.domain.events import Task
from src.domain.instrument import Quantity
from src.domain.orders import OrderRequest
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def fill_partially(harness: FaultHarness) -> str:
    """Place an entry and fill a part of it."""
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10)
    price = harness.orders(ENTRY)[0].price
    harness.exchange.trade(SYMBOL, Side.SELL, D("0.004"), price - 1)
    assert 0 < harness.position == D("0.004")
    return entry


@in_both_modes
def test_f27_filled_part_of_a_cancelled_entry_is_protected(harness: FaultHarness) -> None:
    entry = fill_partially(harness)
    harness.cancel_manually(entry)
    harness.wait_protected()
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    assert harness.position == D("0.004")
    harness.check_consistency()


def test_f28_fill_after_cancel_is_recorded_and_protected(harness: FaultHarness) -> None:
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10)
    [order] = harness.orders(ENTRY)
    with harness.without_user_stream(), harness.exchange.lock:
        harness.exchange.trade(SYMBOL, Side.SELL, D("0.004"), order.price - 1)
        harness.cancel_manually(entry)
        [fill] = harness.fills()
    harness.publish_update(replace(order, status=OrderStatus.CANCELED, event_at=fill.traded_at))
    wait_until(lambda: harness.status(entry) == "CANCELED", 10)
    part = OrderStatus.PARTIALLY_FILLED
    late = replace(order, status=part, filled_quantity=fill.quantity, average_price=fill.price, fill=fill)
    harness.publish_update(replace(late, event_at=fill.traded_at))
    harness.wait_protected()
    harness.check_consistency()


@in_both_modes
def test_f30_take_profit_is_cancelled_before_the_next_entry(harness: FaultHarness) -> None:
    harness.open_position()
    harness.shift("-3")
    wait_until(lambda: harness.recorded_position() == 0, 10, "the bot has recorded it")
    harness.trigger_entry()
    assert not harness.orders(STOP) + harness.orders(TAKE)
    harness.fill()
    harness.wait_protected()
    harness.check_consistency()


@in_both_modes
def test_f30_entry_is_refused_while_the_old_take_profit_cannot_be_cancelled(harness: FaultHarness) -> None:
    harness.open_position()
    [take] = harness.orders(TAKE)
    harness.inject(FaultKind.UNAVAILABLE, path=take.client_order_id, method="DELETE", times=FOREVER)
    harness.shift("-3")
    wait_until(lambda: harness.recorded_position() == 0, 10, "the bot has recorded it")
    harness.wait_verdict("the take profit of the last position of BTCUSDT is not cancelled yet", 30)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.exchange.clear_faults()
    harness.trigger_entry()
    assert not harness.orders(TAKE)
    harness.check_consistency()


def test_f31_partial_take_profit_keeps_the_stop(harness: FaultHarness) -> None:
    harness.open_position()
    held, price = harness.position, (harness.mid_price * D("1.015")).quantize(D(1))
    harness.inject(FaultKind.PARTIAL_FILL, path=SYMBOL, value=0)
    with harness.exchange.lock:
        harness.exchange.set_mark(SYMBOL, price / D("0.9801"))  # its price limit is just below the best bid
        harness.move(price)
        assert 0 < harness.position < held
        assert harness.orders(STOP)
    harness.exchange.clear_faults()
    wait_until(lambda: not harness.position, 10, "the rest is filled too")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency(unprotected_ms=2_000)


def test_f32_manually_closed_position_is_recorded_as_closed(harness: FaultHarness) -> None:
    harness.open_position()
    harness.trade_manually(Side.SELL, str(harness.position))
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    wait_until(lambda: harness.recorded_net() == harness.net(), 60, "the result is taken from the income history")
    harness.check_consistency()


@pytest.mark.parametrize("side", list(Side))
def test_f32_stop_follows_a_manually_changed_position(harness: FaultHarness, side: Side) -> None:
    harness.open_position()
    harness.shift("-0.5")
    harness.trade_manually(side, "0.003")
    wait_until(harness.has_correct_stop, 30, "the stop matches")
    wait_until(lambda: harness.recorded_position() == harness.position, 10, "the bot has recorded it")
    wait_until(harness.has_correct_stop, 10, "and still matches")
    harness.check_consistency(has_manual_trades=True)


@in_both_modes
def test_f33_manually_cancelled_stop_is_replaced_and_reported(harness: FaultHarness) -> None:
    harness.open_position()
    for _ in range(3):
        harness.wait_protected()
        harness.cancel_manually(harness.orders(STOP)[0].client_order_id)
    harness.wait_protected()
    alerts = [alert for alert in harness.alerts() if "was cancelled externally" in alert]
    assert len(alerts) == 3
    assert alerts[-1].endswith("(3 times)")
    wait_until(
        lambda: len([alert for alert in harness.alerts() if "cancelled externally, is replaced" in alert]) == 3,
        10,
        "each replacement is reported",
    )
    assert len(harness.received_orders(STOP)) == 4
    harness.check_consistency()


LOCKED = "resume to release the lock"
"""The reason of decisions while the symbol is locked."""


def check_forced(harness: FaultHarness, reason: str) -> None:
    harness.measure("no open orders", lambda: not harness.orders(), 10)
    wait_until(lambda: any(reason in alert for alert in harness.alerts()), 15, "an alert is reported")
    forced_fill = "SELECT 1 FROM journal WHERE kind = 'fill' AND payload LIKE '%FORCED%'"
    wait_until(lambda: harness.rows(forced_fill), 15, "it is recorded as such")
    harness.wait_verdict(LOCKED)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f34_liquidation_locks_the_symbol_until_resume(harness: FaultHarness) -> None:
    harness.open_position()
    harness.exchange.set_mark(SYMBOL, harness.mid_price * D("0.88"))  # only the mark price: it triggers no stop
    assert not harness.position
    check_forced(harness, "was liquidated by the exchange")
    harness.stop()
    harness.start()
    harness.wait_verdict(LOCKED)  # locks survive a restart
    harness.resume()
    wait_until(lambda: not harness.state("symbol_locks")["locked"], 15, "resume releases the lock")
    harness.shift("0")
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f34_unreported_liquidation_is_found_and_recorded(harness: FaultHarness) -> None:
    harness.open_position()
    with harness.without_user_stream():
        harness.exchange.set_mark(SYMBOL, harness.mid_price * D("0.88"))
    harness.inject(FaultKind.STREAM_CUT, path="user")  # the bot reads the account afterwards
    check_forced(harness, "was liquidated by the exchange")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("adl_autoclose", "auto-deleveraging"), ("settlement_autoclose-7", "settled by the exchange")],
)
def test_f34_deleveraging_and_settlement_lock_the_symbol(harness: FaultHarness, name: str, reason: str) -> None:
    harness.open_position()
    harness.trade_manually(Side.SELL, str(harness.position), name)
    check_forced(harness, reason)


def test_f35_funding_and_other_symbols_close_nothing(harness: FaultHarness) -> None:
    harness.open_position()
    held = harness.position
    harness.exchange.settle_funding(SYMBOL, D("0.0001"))
    other = OrderRequest("web_1", "ETHUSDT", Side.BUY, PositionSide.BOTH, OrderType.MARKET, quantity=Quantity(D("0.1")))
    harness.submit_manual_order(other)
    wait_until(lambda: harness.rows("SELECT 1 FROM funding_payments"), 15, "funding is recorded")
    with harness.exchange.lock:
        names = {each.symbol: each.quantity for each in harness.exchange.account.open_positions()}
    assert names == {SYMBOL: held, "ETHUSDT": D("0.1")}
    assert len(harness.orders(STOP)) == 1
    manual_close = replace(other, client_order_id="web_2", side=Side.SELL, reduce_only=True)
    harness.submit_manual_order(manual_close)
    harness.check_consistency()


@in_both_modes
def test_f47_price_past_the_stop_leads_to_a_close(
    harness: FaultHarness,
) -> None:
    harness.inject(FaultKind.DELAY, STOP, value=700)
    harness.trigger_entry()
    harness.fill()
    wait_until(lambda: harness.position, 5, "the entry's fill")
    harness.shift("-4")
    harness.measure("closed", lambda: not harness.position, 5)
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    entry, *exits = harness.fills()
    assert all(each.price < entry.price * D("0.97") for each in exits)  # worse than the stop price
    assert harness.net() < -entry.price * entry.quantity * D("0.03")
    harness.check_consistency()


@in_both_modes
def test_i18_second_position_mismatch_halts_entries(harness: FaultHarness) -> None:
    harness.open_position()
    for count, quantity in enumerate(("0.001", "0.002"), start=1):
        time.sleep(5.5)  # the last position update must be older than 5 s
        with harness.without_user_stream():
            harness.trade_manually(Side.SELL, quantity)
        harness.run_task_now(Task.RECONCILE)
        wait_until(lambda: harness.recorded_position() == harness.position, 15, "the mismatch is corrected")
        wait_until(lambda count=count: len(harness.rows("SELECT id FROM position_corrections")) == count, 10)  # type: ignore[misc]
        if count == 1:  # an untrusted stream is not used for comparisons
            wait_until(
                lambda: any("the user data stream missed an update" in each for each in harness.alerts()),
                15,
                "a silent stream",
            )
            wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "the stream is trusted again")
    wait_until(
        lambda: "positions differed from the exchange 2 times" in harness.trading_status()[1], 60, "entries halt"
    )
    harness.resume()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "resume releases the lock")
    harness.check_consistency(unprotected_ms=2_000, has_manual_trades=True)
