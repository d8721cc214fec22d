"""Lost answers, refusals and orders nobody knows: asked about, never repeated."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from src.core.order_answered import OrderAnswered
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.messages import (
    CancelOrder,
    CancelRefused,
    Due,
    Duty,
    FillsFetched,
    OrderUnresolved,
    QueryOrder,
    TakeSnapshot,
)
from src.domain.orders import OrderRequest
from tests.builders import a_position, a_request, an_update
from tests.core.rig import LONG, Rig
from tests.core.test_absence import a_lost_entry, denied, lists, not_found

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_a_lost_answer_keeps_the_entry_pending_and_asks(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    assert rig.order(entry).status is OrderStatus.PENDING_NEW
    assert rig.of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    rig.lose(entry)
    rig.wait(2000)
    assert len(rig.of(QueryOrder)) == 2
    rig.liquidate()
    assert rig.verdicts() == [None, Gate.OPEN_ORDERS]
    assert rig.submitted() == [entry]


def test_a_lost_entry_that_stands_is_taken_up(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    rig.accept(entry)
    assert rig.order(entry).status is OrderStatus.NEW
    rig.prices()
    rig.liquidate()
    assert rig.verdicts() == [None, None]


def test_a_snapshot_that_shows_it_keeps_it_alive(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    rig.wait(11_000)
    for _ in range(3):
        not_found(rig, entry)
    shown = rig.told(entry)
    rig.clock.advance(10)
    rig.snapshot(open_orders=(shown,))
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.NEW


def test_a_lost_close_is_not_repeated_until_it_is_known_absent(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    close = rig.last(CLOSE)
    rig.lose(close)
    shown = tuple(rig.told(each) for each in (rig.last(STOP), rig.last(TAKE)))
    for _ in range(6):
        rig.wait(2000)
        not_found(rig, close)
    assert rig.submitted(CLOSE) == [close]
    rig.snapshot(positions=(rig.report(),), open_orders=shown)
    lists(rig)
    not_found(rig, close)
    assert len(rig.submitted(CLOSE)) == 2
    assert rig.cancelled() == []


def test_a_stale_entry_is_cancelled(rig: Rig) -> None:
    entry = rig.enter()
    rig.wait(29_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.cancelled() == []
    rig.wait(1000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.cancelled() == [entry.client_order_id]
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert len(rig.cancelled()) == 1
    rig.ended(entry)
    rig.wait(16 * 60_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.desk.books.orders == {}


def cancelled_entry(rig: Rig) -> OrderRequest:
    entry = rig.enter()
    rig.wait(30_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    return entry


def test_a_refused_cancel_is_asked_about_and_never_taken_for_an_end(rig: Rig) -> None:
    entry = cancelled_entry(rig)
    rig.feed(CancelRefused("BTCUSDT", entry.client_order_id, -2011, "unknown order", rig.now))
    assert rig.order(entry).status is OrderStatus.PENDING_CANCEL
    assert rig.of(QueryOrder)[-1].client_order_id == entry.client_order_id
    rig.clock.advance(10)
    rig.fill(entry)
    assert rig.order(entry).status is OrderStatus.FILLED
    assert rig.last(STOP).stop_price == D("49000.0")


def test_a_cancel_that_did_not_happen_is_asked_for_again(rig: Rig) -> None:
    entry = cancelled_entry(rig)
    rig.feed(OrderUnresolved("BTCUSDT", entry.client_order_id, "reset", rig.now))
    rig.clock.advance(10)
    assert rig.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]
    assert rig.order(entry).status is OrderStatus.PENDING_CANCEL


def test_an_answer_tells_what_an_order_is_by_the_time_of_its_last_change(rig: Rig) -> None:
    """Which lies a moment before that of the event about it (updateTime and E)."""
    entry = cancelled_entry(rig)
    rig.feed(CancelRefused("BTCUSDT", entry.client_order_id, None, "the exchange asks for silence", rig.now))
    answer = rig.told(entry, event_at=rig.order(entry).event_at - 1)
    assert rig.feed(OrderAnswered(answer)) == [CancelOrder("BTCUSDT", entry.client_order_id)]
    assert rig.order(entry).unresolved_since is None


def test_a_cancelled_order_nobody_knows_has_ended(rig: Rig) -> None:
    entry = cancelled_entry(rig)
    rig.feed(CancelRefused("BTCUSDT", entry.client_order_id, -2011, "unknown order", rig.now))
    rig.clock.advance(1)
    rig.snapshot()
    denied(rig, entry)
    lists(rig)
    not_found(rig, entry)
    assert rig.order(entry).status is OrderStatus.CANCELED


def test_a_refused_entry_is_ended_and_its_volume_gone(rig: Rig) -> None:
    rig.liquidate()
    assert rig.refuse(rig.last(ENTRY), -2019) == []
    row = rig.rows("SELECT status, reason FROM trades")[0]
    assert tuple(row.values()) == ("REJECTED", "refused (-2019)")
    rig.liquidate()
    assert rig.verdicts() == [None, Gate.COOLDOWN]


def test_news_of_orders_nobody_waits_for_change_nothing(rig: Rig) -> None:
    entry = rig.enter()
    rig.ended(entry)
    before = rig.order(entry).status
    name = entry.client_order_id
    strangers = a_request(number=7)
    for request in (entry, strangers):
        rig.refuse(request)
        rig.lose(request)
        not_found(rig, request)
        rig.feed(CancelRefused("BTCUSDT", request.client_order_id, -2011, "unknown order", rig.now))
    assert rig.order(entry).status is before is OrderStatus.CANCELED
    assert QueryOrder("BTCUSDT", name) not in rig.sent


def test_an_unknown_order_of_ours_is_recalled(rig: Rig) -> None:
    stop = a_request(STOP, 3)
    rig.feed(rig.account_update(a_position()))
    rig.feed(an_update(stop, order_id=77, event_at=rig.now))
    assert "an order of ours was unknown here" in rig.journal("alert")[-1]["message"]
    assert rig.rows("SELECT role, status FROM trades WHERE order_id = '77'")[0]["role"] == "STOP_LOSS"
    assert rig.desk.books.holdings[LONG].is_ours
    assert rig.last(TAKE).client_order_id == "lh-mbv0x1k2abcde-t4"  # a number no order has had


def test_an_unknown_entry_of_ours_is_recalled_and_cancelled_by_age(rig: Rig) -> None:
    entry = a_request()
    rig.feed(an_update(entry, order_id=77, event_at=rig.now - 60_000))
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.cancelled() == [entry.client_order_id]


def test_an_orphan_stop_of_ours_does_not_make_a_later_position_ours(rig: Rig) -> None:
    orphan = a_request(STOP, 3)
    rig.feed(an_update(orphan, order_id=77, event_at=rig.now))
    rig.audit()
    assert rig.cancelled() == [orphan.client_order_id]
    rig.clock.advance(10)
    rig.feed(an_update(orphan, order_id=77, status=OrderStatus.CANCELED, event_at=rig.now))
    rig.audit()
    rig.feed(rig.account_update(a_position()))
    rig.wait(2000)
    assert rig.submitted() == []
    assert rig.rows("SELECT protection FROM positions")[0]["protection"] == "foreign"


def test_an_order_forgotten_long_ago_is_found_in_the_database(rig: Rig) -> None:
    entry = rig.enter()
    rig.ended(entry)
    rig.wait(16 * 60_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert entry.client_order_id not in rig.desk.books.orders
    late = an_update(entry, order_id=1001, status=OrderStatus.CANCELED, event_at=rig.now)
    rig.feed(replace(late, filled_quantity=D(0)))
    assert rig.order(entry).status is OrderStatus.CANCELED
    assert len(rig.rows("SELECT * FROM trades")) == 1


def test_an_order_that_is_missing_everywhere_has_the_account_read(path: Path) -> None:
    rig, entry = a_lost_entry(path)
    rig.snapshot()
    rig.clock.advance(1)
    asked = len(rig.of(TakeSnapshot))
    for _ in range(3):
        rig.wait(3000)
        not_found(rig, entry)
    assert len(rig.of(TakeSnapshot)) == asked
    rig.wait(2000)
    assert len(rig.of(TakeSnapshot)) == asked + 1


def test_protection_that_somebody_else_cancelled_is_replaced_and_told(rig: Rig) -> None:
    rig.open_position()
    rig.ended(rig.last(STOP))
    assert len(rig.submitted(STOP)) == 2
    assert rig.journal("alert")[-1]["message"].endswith("was cancelled, not by the bot: it is replaced")


def test_a_trade_by_hand_in_our_position_is_booked_with_it(rig: Rig) -> None:
    entry = rig.open_position()
    rig.clock.advance(1000)
    theirs = replace(rig.a_fill(entry, "0.001"), client_order_id="", order_id=77, side=Side.SELL, realized_pnl=D(3))
    for _ in range(2):
        rig.feed(FillsFetched("BTCUSDT", (theirs,), rig.now))
    assert rig.journal("fill")[-1]["role"] == "BY HAND"
    assert [row["realized_pnl"] for row in rig.rows("SELECT realized_pnl FROM fills WHERE order_id = '77'")] == ["3"]
