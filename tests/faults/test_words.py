"""The exchange says words nobody knows, of orders and positions (I30): the bot starts, trades elsewhere, protects."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, OrderType, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.messages import Duty
from src.domain.orders import OrderRequest
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeRig
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE
OTHER = "ETHUSDT"


def reword(rig: Rig, path: str, old: str, new: str) -> None:
    rig.inject(FaultKind.REWORDED, path=path, old=old, new=new, times=FOREVER)


def of_other(key: str) -> str:
    """The value of a key in what is said of the other symbol."""
    return rf'("symbol":"{OTHER}"[^}}]*"{key}":)"\w+"'


def rest_by_hand(rig: Rig) -> OrderRequest:
    """A person's order, far from the market."""
    price, size = Price(Decimal(50_000)), Quantity(Decimal("0.01"))
    name, gtx = "web_1", TimeInForce.GTX
    request = OrderRequest(name, SYMBOL, Side.BUY, rig.slot_side, OrderType.LIMIT, size, price, time_in_force=gtx)
    rig.by_hand(request)
    return request


def let_pass(rig: Rig, span_ms: int) -> None:
    """By the bot's own heartbeats."""
    since = rig.state("bot")["heartbeat_at"]
    wait_until(lambda: rig.state("bot")["heartbeat_at"] >= since + span_ms, 10 + span_ms / 500)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'("clientOrderId":"web_1"[^}]*"timeInForce":)"\w+"', r'\1"NOBODY_KNOWS"'),
        (r'("clientOrderId":"web_1"[^}]*"type":)"\w+"', r'\1"NOBODY_KNOWS"'),
        (r'"status":"\w+"(,"clientOrderId":"web_1")', r'"status":"NOBODY_KNOWS"\1'),
    ],
    ids=["time in force", "type", "status"],
)
def test_a_bot_starts_again_beside_a_persons_order_that_nobody_understands(
    make_rig: MakeRig, old: str, new: str
) -> None:
    rig = make_rig().start()
    rig.stop()
    order = rest_by_hand(rig)
    reword(rig, "openOrders", old, new)
    rig.start()
    rig.wait_verdict("not the bot's")
    wait_until(lambda: [each["client_order_id"] for each in rig.state("foreign_orders")["items"]] == ["web_1"], 10)
    assert len([alert for alert in rig.alerts() if "in words not known here" in alert]) == 1
    assert rig.arrived() == {}
    rig.cancel_by_hand(order.client_order_id)
    rig.remind(Duty.RECONCILE)
    wait_until(lambda: not rig.state("foreign_orders")["items"], 15, "it is gone")
    rig.open_position()
    rig.check_books()


def test_a_persons_order_that_nobody_understands_comes_and_ends_while_the_bot_holds_a_position(rig: Rig) -> None:
    rig.open_position()
    for path in ("rder", "user"):
        reword(rig, path, '"GTX"', '"GTD"')
    order = rest_by_hand(rig)
    wait_until(lambda: rig.state("foreign_orders")["items"], 10, "it is shown")
    rig.wait_verdict("not the bot's")
    rig.cancel_by_hand(order.client_order_id)
    wait_until(lambda: not rig.state("foreign_orders")["items"], 15, "it is gone")
    assert len(rig.orders(STOP)) == len(rig.arrived(STOP)) == 1
    rig.check_books()


def test_a_stop_of_ours_that_turns_strange_is_neither_replaced_nor_closed_upon(rig: Rig) -> None:
    rig.open_position()
    for path in ("rder", "user"):
        reword(rig, path, '"STOP_MARKET"', '"SUPER_STOP"')
    for _ in range(5):
        rig.remind(Duty.RECONCILE)
        let_pass(rig, 2_000)
    assert any("is told in words not known here" in alert for alert in rig.alerts())
    assert len(rig.orders(STOP)) == len(rig.arrived(STOP)) == 1
    assert not rig.arrived(CLOSE)
    rig.exchange.clear_faults()
    rig.close_position()
    wait_until(lambda: not rig.position, 15, "a person's wish is carried out")
    wait_until(lambda: not rig.orders(), 15, "no order is left")
    rig.check_books()


def test_a_stop_that_is_answered_in_strange_words_protects_and_is_not_placed_without_end(rig: Rig) -> None:
    rig.hunt()
    for path in ("rder", "user"):
        reword(rig, path, '"STOP_MARKET"', '"SUPER_STOP"')
    rig.fill()
    wait_until(lambda: rig.position and rig.orders(STOP), 15, "a stop loss")
    let_pass(rig, 12_000)
    assert len(rig.arrived(STOP)) <= 2
    assert not rig.arrived(CLOSE)
    rig.exchange.clear_faults()
    wait_until(lambda: len(rig.orders(STOP)) == 1, 60, "one is left")
    rig.check_books()


def test_a_position_of_another_symbol_that_nobody_understands_keeps_entries_back_and_no_stop(make_rig: MakeRig) -> None:
    rig = make_rig().start()
    rig.hunt()
    reword(rig, "positionRisk", of_other("positionSide"), r'\1"NEITHER"')
    reword(rig, "user", rf'("s":"{OTHER}"[^}}]*"ps":)"\w+"', r'\1"NEITHER"')
    size = Quantity(Decimal("0.01"))
    rig.by_hand(OrderRequest("web_2", OTHER, Side.BUY, rig.slot_side, OrderType.MARKET, quantity=size))
    rig.remind(Duty.RECONCILE)
    wait_until(lambda: f"a position of {OTHER} is told in words not known here" in rig.trading()[1], 10, "it is told")
    rig.fill()
    wait_until(lambda: rig.orders(STOP) and rig.orders(OrderRole.TAKE_PROFIT), 15, "ours is protected")
    rig.wait_verdict("not known here")
    assert len(rig.arrived(ENTRY)) == 1
    rig.exchange.clear_faults()
    rig.remind(Duty.RECONCILE)
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "it trades again")


def test_a_kind_of_margin_nobody_knows_elsewhere_hinders_nothing(make_rig: MakeRig) -> None:
    rig = make_rig()
    reword(rig, "positionRisk", of_other("marginType"), r'\1"portfolio"')
    rig.start().open_position()
    rig.check_books()
