"""Fills, balances and positions: told in any order, booked once, exact in the ledger."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.inbox import TraderEvent
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, PositionSide, Side
from src.domain.messages import (
    CancelRefused,
    FetchFills,
    FetchFunding,
    FillsFetched,
    FundingFetched,
    LeverageChanged,
    MarginCall,
)
from src.domain.orders import OrderRequest
from src.domain.positions import Income
from tests.builders import NOW, a_fill, a_position, an_update, some_settings
from tests.core.rig import LONG, Rig

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def trade(rig: Rig, request: OrderRequest, order: str, **fill: Any) -> None:
    """One trade, its two events in either order, or doubled."""
    rig.clock.advance(10)
    told = rig.a_fill(request, **fill)
    account, update = rig.account_after(told), rig.filled_by(request, told)
    both: tuple[TraderEvent, TraderEvent] = account, update
    if order == "order first":
        both = update, account
    for event in both[:1] if order == "apart" else both * 2 if order == "doubled" else both:
        rig.feed(event)
    if order == "apart":
        rig.wait(400)
        rig.feed(update)


@pytest.mark.parametrize("order", ["account first", "order first", "doubled", "apart"])
def test_a_round_trip_is_told_once_and_booked_exactly(rig: Rig, order: str) -> None:
    entry = rig.enter()
    trade(rig, entry, order)
    assert rig.position() == a_position("0.010", "50000.0")
    rig.accept(rig.last(STOP))
    rig.accept(rig.last(TAKE))
    rig.wait(5000)
    stop = rig.last(STOP)
    trade(rig, stop, order, price=49_000, pnl=-10)
    assert not rig.position().is_open
    assert rig.rows("SELECT * FROM positions") == []
    assert rig.last(TAKE).client_order_id in rig.cancelled()
    rig.ended(rig.last(TAKE))
    rig.wait(2000)
    told = rig.journal("position")
    assert [(each["realized_pnl"], each["commission"], each["net"]) for each in told] == [("-10", "0.2", "-10.2")]
    booked = rig.rows("SELECT trade_id, quantity, realized_pnl, commission FROM fills ORDER BY trade_id")
    assert [tuple(row.values()) for row in booked] == [(1, "0.010", "0", "0.1"), (2, "0.010", "-10", "0.1")]
    row = rig.rows("SELECT * FROM trades WHERE client_order_id = :id", id=stop.client_order_id)[0]
    assert (row["status"], row["realized_pnl"], row["commission"]) == ("FILLED", "-10", "0.1")
    assert rig.desk.books.holdings[LONG].entry is None


def test_after_a_stop_an_entry_is_possible_again(rig: Rig) -> None:
    rig.open_position()
    rig.fill(rig.last(STOP), price=49_000, pnl=-10)
    rig.ended(rig.last(TAKE))
    rig.wait(61_000)
    rig.snapshot()
    rig.liquidate()
    assert rig.verdicts() == [None, None]
    rig.fill(rig.last(ENTRY))
    assert len(rig.submitted(STOP)) == 2


def test_the_result_waits_for_the_trades_of_the_exit(rig: Rig) -> None:
    rig.open_position()
    stop, take = rig.last(STOP), rig.last(TAKE)
    rig.clock.advance(10)
    fill = rig.a_fill(stop, price=49_000, pnl=-10)
    rig.feed(rig.account_after(fill))
    rig.ended(take)
    rig.feed(CancelRefused("BTCUSDT", stop.client_order_id, -2011, "unknown order", rig.now))
    rig.wait(2000)
    assert rig.journal("position") == []
    rig.feed(replace(rig.filled_by(stop, fill), fill=None))
    assert rig.of(FetchFills) != []
    fetched = replace(fill, client_order_id="")
    rig.feed(FillsFetched("BTCUSDT", (fetched,), rig.now))
    rig.feed(FillsFetched("BTCUSDT", (fetched,), rig.now))
    rig.wait(1000)
    assert [each["net"] for each in rig.journal("position")] == ["-10.2"]
    assert rig.desk.books.holdings[LONG].position.quantity == 0


def test_a_result_whose_trades_never_come_is_told_after_a_while(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(10)
    rig.feed(rig.account_update(a_position(0, 0)))
    rig.wait(16_000)
    assert [each["net"] for each in rig.journal("position")] == ["-0.1"]


def test_a_new_position_before_the_old_one_was_told_has_its_own_result(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(10)
    rig.fill(rig.last(STOP), price=49_000, pnl=-10)
    rig.clock.advance(61_000)
    rig.prices()
    rig.snapshot()
    rig.liquidate()
    rig.accept(rig.last(ENTRY))
    rig.clock.advance(10)
    rig.fill(rig.last(ENTRY))
    assert [each["net"] for each in rig.journal("position")] == ["-10.2"]
    assert rig.desk.books.holdings[LONG].commission == D("0.1")


@pytest.mark.parametrize("is_order_first", [True, False])
def test_a_position_of_the_instant_in_which_the_last_one_closed_is_ours(path: Path, is_order_first: bool) -> None:
    """Found by the model: one millisecond held the end of a position and the first fill of the next."""
    rig = Rig(path, some_settings({"cooldown_sec": 0})).connect()
    rig.open_position()
    rig.wait(1000)
    stop, entry = rig.last(STOP), rig.enter()
    closed = rig.a_fill(stop, price=49_000, pnl=-10)
    rig.feed(rig.filled_by(stop, closed), rig.account_after(closed))
    opened = rig.a_fill(entry, price=49_000)
    account, update = rig.account_after(opened), rig.filled_by(entry, opened)
    rig.feed(*((update, account) if is_order_first else (account, update)))
    assert rig.position() == a_position("0.010", "49000")
    assert rig.last(STOP).client_order_id.startswith(entry.client_order_id.removesuffix("e"))
    assert [each["net"] for each in rig.journal("position")] == ["-10.2"]
    rig.close()


@pytest.mark.parametrize("is_order_first", [True, False])
def test_a_position_that_fills_before_the_end_of_the_last_was_told_is_ours(path: Path, is_order_first: bool) -> None:
    """In a cascade events are told late: the new trade (T) lies before the account's word on the end (E)."""
    rig = Rig(path, some_settings({"cooldown_sec": 0})).connect()
    rig.open_position()
    rig.wait(1000)
    stop, entry = rig.last(STOP), rig.enter()
    closed = rig.a_fill(stop, price=49_000, pnl=-10)
    rig.feed(rig.filled_by(stop, closed), replace(rig.account_after(closed), event_at=rig.now + 10))
    opened = replace(rig.a_fill(entry, price=49_000), traded_at=rig.now + 5)
    account = replace(rig.account_after(opened), event_at=rig.now + 11)
    update = replace(rig.filled_by(entry, opened), event_at=rig.now + 11)
    for event in (update, account) if is_order_first else (account, update):
        rig.feed(event)
    assert rig.position() == a_position("0.010", "49000")
    assert rig.last(STOP).client_order_id.startswith(entry.client_order_id.removesuffix("e"))
    rig.close()


def test_missing_fills_are_fetched_and_booked_once(rig: Rig) -> None:
    entry = rig.enter()
    rig.clock.advance(10)
    fill = rig.a_fill(entry)
    rig.feed(replace(rig.filled_by(entry, fill), fill=None))
    assert rig.of(FetchFills)[-1].since_ms <= fill.traded_at
    fetched = replace(fill, client_order_id="")
    rig.feed(FillsFetched("BTCUSDT", (fetched,), rig.now))
    rig.feed(rig.told(entry, status=OrderStatus.FILLED, filled_quantity=D("0.010"), fill=fill))
    assert rig.position().quantity == D("0.010")
    assert rig.last(STOP).stop_price == D("49000.0")
    assert len(rig.rows("SELECT * FROM fills")) == 1
    asked = len(rig.of(FetchFills))
    rig.wait(5000)
    assert len(rig.of(FetchFills)) == asked


def test_a_fetched_trade_of_another_symbols_order_is_not_ours(rig: Rig) -> None:
    entry = rig.enter()
    number = rig.order(entry).order_id
    stranger = a_fill(symbol="ETHUSDT", client_order_id="", order_id=number, trade_id=9)
    rig.feed(FillsFetched("ETHUSDT", (stranger,), rig.now))
    assert rig.rows("SELECT * FROM fills") == []


def test_an_older_word_of_the_account_does_not_undo_a_trade(rig: Rig) -> None:
    entry = rig.enter()
    rig.clock.advance(10)
    first = rig.a_fill(entry, "0.004")
    early = rig.account_after(first)
    rig.clock.advance(10)
    second = replace(first, trade_id=7, quantity=D("0.006"), traded_at=rig.now)
    rig.feed(FillsFetched("BTCUSDT", (first, second), rig.now))
    rig.feed(early)
    assert rig.position().quantity == D("0.010")


def test_a_partial_fill_that_expires_stays_protected(rig: Rig) -> None:
    entry = rig.enter()
    rig.fill(entry, "0.004")
    rig.ended(entry, OrderStatus.EXPIRED)
    assert rig.position().quantity == D("0.004")
    assert len(rig.submitted(STOP)) == 1


def test_a_fill_after_the_cancel_is_booked_and_protected(rig: Rig) -> None:
    entry = rig.enter()
    rig.ended(entry)
    rig.clock.advance(10)
    rig.fill(entry)
    assert rig.position().quantity == D("0.010")
    assert rig.last(STOP).stop_price == D("49000.0")


def test_a_liquidation_by_the_exchange_is_booked_as_such(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(10)
    forced = a_fill(trade_id=77, order_id=88, client_order_id="autoclose-1", side=Side.SELL, traded_at=rig.now)
    forced = replace(forced, realized_pnl=D(-50))
    request = replace(rig.last(ENTRY), client_order_id="autoclose-1")
    update = an_update(request, order_id=88, status=OrderStatus.FILLED, filled_quantity=D("0.01"), fill=forced)
    rig.feed(replace(update, event_at=rig.now), rig.account_update(a_position(0, 0)))
    assert not rig.position().is_open
    assert rig.journal("fill")[-1]["role"] == "FORCED"
    assert {rig.last(STOP).client_order_id, rig.last(TAKE).client_order_id} <= set(rig.cancelled())


def test_trades_of_others_are_not_booked(rig: Rig) -> None:
    fill = a_fill(client_order_id="web-1", trade_id=5, order_id=6)
    rig.feed(an_update(client_order_id="web-1", order_id=6, status=OrderStatus.FILLED, fill=fill))
    assert rig.rows("SELECT * FROM fills") == []


def test_funding_is_fetched_when_told_and_booked_once(rig: Rig) -> None:
    asked = len(rig.of(FetchFunding))
    rig.feed(rig.account_update(reason="FUNDING_FEE", wallet=999))
    assert len(rig.of(FetchFunding)) == asked + 1
    paid = Income(5, "BTCUSDT", "FUNDING_FEE", "USDT", D("-0.5"), rig.now)
    other = replace(paid, transaction_id=6, type="TRANSFER")
    rig.feed(FundingFetched((paid, other), rig.now))
    rig.feed(FundingFetched((paid,), rig.now))
    assert [row["amount"] for row in rig.rows("SELECT amount FROM funding")] == ["-0.5"]
    assert [each["funding"] for each in rig.journal("account")] == ["-0.5"]
    assert rig.position().quantity == 0


def test_funding_without_positions_closes_nothing(rig: Rig) -> None:
    rig.open_position()
    rig.feed(rig.account_update(reason="FUNDING_FEE"))
    assert rig.position().is_open


def test_the_wallet_follows_the_account(rig: Rig) -> None:
    rig.feed(rig.account_update(wallet=40))
    rig.liquidate()
    assert rig.verdicts() == [Gate.MARGIN]


def test_leverage_told_by_the_stream_counts(rig: Rig) -> None:
    rig.open_position()
    assert rig.desk.books.holdings[LONG].margin == D(50)
    rig.feed(LeverageChanged("BTCUSDT", 5, rig.now))
    assert rig.desk.books.holdings[LONG].margin == D(100)


def test_a_margin_call_is_passed_on(rig: Rig) -> None:
    rig.feed(MarginCall((("BTCUSDT", PositionSide.LONG),), NOW))
    assert rig.journal("alert")[-1]["message"] == "the exchange warns of liquidation: BTCUSDT"
