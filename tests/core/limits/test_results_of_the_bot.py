"""Results, locks and statistics count what the bot traded; what a person traded is shown as theirs."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.database.db import open_reader, read_transaction
from src.database.queries.fills import net_since
from src.domain.commands import FetchFills, FetchIncome
from src.domain.decisions import Gate
from src.domain.enums import IncomeType, OrderRole, OrderStatus, PositionSide, Side
from src.domain.events import FillsFetched, Stream, StreamUp
from src.domain.instrument import Price, Quantity
from src.domain.orders import Fill
from src.domain.positions import Income
from tests.builders import a_fill, a_position, a_report, a_request, an_update, some_settings
from tests.core.harness import Harness

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


def a_harness(path: Path, harnesses: list[Harness], **limits: Any) -> Harness:
    harness = Harness(path, some_settings({"cooldown_sec": 0, **limits})).connect()
    harnesses.append(harness)
    return harness


def is_locked(harness: Harness) -> bool:
    return harness.context.trading_status.reason.startswith("locked")


def lose(harness: Harness, pnl: int) -> None:
    """Open a position and have its stop loss close it."""
    harness.snapshot()
    harness.open_position()
    harness.clock.advance(1000)
    take = harness.last(TAKE)
    harness.fill(harness.last(STOP), pnl=pnl)
    harness.end_order(take)
    harness.wait(16_000)


def test_enlarging_by_hand_does_not_end_a_streak_of_losses(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=2)
    lose(harness, -10)
    harness.open_position()
    harness.clock.advance(1000)
    by_hand = a_fill(client_order_id="web_abc", trade_id=900, order_id=9, quantity=D("0.001"), traded_at=harness.now)
    with harness.context.store.transaction():
        harness.context.store.record_fill(by_hand)  # as an earlier version stored trades by hand
    harness.fill(harness.last(STOP), pnl=-10)
    harness.wait(1000)
    assert is_locked(harness)
    assert "2 losing exits in a row" in harness.context.trading_status.reason


def test_funding_of_a_persons_own_position_is_not_the_bots_loss(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_daily_loss_usdt=20)
    flat = tuple(a_report(position_side=side) for side in (PositionSide.LONG, PositionSide.SHORT))
    harness.snapshot(positions=(*flat, a_report("0.1", 3000, symbol="ETHUSDT", updated_at=harness.now)))
    harness.audit()
    theirs = Income(77, "ETHUSDT", "FUNDING_FEE", "USDT", D(-25), harness.now)
    harness.answer_income(IncomeType.FUNDING_FEE, theirs)
    harness.wait(1000)
    assert not is_locked(harness)
    assert harness.journal("account")[-1]["external_funding"] == "-25"
    assert [row["is_external"] for row in harness.rows("SELECT is_external FROM funding_payments")] == [1]
    harness.open_position()
    harness.wait(1000)
    ours = replace(theirs, transaction_id=78, symbol="BTCUSDT", paid_at=harness.now)
    harness.answer_income(IncomeType.FUNDING_FEE, ours)
    harness.wait(1000)
    assert is_locked(harness)


def test_funding_paid_before_the_position_ended_still_counts(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses)
    harness.open_position()
    harness.wait(1000)
    paid_at = harness.now
    harness.fill(harness.last(STOP), pnl=-10)
    harness.wait(5000)
    again = harness.restart()
    harnesses.append(again)
    again.connect()
    late = Income(78, "BTCUSDT", "FUNDING_FEE", "USDT", D(-1), paid_at)
    after = replace(late, transaction_id=79, paid_at=again.now + 60_000)
    again.answer_income(IncomeType.FUNDING_FEE, late, after)
    rows = again.rows("SELECT is_external FROM funding_payments ORDER BY transaction_id")
    assert [row["is_external"] for row in rows] == [0, 1]


def test_liquidation_of_a_persons_own_position_is_theirs(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_daily_loss_usdt=20)
    request = a_request(client_order_id="autoclose-17", symbol="ETHUSDT", side=Side.SELL, quantity=Quantity(D(10)))
    fill = a_fill(request, trade_id=5, order_id=4711, realized_pnl=D(-3000), traded_at=harness.now)
    harness.feed(an_update(request, order_id=4711, status=OrderStatus.FILLED, fill=fill, event_at=harness.now))
    harness.wait(1000)
    assert not is_locked(harness)
    assert harness.rows("SELECT * FROM fills") == []
    [warning] = [each["message"] for each in harness.journal("alert")]
    assert warning == "your own position of ETHUSDT was liquidated by the exchange; it counts in no result and no limit"
    on_our_symbol = replace(fill, symbol="BTCUSDT", position_side=PositionSide.SHORT, side=Side.BUY)
    request = replace(request, symbol="BTCUSDT", side=Side.BUY, position_side=PositionSide.SHORT)
    update = an_update(request, order_id=4712, status=OrderStatus.FILLED, fill=on_our_symbol, event_at=harness.now)
    harness.feed(update)
    harness.wait(1000)
    assert harness.context.symbol_locks == {}


def test_margin_of_a_persons_open_orders_counts_as_bound(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_total_exposure_usdt=200)
    flat = tuple(a_report(position_side=side) for side in (PositionSide.LONG, PositionSide.SHORT))
    entry = a_request(client_order_id="web-1", symbol="ETHUSDT", quantity=Quantity(D(1)), price=Price(D(1600)))
    closing = replace(entry, client_order_id="web-2", side=Side.SELL)
    report = a_report(symbol="ETHUSDT", leverage=10)
    orders = (an_update(entry, order_id=8), an_update(closing, order_id=9))
    harness.snapshot(positions=(*flat, report), open_orders=orders)
    harness.wait(1000)
    shown = harness.rows("SELECT value FROM bot_state WHERE key = 'exposure'")[0]["value"]
    assert json.loads(shown)["margin"] == "160"
    harness.liquidate()
    assert harness.verdicts() == [Gate.TOTAL_CAP]


@pytest.mark.parametrize("side", list(Side))
def test_trade_by_hand_on_the_stream_does_not_end_a_streak_of_losses(
    path: Path, harnesses: list[Harness], side: Side
) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=2)
    lose(harness, -10)
    harness.open_position()
    harness.clock.advance(1000)
    by_hand = a_request(client_order_id="web_abc", side=side, quantity=Quantity(D("0.001")))
    fill = a_fill(by_hand, trade_id=900, order_id=9, traded_at=harness.now)
    update = an_update(by_hand, order_id=9, status=OrderStatus.FILLED, filled_quantity=fill.quantity, fill=fill)
    harness.feed(harness.account_after(fill), replace(update, event_at=harness.now))
    harness.clock.advance(1000)
    harness.fill(harness.last(STOP), pnl=-10)
    harness.wait(1000)
    assert "2 losing exits in a row" in harness.context.trading_status.reason


@pytest.mark.parametrize("is_closed_first", [False, True], ids=["closed after the first look", "before it"])
def test_trades_by_hand_around_a_kill_are_all_in_the_result(
    path: Path, harnesses: list[Harness], is_closed_first: bool
) -> None:
    """Two that add up to nothing before the kill, not told, and one that closes the position after it."""
    harness = a_harness(path, harnesses)
    entry = harness.open_position()
    own = replace(harness.a_fill(entry, "0.010"), trade_id=1, traded_at=harness.now)
    protection = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    trades = [own]
    for number, side, quantity, pnl in ((901, Side.SELL, "0.004", 4), (902, Side.BUY, "0.004", 0)):
        harness.clock.advance(5_000)
        web = a_request(client_order_id="", side=side, quantity=Quantity(D(quantity)))
        trades.append(a_fill(web, trade_id=number, order_id=number, realized_pnl=D(pnl), traded_at=harness.now))
    again = harness.restart()
    harnesses.append(again)
    again.clock.advance(5_000)
    again.feed(StreamUp(Stream.MARKET, again.now), StreamUp(Stream.USER, again.now))

    def close_by_hand() -> None:
        web = a_request(client_order_id="web_x", side=Side.SELL, quantity=Quantity(D("0.010")))
        trades.append(a_fill(web, trade_id=903, order_id=903, realized_pnl=D("6.8"), traded_at=again.now))
        update = an_update(web, order_id=903, status=OrderStatus.FILLED, filled_quantity=D("0.010"), fill=trades[-1])
        again.feed(again.account_update(a_position(0, 0)), replace(update, event_at=again.now))
        again.clock.advance(500)

    def look(quantity: str, price: int) -> None:
        report = a_report(quantity, price, updated_at=trades[-1].traded_at)
        again.snapshot(positions=(report, a_report(position_side=PositionSide.SHORT)), open_orders=protection)
        again.wait(1_000)

    if not is_closed_first:
        look("0.010", 50_320)
    close_by_hand()
    look("0", 0)
    answer_histories(again, trades)
    with read_transaction(open_reader(path)) as connection:
        assert net_since(connection, since_ms=0, is_simulated=False) == D("10.4")  # 10.8 less four fees
    assert not any("whose is" in each["message"] for each in again.journal("alert"))


def answer_histories(harness: Harness, trades: list[Fill]) -> None:
    """Let two minutes pass, in which the exchange answers with its trades and their income."""
    answered = 0
    for _ in range(24):
        harness.wait(5_000)
        for command in harness.sent[answered:]:
            if isinstance(command, FetchFills):
                told = tuple(replace(each, client_order_id="") for each in trades)
                harness.feed(FillsFetched("BTCUSDT", told, harness.now, command.since_ms))
            elif isinstance(command, FetchIncome):
                is_fee = command.type is IncomeType.COMMISSION
                rows = [
                    Income(
                        *(each.trade_id, "BTCUSDT", command.type, "USDT"),
                        *(-each.commission if is_fee else each.realized_pnl, each.traded_at, each.trade_id),
                    )
                    for each in trades
                    if command.type in (IncomeType.COMMISSION, IncomeType.REALIZED_PNL)
                ]
                harness.answer_income(command.type, *rows, symbol=command.symbol)
        answered = len(harness.sent)
