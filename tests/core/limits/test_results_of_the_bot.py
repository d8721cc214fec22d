"""Results, locks and statistics count what the bot traded; what a person traded is shown as theirs."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from src.domain.decisions import Gate
from src.domain.enums import IncomeType, OrderRole, OrderStatus, PositionSide, Side
from src.domain.instrument import Price, Quantity
from src.domain.positions import Income
from tests.builders import a_fill, a_report, a_request, an_update, some_settings
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
