"""Words nobody knows, in orders and positions: nothing dies of them, is guessed, or counts as gone (I30)."""

import json
from dataclasses import replace
from typing import Any

from src.core.standing import Obstacle
from src.domain.account_commands import SetMarginType
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, TradingState
from src.domain.messages import (
    CommandFailed,
    FetchOrders,
    OrderNotFound,
    OrdersFetched,
    QueryOrder,
    TakeSnapshot,
)
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.strange import StrangeOrder, StrangePosition
from tests.builders import a_report, an_update
from tests.core.rig import LONG, Rig

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
FAULT = "type is not understood: 'ICEBERG'"
WEB = StrangeOrder("BTCUSDT", "web-1", 9, FAULT, type="ICEBERG", status="NEW")


def strange(rig: Rig, request: OrderRequest) -> StrangeOrder:
    """An order of ours, as the exchange names it."""
    order = rig.order(request)
    return StrangeOrder(request.symbol, request.client_order_id, order.order_id or 77, FAULT, type="ICEBERG")


def told(rig: Rig, words: str) -> list[dict[str, Any]]:
    return [each for each in rig.journal("alert") if words in each["message"]]


def shown(rig: Rig) -> list[dict[str, Any]]:
    items = json.loads(rig.rows("SELECT value FROM state WHERE key = 'foreign_orders'")[0]["value"])["items"]
    return list(items)


def test_a_strange_order_of_somebody_else_keeps_entries_away_and_is_shown(rig: Rig) -> None:
    for _ in range(3):
        rig.snapshot(strange_orders=(WEB,))
    assert rig.desk.standing.state is TradingState.ACTIVE
    rig.liquidate()
    assert rig.verdicts() == [Gate.OPEN_ORDERS]
    assert rig.submitted() == []
    rig.audit()
    assert [(each["client_order_id"], each["type"]) for each in shown(rig)] == [("web-1", "ICEBERG")]
    assert [each["level"] for each in told(rig, "in words not known here")] == ["warning"]
    rig.clock.advance(10)
    rig.snapshot()
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_an_account_full_of_strange_orders_does_not_fill_the_journal(rig: Rig) -> None:
    rig.snapshot(strange_orders=tuple(replace(WEB, order_id=number) for number in range(500)))
    assert len(told(rig, "in words not known here")) == 1
    many = [replace(WEB, order_id=number, fault=f"not a number: {number}") for number in range(1000, 1500)]
    rig.snapshot(strange_orders=tuple(many))
    assert len(told(rig, "in words not known here")) <= 100


def test_a_start_with_a_strange_order_in_the_account_is_a_start(rig: Rig) -> None:
    again = rig.restart()
    again.connect(strange_orders=(WEB,))
    assert again.desk.standing.state is TradingState.ACTIVE
    again.close()


def test_a_stop_of_ours_in_strange_words_stands_is_asked_about_and_not_replaced(rig: Rig) -> None:
    entry = rig.open_position()
    stop, take = rig.last(STOP), rig.last(TAKE)
    account = {"positions": (rig.report(),), "open_orders": (rig.told(take),)}
    for _ in range(20):
        rig.wait(3_000)
        rig.snapshot(**account, strange_orders=(strange(rig, stop),))
        rig.feed(CommandFailed(QueryOrder("BTCUSDT", stop.client_order_id), None, FAULT, rig.now))
    assert rig.order(stop).status is OrderStatus.NEW
    assert rig.submitted(STOP) == [stop]
    assert rig.submitted() == [entry, stop, take]
    assert len([each for each in rig.of(QueryOrder) if each.client_order_id == stop.client_order_id]) >= 20
    assert [each["level"] for each in told(rig, "in words not known here")] == ["error"]
    rig.accept(stop)
    assert rig.order(stop).unresolved_since is None


def test_a_stop_whose_answer_was_strange_counts_as_standing_once_it_is_listed(rig: Rig) -> None:
    entry = rig.enter()
    rig.fill(entry)
    stop = rig.last(STOP)
    rig.lose(stop)
    rig.clock.advance(1_000)
    rig.snapshot(positions=(rig.report(),), strange_orders=(strange(rig, stop),))
    assert (rig.order(stop).status, rig.order(stop).order_id) == (OrderStatus.NEW, 77)
    rig.wait(30_000)
    assert rig.submitted(STOP) == [stop]
    assert rig.last(TAKE)


def test_what_is_listed_in_strange_words_is_not_given_up_as_absent(rig: Rig) -> None:
    entry = rig.enter()
    rig.lose(entry)
    for _ in range(8):
        rig.wait(3_000)
        rig.feed(OrderNotFound("BTCUSDT", entry.client_order_id, rig.now))
        listed = OrdersFetched("BTCUSDT", (), rig.now - 120_000, rig.now, (strange(rig, entry),))
        rig.feed(listed)
        rig.snapshot(strange_orders=(strange(rig, entry),))
    assert rig.order(entry).is_open
    assert rig.of(FetchOrders) == []
    rig.liquidate()
    assert rig.submitted(ENTRY) == [entry]


def test_all_orders_alone_prove_that_one_of_ours_has_come_to_be(rig: Rig) -> None:
    entry = rig.enter()
    rig.lose(entry)
    order = rig.order(entry)
    order.not_found = 2
    ended = replace(WEB, order_id=5, status="CANCELED")
    rig.feed(OrdersFetched("BTCUSDT", (), rig.now, rig.now, (strange(rig, entry), ended)))
    assert order.not_found == 0
    assert rig.desk.books.strange_orders == {}


def test_an_order_with_our_name_that_has_ended_here_keeps_entries_away(rig: Rig) -> None:
    entry = rig.enter()
    rig.ended(entry)
    rig.snapshot(strange_orders=(strange(rig, entry),))
    rig.wait(61_000)
    rig.snapshot(strange_orders=(strange(rig, entry),))
    rig.liquidate()
    assert rig.verdicts()[-1] == Gate.OPEN_ORDERS
    assert told(rig, "bears a name of the bot")


def test_a_strange_event_of_ours_is_asked_about(rig: Rig) -> None:
    entry = rig.enter()
    rig.feed(strange(rig, entry))
    assert rig.of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    assert rig.order(entry).status is OrderStatus.NEW


def test_a_strange_event_of_somebody_else_has_the_account_read(rig: Rig) -> None:
    asked = len(rig.of(TakeSnapshot))
    for number in range(5):
        rig.feed(replace(WEB, order_id=number))
    assert len(rig.of(TakeSnapshot)) == asked + 1
    rig.liquidate()
    assert rig.verdicts() == [Gate.OPEN_ORDERS]


def test_a_strange_order_is_known_again_or_gone(rig: Rig) -> None:
    theirs: OrderUpdate = an_update(client_order_id="web-1", order_id=9, original_type=OrderType.STOP_MARKET)
    rig.feed(WEB)
    rig.feed(theirs)
    assert rig.desk.books.strange_orders == {}
    rig.feed(replace(WEB, order_id=10))
    rig.feed(replace(WEB, order_id=10, status="CANCELED"))
    assert rig.desk.books.strange_orders == {}


# Positions


def test_a_strange_position_keeps_entries_back_and_no_protection(rig: Rig) -> None:
    rig.open_position()
    orders = tuple(rig.told(rig.last(role)) for role in (STOP, TAKE))
    odd = StrangePosition("ETHUSDT", "positionSide is not understood: 'NEITHER'", is_flat=False)
    for _ in range(3):
        rig.snapshot(positions=(rig.report(),), open_orders=orders, strange_positions=(odd,))
    assert rig.desk.standing.state is TradingState.REDUCE_ONLY
    assert "a position of ETHUSDT is told in words not known here" in rig.desk.standing.reason
    assert [each["level"] for each in told(rig, "ETHUSDT")] == ["error"]
    rig.ended(rig.last(STOP))
    rig.wait(1_000)
    assert len(rig.submitted(STOP)) == 2
    rig.snapshot(positions=(rig.report(),))
    assert not rig.desk.standing.has(Obstacle.STRANGE)


def test_a_strange_slot_of_ours_leaves_what_is_known_of_it(rig: Rig) -> None:
    rig.open_position()
    held = rig.position()
    rig.clock.advance(6_000)
    odd = StrangePosition("BTCUSDT", "positionSide is not understood: 'NEITHER'", is_flat=False)
    rig.snapshot(
        positions=(), open_orders=tuple(rig.told(rig.last(role)) for role in (STOP, TAKE)), strange_positions=(odd,)
    )
    assert rig.position() == held
    rig.wait(5_000)
    assert len(rig.submitted(STOP)) == 1


def test_a_flat_strange_slot_keeps_only_its_symbol_from_entries(rig: Rig) -> None:
    rig.snapshot(strange_positions=(StrangePosition("BTCUSDT", "leverage is missing", is_flat=True),))
    assert rig.desk.standing.state is TradingState.ACTIVE
    rig.liquidate()
    assert rig.verdicts() == [Gate.CONFIGURED]
    rig.snapshot(strange_positions=(StrangePosition("ETHUSDT", "leverage is missing", is_flat=True),))
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_an_unknown_kind_of_margin_is_no_margin_type_and_protection_goes_on(rig: Rig) -> None:
    entry = rig.enter()
    rig.fill(entry)
    before = rig.desk.books.holding(LONG).margin_type
    rig.clock.advance(6_000)
    rig.snapshot(positions=(rig.report(margin_type=None),))
    assert rig.desk.books.holding(LONG).margin_type is before
    assert len(rig.submitted(STOP)) == 1
    assert "kind of margin that is not known" in rig.trader._account.untradable["BTCUSDT"]


def test_an_unknown_kind_of_margin_is_not_set_over(rig: Rig) -> None:
    rig.snapshot(positions=(a_report(margin_type=None), a_report(margin_type=None, position_side=PositionSide.SHORT)))
    assert rig.of(SetMarginType) == []
    rig.liquidate()
    assert rig.verdicts() == [Gate.CONFIGURED]


def test_an_account_event_with_a_strange_position_has_the_account_read(rig: Rig) -> None:
    odd = (StrangePosition("ETHUSDT", "ps is not understood: 'NEITHER'", is_flat=False),)
    asked = len(rig.of(TakeSnapshot))
    rig.feed(replace(rig.account_update(), strange=odd))
    rig.feed(replace(rig.account_update(), strange=odd))
    assert len(rig.of(TakeSnapshot)) == asked + 1
