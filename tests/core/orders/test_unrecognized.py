"""Unrecognized values in orders and positions: nothing crashes, is guessed, or counts as closed (I30)."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.core.trading_status import EntryBlock
from src.domain.commands import FetchFills, FetchOrders, QueryOrder, SetMarginType, TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, TradingState
from src.domain.events import CancelRejected, CommandFailed, OrderNotFound, OrdersFetched
from src.domain.orders import OrderRequest, OrderUpdate, UnrecognizedOrder, UnrecognizedPosition
from tests.builders import a_report, an_update
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
CLOSE = OrderRole.CLOSE
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
    again = harness.restart().connect(unrecognized_orders=(WEB,))
    assert again.context.trading_status.state is TradingState.ACTIVE
    again.close()


def test_many_unrecognized_orders_do_not_flood_journal(harness: Harness) -> None:
    harness.snapshot(unrecognized_orders=tuple(replace(WEB, order_id=number) for number in range(500)))
    assert len(alerts_with(harness, "unrecognized value")) == 1
    many = [replace(WEB, order_id=number, problem=f"not a number: {number}") for number in range(1000, 1500)]
    harness.snapshot(unrecognized_orders=tuple(many))
    assert len(alerts_with(harness, "unrecognized value")) <= 100


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
    assert harness.context.portfolio.external_orders == {}


def test_closed_own_order_still_open_blocks_entries(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    harness.snapshot(unrecognized_orders=(unrecognized(harness, entry),))
    harness.wait(61_000)
    harness.snapshot(unrecognized_orders=(unrecognized(harness, entry),))
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.OPEN_ORDERS
    assert alerts_with(harness, "has the bot's id but is not in its database")


# Number 1: a status word that is not known is doubt with a clock


WORDS = ["EXPIRED_IN_MATCH", "EXPIRE_TAKER", "GONE_FISHING", ""]


def odd(harness: Harness, request: OrderRequest, word: str = WORDS[0]) -> UnrecognizedOrder:
    """One of our orders as the exchange reports it, with an unknown status."""
    return replace(unrecognized(harness, request), type="", status=word, problem=f"invalid status: {word!r}")


def messages_about(harness: Harness, request: OrderRequest) -> list[str]:
    named = alerts_with(harness, request.client_order_id)
    return [each["message"] for each in named if "unrecognized value" in each["message"]]


def protection(harness: Harness) -> str:
    return str(harness.rows("SELECT protection FROM positions")[0]["protection"])


@pytest.mark.parametrize("word", WORDS)
def test_stop_with_unknown_status_is_replaced_once_unlisted(harness: Harness, word: str) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    harness.clock.advance(10_000)
    harness.feed(odd(harness, stop, word))
    assert harness.commands_of(QueryOrder)[-1].client_order_id == stop.client_order_id
    assert harness.commands_of(TakeSnapshot)[-1].reason == "unrecognized event"
    assert protection(harness) == "pending"
    harness.feed(odd(harness, stop, word))
    harness.clock.advance(200)
    harness.snapshot(positions=(harness.report(),), open_orders=(harness.update_for(take),))
    assert not harness.order(stop).is_open
    assert len(harness.submitted(STOP)) == 2
    harness.accept(harness.last(STOP))
    assert protection(harness) == "ok"
    assert len(messages_about(harness, stop)) == 1
    assert harness.submitted(CLOSE) == []


def test_stop_in_doubt_protects_no_longer_than_the_grace_time(harness: Harness) -> None:
    harness.open_position()
    stop = harness.last(STOP)
    harness.feed(odd(harness, stop))
    harness.wait(1_000)
    assert harness.submitted(STOP) == [stop]
    harness.wait(1_000)
    assert len(harness.submitted(STOP)) == 2  # the account could not be read meanwhile
    harness.accept(harness.last(STOP))
    harness.accept(stop)  # it was open after all
    assert harness.cancelled() == [harness.submitted(STOP)[1].client_order_id]


@pytest.mark.parametrize("status", ["", "ARMED"])
def test_listed_stop_with_an_unknown_type_or_status_protects(harness: Harness, status: str) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    shown = replace(unrecognized(harness, stop), status=status)
    account = {"positions": (harness.report(),), "open_orders": (harness.update_for(take),)}
    for _ in range(10):
        harness.wait(3_000)
        harness.snapshot(**account, unrecognized_orders=(shown,))
        harness.feed(shown)
    assert harness.submitted(STOP) == [stop]
    assert (harness.order(stop).status, protection(harness)) == (OrderStatus.NEW, "ok")
    assert [each["level"] for each in alerts_with(harness, "unrecognized value")] == ["error"]
    harness.feed(odd(harness, stop, "DISARMED"))  # another word: it may have ended
    harness.clock.advance(100)
    harness.snapshot(**account)
    assert len(harness.submitted(STOP)) == 2


def test_stop_missing_from_the_list_is_doubted(harness: Harness) -> None:
    harness.open_position()
    take = harness.last(TAKE)
    harness.clock.advance(1_000)
    harness.snapshot(positions=(harness.report(),), open_orders=(harness.update_for(take),))
    harness.wait(3_000)  # and no query is answered
    assert len(harness.submitted(STOP)) == 2
    assert harness.submitted(CLOSE) == []


def test_close_with_unknown_end_is_decided_anew_after_one_read(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10_000)
    harness.close_position()
    close = harness.last(CLOSE)
    harness.lose_response(close)
    harness.feed(odd(harness, close))
    harness.wait(2_000)
    assert harness.submitted(CLOSE) == [close]
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    harness.snapshot(positions=(harness.report(),), open_orders=orders)
    assert len(harness.submitted(CLOSE)) == 2
    listed = OrdersFetched("BTCUSDT", (), harness.now - 120_000, harness.now, (odd(harness, close),))
    harness.feed(listed, odd(harness, close))
    assert len(harness.submitted(CLOSE)) == 2
    assert len(messages_about(harness, close)) == 1
    assert harness.context.portfolio.external_orders == {}
    harness.fill(harness.last(CLOSE))
    assert not harness.position().is_open


def test_close_without_any_answer_is_decided_anew_after_one_read(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    close = harness.last(CLOSE)
    harness.lose_response(close)
    orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    for _ in range(3):
        harness.feed(CommandFailed(QueryOrder("BTCUSDT", close.client_order_id), None, "not JSON", harness.now))
        harness.wait(3_000)
        harness.snapshot(positions=(harness.report(),), open_orders=orders)
    assert harness.submitted(CLOSE) == [close]  # it may still arrive
    harness.wait(1_000)
    harness.snapshot(positions=(harness.report(),), open_orders=orders)
    assert len(harness.submitted(CLOSE)) == 2


def test_close_that_filled_under_an_unknown_word_is_not_repeated(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10_000)
    harness.close_position()
    close = harness.last(CLOSE)
    harness.feed(odd(harness, close))
    assert harness.commands_of(FetchFills) != []
    harness.clock.advance(200)
    harness.snapshot(positions=(harness.report(quantity=D(0), entry_price=D(0)),))
    harness.wait(5_000)
    assert harness.submitted(CLOSE) == [close]
    assert not harness.position().is_open


def test_entry_with_unknown_end_is_cancelled_and_frees_its_symbol(harness: Harness) -> None:
    entry = harness.enter()
    harness.feed(odd(harness, entry))
    assert harness.cancelled() == [entry.client_order_id]
    harness.feed(CancelRejected("BTCUSDT", entry.client_order_id, -2011, "Unknown order sent.", harness.now))
    harness.wait(61_000)
    harness.snapshot()
    harness.feed(OrdersFetched("BTCUSDT", (), harness.now - 120_000, harness.now, (odd(harness, entry),)))
    assert not harness.order(entry).is_open
    harness.liquidate()
    assert harness.verdicts()[-1] is None
    assert len(messages_about(harness, entry)) == 1


def test_ended_entry_is_open_again_if_it_is_listed(harness: Harness) -> None:
    entry = harness.enter()
    harness.feed(odd(harness, entry))
    harness.snapshot()
    assert not harness.order(entry).is_open
    harness.clock.advance(1_000)
    harness.snapshot(unrecognized_orders=(odd(harness, entry),))
    assert harness.order(entry).is_open
    assert harness.cancelled()[-1] == entry.client_order_id
    harness.feed(replace(odd(harness, entry), status="PARTIALLY_FILLED", problem="invalid type: 'ICEBERG'"))
    harness.fill(entry, "0.004")
    assert harness.last(STOP).stop_price == D("49000.0")


def test_ended_entry_is_open_again_if_it_is_listed_after_a_restart(harness: Harness) -> None:
    entry = harness.enter()
    listed = odd(harness, entry)
    harness.feed(listed)
    harness.snapshot()
    again = harness.restart().connect(unrecognized_orders=(listed,))
    assert again.order(entry).is_open
    assert again.cancelled() == [entry.client_order_id]
    assert again.context.portfolio.external_orders == {}
    again.close()


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
    assert harness.context.portfolio.external_orders == {WEB.number: theirs}
    harness.feed(replace(WEB, order_id=10))
    harness.feed(replace(WEB, order_id=10, status="CANCELED"))
    assert harness.context.portfolio.external_orders == {WEB.number: theirs}


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
