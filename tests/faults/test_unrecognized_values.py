"""Unrecognized values in orders and positions (I30): the bot starts, trades other symbols and protects positions."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderType, Side, TimeInForce
from src.domain.events import Task
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeHarness
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE
OTHER = "ETHUSDT"


def rewrite_frames(harness: FaultHarness, path: str, old: str, new: str) -> None:
    harness.inject(FaultKind.REWRITTEN, path=path, old=old, new=new, times=FOREVER)


def field_of_other(key: str) -> str:
    """A regular expression for the value of this key in data of the other symbol."""
    return rf'("symbol":"{OTHER}"[^}}]*"{key}":)"\w+"'


def place_manual_order(harness: FaultHarness) -> OrderRequest:
    """Place a manual order far from the market."""
    price, size = Price(Decimal(50_000)), Quantity(Decimal("0.01"))
    name, gtx = "web_1", TimeInForce.GTX
    request = OrderRequest(
        name, SYMBOL, Side.BUY, harness.position_side, OrderType.LIMIT, size, price, time_in_force=gtx
    )
    harness.submit_manual_order(request)
    return request


def wait_ms(harness: FaultHarness, span_ms: int) -> None:
    """Wait by the bot's heartbeats."""
    since = harness.state("bot")["heartbeat_at"]
    wait_until(lambda: harness.state("bot")["heartbeat_at"] >= since + span_ms, 10 + span_ms / 500)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'("clientOrderId":"web_1"[^}]*"type":)"\w+"', r'\1"UNKNOWN_VALUE"'),
        (r'"status":"\w+"(,"clientOrderId":"web_1")', r'"status":"UNKNOWN_VALUE"\1'),
    ],
    ids=["type", "status"],
)
def test_bot_starts_despite_an_unrecognized_manual_order(make_harness: MakeHarness, old: str, new: str) -> None:
    harness = make_harness().start()
    harness.stop()
    order = place_manual_order(harness)
    rewrite_frames(harness, "openOrders", old, new)
    harness.start()
    harness.wait_verdict("external orders or position")
    wait_until(lambda: [each["client_order_id"] for each in harness.state("external_orders")["items"]] == ["web_1"], 10)
    assert len([alert for alert in harness.alerts() if "unrecognized value" in alert]) == 1
    assert harness.received_orders() == {}
    harness.cancel_manually(order.client_order_id)
    harness.run_task_now(Task.RECONCILE)
    wait_until(lambda: not harness.state("external_orders")["items"], 15, "it is removed")
    harness.open_position()
    harness.check_consistency()


def test_unrecognized_manual_order_does_not_affect_a_position(
    harness: FaultHarness,
) -> None:
    harness.open_position()
    for path in ("rder", "user"):
        rewrite_frames(harness, path, '"GTX"', '"GTD"')
    order = place_manual_order(harness)
    wait_until(lambda: harness.state("external_orders")["items"], 10, "it is listed")
    harness.wait_verdict("external orders or position")
    harness.cancel_manually(order.client_order_id)
    wait_until(lambda: not harness.state("external_orders")["items"], 15, "it is removed")
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.check_consistency()


def test_own_stop_with_unrecognized_type_is_kept(harness: FaultHarness) -> None:
    harness.open_position()
    for path in ("rder", "user"):
        rewrite_frames(harness, path, '"STOP_MARKET"', '"SUPER_STOP"')
    for _ in range(5):
        harness.run_task_now(Task.RECONCILE)
        wait_ms(harness, 2_000)
    assert any("unrecognized value" in alert for alert in harness.alerts())
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    assert not harness.received_orders(CLOSE)
    harness.exchange.clear_faults()
    harness.close_position()
    wait_until(lambda: not harness.position, 15, "the command is executed")
    wait_until(lambda: not harness.orders(), 15, "no open orders")
    harness.check_consistency()


def test_stop_with_unrecognized_response_is_not_repeated_forever(harness: FaultHarness) -> None:
    harness.trigger_entry()
    for path in ("rder", "user"):
        rewrite_frames(harness, path, '"STOP_MARKET"', '"SUPER_STOP"')
    harness.fill()
    wait_until(lambda: harness.position and harness.orders(STOP), 15, "a stop loss")
    wait_ms(harness, 12_000)
    assert len(harness.received_orders(STOP)) <= 2
    assert not harness.received_orders(CLOSE)
    harness.exchange.clear_faults()
    wait_until(lambda: len(harness.orders(STOP)) == 1, 60, "one stop remains")
    harness.check_consistency()


def reword_expired(harness: FaultHarness, word: str) -> None:
    """Let the exchange report every order that expires with this word."""
    rewrite_frames(harness, "rder", '"status":"EXPIRED"', f'"status":"{word}"')
    rewrite_frames(harness, "user", '"X":"EXPIRED"', f'"X":"{word}"')


@pytest.mark.parametrize("word", ["EXPIRED_IN_MATCH", "EXPIRE_TAKER"])
def test_stop_that_ends_with_an_unknown_status_leaves_no_position_unprotected(harness: FaultHarness, word: str) -> None:
    harness.open_position()
    reword_expired(harness, word)
    mid_price = harness.mid_price
    with harness.exchange.lock:
        harness.exchange.move(SYMBOL, mid_price * Decimal("0.8"))  # beyond the price limit of market orders
        assert harness.position
        assert not harness.orders(STOP)
        harness.exchange.move(SYMBOL, mid_price)
    wait_until(lambda: harness.orders(STOP) or not harness.position, 10, "a new stop, or no position")
    if harness.position:
        harness.close_position()
    wait_until(lambda: not harness.position, 15, "the command is executed")
    assert len([alert for alert in harness.alerts() if "unrecognized value for STOP_LOSS" in alert]) == 1


def test_close_that_ends_with_an_unknown_status_is_followed_by_another(harness: FaultHarness) -> None:
    harness.open_position()
    reword_expired(harness, "EXPIRED_IN_MATCH")
    harness.inject(FaultKind.EXPIRED, CLOSE, value=0, times=2)
    harness.close_position()
    wait_until(lambda: not harness.position, 30, "the position is closed")
    assert len(harness.received_orders(CLOSE)) >= 3


@pytest.mark.parametrize("word", ["EXPIRED_IN_MATCH", "EXPIRE_TAKER"])
def test_entry_that_ends_with_an_unknown_status_frees_its_symbol(harness: FaultHarness, word: str) -> None:
    first = harness.trigger_entry()
    rewrite_frames(harness, "rder", '"status":"CANCELED"', f'"status":"{word}"')
    rewrite_frames(harness, "user", '"X":"CANCELED"', f'"X":"{word}"')
    harness.cancel_manually(first)
    wait_until(
        lambda: (
            harness.rows("SELECT status FROM trades WHERE client_order_id = :name", name=first)[0]["status"]
            in ("REJECTED", "EXPIRED")
        ),
        15,
        "it has ended",
    )
    harness.open_position()


def test_unrecognized_position_blocks_entries_but_not_stops(
    make_harness: MakeHarness,
) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    rewrite_frames(harness, "positionRisk", field_of_other("positionSide"), r'\1"NEITHER"')
    rewrite_frames(harness, "user", rf'("s":"{OTHER}"[^}}]*"ps":)"\w+"', r'\1"NEITHER"')
    size = Quantity(Decimal("0.01"))
    harness.submit_manual_order(
        OrderRequest("web_2", OTHER, Side.BUY, harness.position_side, OrderType.MARKET, quantity=size)
    )
    harness.run_task_now(Task.RECONCILE)
    wait_until(
        lambda: f"unrecognized value for a position of {OTHER}" in harness.trading_status()[1],
        10,
        "an alert is reported",
    )
    harness.fill()
    wait_until(lambda: harness.orders(STOP) and harness.orders(OrderRole.TAKE_PROFIT), 15, "our position is protected")
    harness.wait_verdict("unrecognized value")
    assert len(harness.received_orders(ENTRY)) == 1
    harness.exchange.clear_faults()
    harness.run_task_now(Task.RECONCILE)
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "trading resumes")


def test_unrecognized_margin_type_elsewhere_has_no_effect(make_harness: MakeHarness) -> None:
    harness = make_harness()
    rewrite_frames(harness, "positionRisk", field_of_other("marginType"), r'\1"portfolio"')
    harness.start().open_position()
    harness.check_consistency()


def test_restart_without_a_trading_rule_protects_by_the_last_known(harness: FaultHarness) -> None:
    harness.open_position()
    harness.stop()
    rewrite_frames(harness, "exchangeInfo", '"tickSize"', '"xtickSize"')
    harness.start()
    wait_until(lambda: any(f"lacks trading rules of {SYMBOL}" in alert for alert in harness.alerts()), 10, "an alert")
    [stop] = harness.orders(STOP)
    harness.cancel_manually(stop.client_order_id)
    wait_until(lambda: [each for each in harness.orders(STOP) if each != stop], 15, "another stop")
    assert [each.stop_price for each in harness.orders(STOP)] == [stop.stop_price]
    harness.exchange.clear_faults()
    harness.check_consistency()


def test_words_that_decide_nothing_cost_no_entry(make_harness: MakeHarness) -> None:
    harness = make_harness()
    rewrite_frames(harness, "!markPrice", '"r":"[^"]*"', '"r":""')
    rewrite_frames(harness, "forceOrder", '"f":"IOC"', '"f":"GTD"')
    rewrite_frames(harness, "exchangeInfo", '"liquidationFee"', '"xliquidationFee"')
    harness.start().open_position()
    harness.check_consistency()


def test_entry_price_of_zero_moves_no_stop(harness: FaultHarness) -> None:
    harness.open_position()
    [stop] = harness.orders(STOP)
    rewrite_frames(harness, "positionRisk", '"entryPrice":"[^"]*"', '"entryPrice":"0.0"')
    harness.run_task_now(Task.RECONCILE)
    wait_ms(harness, 8_000)
    harness.cancel_manually(stop.client_order_id)
    wait_until(lambda: [each for each in harness.orders(STOP) if each != stop], 15, "another stop")
    assert [each.stop_price for each in harness.orders(STOP)] == [stop.stop_price]
    assert harness.trading_status()[0] == "ACTIVE"
    harness.check_consistency()
