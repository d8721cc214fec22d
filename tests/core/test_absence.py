"""An order the exchange does not know: believed gone only once nothing shows it, taken up again if it comes late."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import CancelOrder, FetchOrders, FillsFetched, OrderNotFound, OrdersFetched, QueryOrder
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from tests.builders import a_position, an_update, some_settings
from tests.core.rig import Rig

D = Decimal
ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS


def not_found(rig: Rig, request: OrderRequest) -> None:
    rig.feed(OrderNotFound(request.symbol, request.client_order_id, rig.now))


def a_lost_entry(path: Path) -> tuple[Rig, OrderRequest]:
    rig = Rig(path, some_settings({"cooldown_sec": 0})).connect()
    rig.liquidate()
    entry = rig.last(ENTRY)
    rig.lose(entry)
    return rig, entry


def denied(rig: Rig, request: OrderRequest) -> None:
    """For ten seconds the exchange says that it knows no such order."""
    for _ in range(5):
        rig.wait(2000)
        not_found(rig, request)


def given_up(rig: Rig, request: OrderRequest) -> None:
    """Everything has been asked, and nothing shows the order."""
    denied(rig, request)
    rig.snapshot()
    lists(rig)
    not_found(rig, request)


def lists(rig: Rig, orders: tuple[OrderUpdate, ...] = (), fills: tuple[Fill, ...] = ()) -> None:
    """All orders and all trades of the symbol, read now."""
    rig.feed(OrdersFetched("BTCUSDT", orders, 0, rig.now), FillsFetched("BTCUSDT", fills, rig.now))


def test_a_lost_entry_is_absent_only_once_nothing_shows_it_any_more(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    for _ in range(5):
        rig.wait(2000)
        not_found(rig, entry)
    assert rig.of(FetchOrders)[-1].since_ms <= rig.order(entry).created_at
    for evidence in (rig.snapshot, partial(lists, rig)):
        assert rig.order(entry).status is OrderStatus.PENDING_NEW
        evidence()
        assert rig.order(entry).status is OrderStatus.PENDING_NEW
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.REJECTED
    row = rig.rows("SELECT status, reason FROM trades")[0]
    assert tuple(row.values()) == ("REJECTED", "the exchange knows no such order")
    rig.liquidate()
    assert rig.verdicts() == [None, None]


def test_lists_read_too_early_prove_nothing(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    rig.wait(1000)
    rig.snapshot()
    lists(rig)
    denied(rig, entry)
    assert rig.order(entry).status is OrderStatus.PENDING_NEW


def test_a_trade_of_an_order_nobody_names_keeps_the_doubt_alive(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    denied(rig, entry)
    rig.snapshot()
    theirs = replace(rig.a_fill(entry), client_order_id="", order_id=77)
    lists(rig, fills=(theirs,))
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.PENDING_NEW
    asked = len(rig.of(FetchOrders))
    rig.wait(3000)
    assert len(rig.of(FetchOrders)) == asked + 1
    by_hand = an_update(order_id=77, client_order_id="web_1", status=OrderStatus.FILLED)
    lists(rig, orders=(by_hand,), fills=(theirs,))
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.REJECTED


def test_a_position_that_differs_keeps_the_doubt_alive(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    denied(rig, entry)
    rig.snapshot()
    lists(rig)
    rig.feed(rig.account_update(a_position()))
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.PENDING_NEW


def test_an_order_that_all_orders_show_is_taken_up(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    denied(rig, entry)
    found = rig.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    lists(rig, orders=(found,))
    assert rig.order(entry).status is OrderStatus.FILLED
    lists(rig, fills=(rig.a_fill(entry, "0.01"),))
    assert rig.last(STOP).stop_price == D("49000.0")


def test_an_entry_given_up_that_fills_late_is_protected(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    given_up(rig, entry)
    rig.clock.advance(10)
    rig.fill(entry)
    assert rig.last(STOP).stop_price == D("49000.0")
    assert any(each["message"].startswith("late order: ENTRY") for each in rig.journal("alert"))


def test_an_entry_given_up_that_rests_late_is_cancelled_at_once(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    given_up(rig, entry)
    rig.clock.advance(10)
    assert rig.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_a_position_nobody_knows_has_an_entry_that_was_given_up_asked_for_again(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    given_up(rig, entry)
    asked = len(rig.of(QueryOrder))
    rig.wait(3000)
    assert len(rig.of(QueryOrder)) == asked
    rig.feed(rig.account_update(a_position()))
    rig.wait(1000)
    assert len(rig.of(QueryOrder)) == asked + 1


def test_an_account_read_before_the_answer_was_lost_proves_nothing(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    denied(rig, entry)
    lists(rig)
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.PENDING_NEW
    rig.wait(3000)
    asked = len(rig.of(FetchOrders))
    rig.wait(3000)
    assert len(rig.of(FetchOrders)) == asked  # the lists are here: all that is missing is the account


def test_a_trade_from_before_the_order_is_no_sign_of_it(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    denied(rig, entry)
    rig.snapshot()
    older = replace(rig.a_fill(entry), client_order_id="", order_id=77, traded_at=rig.order(entry).created_at - 61_000)
    lists(rig, fills=(older,))
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.REJECTED
