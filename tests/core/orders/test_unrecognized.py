"""Unrecognized values in orders and positions: nothing crashes, is guessed, or counts as closed (I30)."""

import json
from dataclasses import replace
from typing import Any

from src.core.trading_status import EntryBlock
from src.domain.commands import FetchOrders, QueryOrder, SetMarginType, TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, TradingState
from src.domain.events import CommandFailed, OrderNotFound, OrdersFetched
from src.domain.orders import OrderRequest, OrderUpdate, UnrecognizedOrder, UnrecognizedPosition
from tests.builders import a_report, an_update
from tests.core.harness import LONG, Harness

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
ERROR = "type is not understood: 'ICEBERG'"
WEB = UnrecognizedOrder("BTCUSDT", "web-1", 9, ERROR, type="ICEBERG", status="NEW")


def unrecognized(harness: Harness, request: OrderRequest) -> UnrecognizedOrder:
    """One of our orders as the exchange reports it, with an unrecognized value."""
    order = harness.order(request)
    return UnrecognizedOrder(request.symbol, request.client_order_id, order.order_id or 77, ERROR, type="ICEBERG")


def alerts_with(harness: Harness, words: str) -> list[dict[str, Any]]:
    return [each for each in harness.journal("alert") if words in each["message"]]


def shown(harness: Harness) -> list[dict[str, Any]]:
    items = json.loads(harness.rows("SELECT value FROM bot_state WHERE key = 'external_orders'")[0]["value"])["items"]
    return list(items)


def test_external_unrecognized_order_blocks_entries_and_is_shown(harness: Harness) -> None:
    for _ in range(3):
        harness.snapshot(unrecognized_orders=(WEB,))
    assert harness.context.trading_status.state is TradingState.ACTIVE
    harness.liquidate()
    assert harness.verdicts() == [Gate.OPEN_ORDERS]
    assert harness.submitted() == []
    harness.audit()
    assert [(each["client_order_id"], each["type"]) for each in shown(harness)] == [("web-1", "ICEBERG")]
    assert [each["level"] for each in alerts_with(harness, "unrecognized value")] == ["warning"]
    harness.clock.advance(10)
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_many_unrecognized_orders_do_not_flood_journal(harness: Harness) -> None:
    harness.snapshot(unrecognized_orders=tuple(replace(WEB, order_id=number) for number in range(500)))
    assert len(alerts_with(harness, "unrecognized value")) == 1
    many = [replace(WEB, order_id=number, problem=f"not a number: {number}") for number in range(1000, 1500)]
    harness.snapshot(unrecognized_orders=tuple(many))
    assert len(alerts_with(harness, "unrecognized value")) <= 100


def test_bot_starts_with_unrecognized_order(harness: Harness) -> None:
    again = harness.restart()
    again.connect(unrecognized_orders=(WEB,))
    assert again.context.trading_status.state is TradingState.ACTIVE
    again.close()


def test_own_unrecognized_stop_is_queried_not_replaced(harness: Harness) -> None:
    entry = harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    account = {"positions": (harness.report(),), "open_orders": (harness.update_for(take),)}
    for _ in range(20):
        harness.wait(3_000)
        harness.snapshot(**account, unrecognized_orders=(unrecognized(harness, stop),))
        harness.feed(CommandFailed(QueryOrder("BTCUSDT", stop.client_order_id), None, ERROR, harness.now))
    assert harness.order(stop).status is OrderStatus.NEW
    assert harness.submitted(STOP) == [stop]
    assert harness.submitted() == [entry, stop, take]
    assert len([each for each in harness.commands_of(QueryOrder) if each.client_order_id == stop.client_order_id]) >= 20
    assert [each["level"] for each in alerts_with(harness, "unrecognized value")] == ["error"]
    harness.accept(stop)
    assert harness.order(stop).unresolved_since is None


def test_unrecognized_stop_counts_as_open_once_listed(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry)
    stop = harness.last(STOP)
    harness.lose_response(stop)
    harness.clock.advance(1_000)
    harness.snapshot(positions=(harness.report(),), unrecognized_orders=(unrecognized(harness, stop),))
    assert (harness.order(stop).status, harness.order(stop).order_id) == (OrderStatus.NEW, 77)
    harness.wait(30_000)
    assert harness.submitted(STOP) == [stop]
    assert harness.last(TAKE)


def test_listed_unrecognized_order_is_not_absent(harness: Harness) -> None:
    entry = harness.enter()
    harness.lose_response(entry)
    for _ in range(8):
        harness.wait(3_000)
        harness.feed(OrderNotFound("BTCUSDT", entry.client_order_id, harness.now))
        listed = OrdersFetched("BTCUSDT", (), harness.now - 120_000, harness.now, (unrecognized(harness, entry),))
        harness.feed(listed)
        harness.snapshot(unrecognized_orders=(unrecognized(harness, entry),))
    assert harness.order(entry).is_open
    assert harness.commands_of(FetchOrders) == []
    harness.liquidate()
    assert harness.submitted(ENTRY) == [entry]


def test_order_history_alone_confirms_own_order(harness: Harness) -> None:
    entry = harness.enter()
    harness.lose_response(entry)
    order = harness.order(entry)
    order.not_found_count = 2
    ended = replace(WEB, order_id=5, status="CANCELED")
    harness.feed(OrdersFetched("BTCUSDT", (), harness.now, harness.now, (unrecognized(harness, entry), ended)))
    assert order.not_found_count == 0
    assert harness.context.portfolio.unrecognized_orders == {}


def test_closed_own_order_still_open_blocks_entries(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    harness.snapshot(unrecognized_orders=(unrecognized(harness, entry),))
    harness.wait(61_000)
    harness.snapshot(unrecognized_orders=(unrecognized(harness, entry),))
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.OPEN_ORDERS
    assert alerts_with(harness, "has the bot's id but is not in its database")


def test_own_unrecognized_event_is_queried(harness: Harness) -> None:
    entry = harness.enter()
    harness.feed(unrecognized(harness, entry))
    assert harness.commands_of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    assert harness.order(entry).status is OrderStatus.NEW


def test_external_unrecognized_event_requests_snapshot(harness: Harness) -> None:
    before = len(harness.commands_of(TakeSnapshot))
    for number in range(5):
        harness.feed(replace(WEB, order_id=number))
    assert len(harness.commands_of(TakeSnapshot)) == before + 1
    harness.liquidate()
    assert harness.verdicts() == [Gate.OPEN_ORDERS]


def test_unrecognized_order_becomes_known_or_closed(harness: Harness) -> None:
    theirs: OrderUpdate = an_update(client_order_id="web-1", order_id=9, original_type=OrderType.STOP_MARKET)
    harness.feed(WEB)
    harness.feed(theirs)
    assert harness.context.portfolio.unrecognized_orders == {}
    harness.feed(replace(WEB, order_id=10))
    harness.feed(replace(WEB, order_id=10, status="CANCELED"))
    assert harness.context.portfolio.unrecognized_orders == {}


# Positions


def test_unrecognized_position_blocks_entries_not_protection(harness: Harness) -> None:
    harness.open_position()
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    odd = UnrecognizedPosition("ETHUSDT", "positionSide is not understood: 'NEITHER'", is_flat=False)
    for _ in range(3):
        harness.snapshot(positions=(harness.report(),), open_orders=orders, unrecognized_positions=(odd,))
    assert harness.context.trading_status.state is TradingState.REDUCE_ONLY
    assert "unrecognized value for a position of ETHUSDT" in harness.context.trading_status.reason
    assert [each["level"] for each in alerts_with(harness, "ETHUSDT")] == ["error"]
    harness.end_order(harness.last(STOP))
    harness.wait(1_000)
    assert len(harness.submitted(STOP)) == 2
    harness.snapshot(positions=(harness.report(),))
    assert not harness.context.trading_status.has(EntryBlock.UNRECOGNIZED_POSITION)


def test_own_unrecognized_position_keeps_known_state(harness: Harness) -> None:
    harness.open_position()
    held = harness.position()
    harness.clock.advance(6_000)
    odd = UnrecognizedPosition("BTCUSDT", "positionSide is not understood: 'NEITHER'", is_flat=False)
    harness.snapshot(
        positions=(),
        open_orders=tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE)),
        unrecognized_positions=(odd,),
    )
    assert harness.position() == held
    harness.wait(5_000)
    assert len(harness.submitted(STOP)) == 1


def test_flat_unrecognized_position_blocks_only_its_symbol(harness: Harness) -> None:
    harness.snapshot(unrecognized_positions=(UnrecognizedPosition("BTCUSDT", "leverage is missing", is_flat=True),))
    assert harness.context.trading_status.state is TradingState.ACTIVE
    harness.liquidate()
    assert harness.verdicts() == [Gate.CONFIGURED]
    harness.snapshot(unrecognized_positions=(UnrecognizedPosition("ETHUSDT", "leverage is missing", is_flat=True),))
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_unknown_margin_type_keeps_protection(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry)
    before = harness.context.portfolio.tracked(LONG).margin_type
    harness.clock.advance(6_000)
    harness.snapshot(positions=(harness.report(margin_type=None),))
    assert harness.context.portfolio.tracked(LONG).margin_type is before
    assert len(harness.submitted(STOP)) == 1
    assert "unrecognized margin type" in harness.context.untradable["BTCUSDT"]


def test_unknown_margin_type_is_not_changed(harness: Harness) -> None:
    harness.snapshot(
        positions=(a_report(margin_type=None), a_report(margin_type=None, position_side=PositionSide.SHORT))
    )
    assert harness.commands_of(SetMarginType) == []
    harness.liquidate()
    assert harness.verdicts() == [Gate.CONFIGURED]


def test_account_update_with_unrecognized_position_requests_snapshot(harness: Harness) -> None:
    odd = (UnrecognizedPosition("ETHUSDT", "ps is not understood: 'NEITHER'", is_flat=False),)
    before = len(harness.commands_of(TakeSnapshot))
    harness.feed(replace(harness.account_update(), unrecognized=odd))
    harness.feed(replace(harness.account_update(), unrecognized=odd))
    assert len(harness.commands_of(TakeSnapshot)) == before + 1
