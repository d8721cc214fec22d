"""Fills, balances and positions: reported in any order, recorded once and exactly."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.events import TraderEvent
from src.domain.commands import FetchFills, FetchIncome
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, PositionSide, Side
from src.domain.events import CancelRejected, FillsFetched, IncomeFetched, LeverageChanged, MarginCall
from src.domain.orders import OrderRequest
from src.domain.positions import Income
from tests.builders import NOW, a_fill, a_position, an_update, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def trade(harness: Harness, request: OrderRequest, order: str, **fill: Any) -> None:
    """The two events of one trade, in either order or duplicated."""
    harness.clock.advance(10)
    reported = harness.a_fill(request, **fill)
    account, update = harness.account_after(reported), harness.filled_by(request, reported)
    both: tuple[TraderEvent, TraderEvent] = account, update
    if order == "order first":
        both = update, account
    for event in both[:1] if order == "apart" else both * 2 if order == "doubled" else both:
        harness.feed(event)
    if order == "apart":
        harness.wait(400)
        harness.feed(update)


@pytest.mark.parametrize("order", ["account first", "order first", "doubled", "apart"])
def test_round_trip_is_reported_once_and_exact(harness: Harness, order: str) -> None:
    entry = harness.enter()
    trade(harness, entry, order)
    assert harness.position() == a_position("0.010", "50000.0")
    harness.accept(harness.last(STOP))
    harness.accept(harness.last(TAKE))
    harness.wait(5000)
    stop = harness.last(STOP)
    trade(harness, stop, order, price=49_000, pnl=-10)
    assert not harness.position().is_open
    assert harness.rows("SELECT * FROM positions") == []
    assert harness.last(TAKE).client_order_id in harness.cancelled()
    harness.end_order(harness.last(TAKE))
    harness.wait(2000)
    reported = harness.journal("position")
    assert [(each["realized_pnl"], each["commission"], each["net"]) for each in reported] == [("-10", "0.2", "-10.2")]
    booked = harness.rows("SELECT trade_id, quantity, realized_pnl, commission FROM fills ORDER BY trade_id")
    assert [tuple(row.values()) for row in booked] == [(1, "0.010", "0", "0.1"), (2, "0.010", "-10", "0.1")]
    row = harness.rows("SELECT * FROM trades WHERE client_order_id = :id", id=stop.client_order_id)[0]
    assert (row["status"], row["realized_pnl"], row["commission"]) == ("FILLED", "-10", "0.1")
    assert harness.context.portfolio.tracked_positions[LONG].entry_order_id is None


def test_entry_is_possible_after_stop(harness: Harness) -> None:
    harness.open_position()
    harness.fill(harness.last(STOP), price=49_000, pnl=-10)
    harness.end_order(harness.last(TAKE))
    harness.wait(61_000)
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts() == [None, None]
    harness.fill(harness.last(ENTRY))
    assert len(harness.submitted(STOP)) == 2


def test_result_waits_for_exit_fills(harness: Harness) -> None:
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(TAKE)
    harness.clock.advance(10)
    fill = harness.a_fill(stop, price=49_000, pnl=-10)
    harness.feed(harness.account_after(fill))
    harness.end_order(take)
    harness.feed(CancelRejected("BTCUSDT", stop.client_order_id, -2011, "unknown order", harness.now))
    harness.wait(2000)
    assert harness.journal("position") == []
    harness.feed(replace(harness.filled_by(stop, fill), fill=None))
    assert harness.commands_of(FetchFills) != []
    fetched = replace(fill, client_order_id="")
    harness.feed(FillsFetched("BTCUSDT", (fetched,), harness.now))
    harness.feed(FillsFetched("BTCUSDT", (fetched,), harness.now))
    harness.wait(1000)
    assert [each["net"] for each in harness.journal("position")] == ["-10.2"]
    assert harness.context.portfolio.tracked_positions[LONG].position.quantity == 0


def test_result_without_fills_is_reported_after_timeout(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10)
    harness.feed(harness.account_update(a_position(0, 0)))
    harness.wait(16_000)
    assert [each["net"] for each in harness.journal("position")] == ["-0.1"]


def test_new_position_has_its_own_result(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10)
    harness.fill(harness.last(STOP), price=49_000, pnl=-10)
    harness.confirm_cancels()
    harness.clock.advance(61_000)
    harness.prices()
    harness.snapshot()
    harness.liquidate()
    harness.accept(harness.last(ENTRY))
    harness.clock.advance(10)
    harness.fill(harness.last(ENTRY))
    assert [each["net"] for each in harness.journal("position")] == ["-10.2"]
    assert harness.context.portfolio.tracked_positions[LONG].trades.commission == D("0.1")


@pytest.mark.parametrize("is_order_first", [True, False])
def test_position_opened_at_close_time_is_ours(path: Path, is_order_first: bool) -> None:
    """Found by the model: a position closed and the next one opened within one millisecond."""
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    harness.wait(1000)
    stop, entry = harness.last(STOP), harness.enter()
    closed = harness.a_fill(stop, price=49_000, pnl=-10)
    harness.feed(harness.filled_by(stop, closed), harness.account_after(closed))
    opened = harness.a_fill(entry, price=49_000)
    account, update = harness.account_after(opened), harness.filled_by(entry, opened)
    harness.feed(*((update, account) if is_order_first else (account, update)))
    assert harness.position() == a_position("0.010", "49000")
    assert harness.last(STOP).client_order_id.startswith(entry.client_order_id.removesuffix("e"))
    assert [each["net"] for each in harness.journal("position")] == ["-10.2"]
    harness.close()


@pytest.mark.parametrize("is_order_first", [True, False])
def test_position_filled_before_reported_close_is_ours(path: Path, is_order_first: bool) -> None:
    """In a cascade events come late: the new trade (T) is older than the account's report of the close (E)."""
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    harness.wait(1000)
    stop, entry = harness.last(STOP), harness.enter()
    closed = harness.a_fill(stop, price=49_000, pnl=-10)
    harness.feed(harness.filled_by(stop, closed), replace(harness.account_after(closed), event_at=harness.now + 10))
    opened = replace(harness.a_fill(entry, price=49_000), traded_at=harness.now + 5)
    account = replace(harness.account_after(opened), event_at=harness.now + 11)
    update = replace(harness.filled_by(entry, opened), event_at=harness.now + 11)
    for event in (update, account) if is_order_first else (account, update):
        harness.feed(event)
    assert harness.position() == a_position("0.010", "49000")
    assert harness.last(STOP).client_order_id.startswith(entry.client_order_id.removesuffix("e"))
    harness.close()


def test_missing_fills_are_requested_and_recorded_once(harness: Harness) -> None:
    entry = harness.enter()
    harness.clock.advance(10)
    fill = harness.a_fill(entry)
    harness.feed(replace(harness.filled_by(entry, fill), fill=None))
    assert harness.commands_of(FetchFills)[-1].since_ms <= fill.traded_at
    fetched = replace(fill, client_order_id="")
    harness.feed(FillsFetched("BTCUSDT", (fetched,), harness.now))
    harness.feed(harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=D("0.010"), fill=fill))
    assert harness.position().quantity == D("0.010")
    assert harness.last(STOP).stop_price == D("49000.0")
    assert len(harness.rows("SELECT * FROM fills")) == 1
    before = len(harness.commands_of(FetchFills))
    harness.wait(5000)
    assert len(harness.commands_of(FetchFills)) == before


def test_fill_of_other_symbol_is_not_ours(harness: Harness) -> None:
    entry = harness.enter()
    number = harness.order(entry).order_id
    external = a_fill(symbol="ETHUSDT", client_order_id="", order_id=number, trade_id=9)
    harness.feed(FillsFetched("ETHUSDT", (external,), harness.now))
    assert harness.rows("SELECT * FROM fills") == []


def test_older_account_update_does_not_undo_fill(harness: Harness) -> None:
    entry = harness.enter()
    harness.clock.advance(10)
    first = harness.a_fill(entry, "0.004")
    early = harness.account_after(first)
    harness.clock.advance(10)
    second = replace(first, trade_id=7, quantity=D("0.006"), traded_at=harness.now)
    harness.feed(FillsFetched("BTCUSDT", (first, second), harness.now))
    harness.feed(early)
    assert harness.position().quantity == D("0.010")


def test_expired_partial_fill_stays_protected(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry, "0.004")
    harness.end_order(entry, OrderStatus.EXPIRED)
    assert harness.position().quantity == D("0.004")
    assert len(harness.submitted(STOP)) == 1


def test_fill_after_cancel_is_recorded_and_protected(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    harness.clock.advance(10)
    harness.fill(entry)
    assert harness.position().quantity == D("0.010")
    assert harness.last(STOP).stop_price == D("49000.0")


def test_exchange_liquidation_is_recorded(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10)
    forced = a_fill(trade_id=77, order_id=88, client_order_id="autoclose-1", side=Side.SELL, traded_at=harness.now)
    forced = replace(forced, realized_pnl=D(-50))
    request = replace(harness.last(ENTRY), client_order_id="autoclose-1")
    update = an_update(request, order_id=88, status=OrderStatus.FILLED, filled_quantity=D("0.01"), fill=forced)
    harness.feed(replace(update, event_at=harness.now), harness.account_update(a_position(0, 0)))
    assert not harness.position().is_open
    assert harness.journal("fill")[-1]["role"] == "FORCED"
    assert {harness.last(STOP).client_order_id, harness.last(TAKE).client_order_id} <= set(harness.cancelled())


def test_external_fills_are_not_recorded(harness: Harness) -> None:
    fill = a_fill(client_order_id="web-1", trade_id=5, order_id=6)
    harness.feed(an_update(client_order_id="web-1", order_id=6, status=OrderStatus.FILLED, fill=fill))
    assert harness.rows("SELECT * FROM fills") == []


def test_funding_is_requested_and_recorded_once(harness: Harness) -> None:
    before = len(harness.commands_of(FetchIncome))
    harness.feed(harness.account_update(reason="FUNDING_FEE", wallet=999))
    assert len(harness.commands_of(FetchIncome)) == before + 1
    paid = Income(5, "BTCUSDT", "FUNDING_FEE", "USDT", D("-0.5"), harness.now)
    other = replace(paid, transaction_id=6, type="TRANSFER")
    harness.feed(IncomeFetched((paid, other), harness.now))
    harness.feed(IncomeFetched((paid,), harness.now))
    assert [row["amount"] for row in harness.rows("SELECT amount FROM funding_payments")] == ["-0.5"]
    funded = [each for each in harness.journal("account") if "external_funding" in each]
    assert [each["external_funding"] for each in funded] == ["-0.5"]
    assert harness.position().quantity == 0


def test_funding_without_positions_closes_nothing(harness: Harness) -> None:
    harness.open_position()
    harness.feed(harness.account_update(reason="FUNDING_FEE"))
    assert harness.position().is_open


def test_wallet_follows_account_update(harness: Harness) -> None:
    harness.feed(harness.account_update(wallet=40))
    harness.liquidate()
    assert harness.verdicts() == [Gate.MARGIN]


def test_leverage_from_stream_is_used(harness: Harness) -> None:
    harness.open_position()
    assert harness.context.portfolio.tracked_positions[LONG].margin == D(50)
    harness.feed(LeverageChanged("BTCUSDT", 5, harness.now))
    assert harness.context.portfolio.tracked_positions[LONG].margin == D(100)


def test_margin_call_is_reported(harness: Harness) -> None:
    harness.feed(MarginCall((("BTCUSDT", PositionSide.LONG),), NOW))
    assert harness.journal("alert")[-1]["message"] == "margin call: BTCUSDT may be liquidated"
