"""From a liquidation to an entry: the decision is stored, and the order is recorded before it is sent."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from src.core.events import ExchangeHealth
from src.domain.commands import FetchQuote, OperatorAction, OperatorCommand, SubmitOrder
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce, VolumeScope
from src.domain.orders import OrderUpdate
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_update, some_settings
from tests.core.harness import Harness
from tests.engine.harness import EngineHarness

D = Decimal
ENTRY = OrderRole.ENTRY


def test_liquidation_above_threshold_places_entry(harness: Harness) -> None:
    harness.liquidate(60_000)
    entry = harness.last(ENTRY)
    assert (entry.side, entry.position_side, entry.type) == (Side.BUY, PositionSide.LONG, OrderType.LIMIT)
    assert (entry.quantity, entry.price) == (D("0.01"), D("50000.0"))
    decision = harness.rows("SELECT * FROM decisions")[0]
    assert (decision["gate"], decision["client_order_id"]) == (None, entry.client_order_id)
    assert (decision["window_volume"], decision["threshold"]) == ("60000.0", "50000")


def test_liquidation_below_threshold_is_skipped(harness: Harness) -> None:
    assert harness.liquidate(30_000) == []
    decision = harness.rows("SELECT * FROM decisions")[0]
    assert decision["gate"] == Gate.THRESHOLD
    assert json.loads(decision["numbers"]) == {"volume": "30000.0", "threshold": "50000"}
    assert decision["reason"] == "volume 30000 in the window is below the threshold 50000"


def test_liquidations_add_up_to_threshold(harness: Harness) -> None:
    harness.liquidate(30_000)
    harness.liquidate(30_000)
    assert harness.verdicts() == [Gate.THRESHOLD, None]


def test_unconfigured_symbol_is_stored_not_evaluated(harness: Harness) -> None:
    harness.liquidate(60_000, symbol="XYZUSDT")
    assert [row["symbol"] for row in harness.rows("SELECT symbol FROM liquidations")] == ["XYZUSDT"]
    assert harness.verdicts() == []


def test_intent_is_committed_before_order_leaves(harness: Harness) -> None:
    (command,) = harness.liquidate()
    assert isinstance(command, SubmitOrder)
    row = harness.rows("SELECT * FROM trades")[0]
    assert row["client_order_id"] == command.request.client_order_id
    assert (row["status"], row["sent_at"]) == ("PENDING_NEW", harness.now)
    assert command.not_after == NOW + 5000


def test_traded_volume_is_consumed_and_side_cools_down(harness: Harness) -> None:
    entry = harness.enter()
    harness.end_order(entry)
    harness.clock.advance(1000)
    harness.prices()
    harness.liquidate(30_000)
    harness.liquidate(30_000)
    assert harness.verdicts() == [None, Gate.THRESHOLD, Gate.COOLDOWN]
    harness.clock.advance(60_000)
    harness.prices()
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_other_side_is_evaluated_separately(harness: Harness) -> None:
    harness.enter()
    harness.liquidate(side=Side.BUY)
    short = harness.last(ENTRY)
    assert (short.side, short.position_side) == (Side.SELL, PositionSide.SHORT)


def test_volume_scope_both_counts_both_sides(path: Path) -> None:
    harness = Harness(path, some_settings({"volume_scope": VolumeScope.BOTH.value})).connect()
    harness.liquidate(30_000, side=Side.BUY)
    harness.liquidate(30_000)
    assert harness.verdicts() == [Gate.THRESHOLD, None]
    again = harness.restart().connect()
    again.liquidate(30_000, side=Side.BUY)
    assert again.verdicts()[-1] == Gate.THRESHOLD


def test_volume_can_be_counted_in_tokens(path: Path) -> None:
    harness = Harness(path, some_settings({"use_usdt_volume": False}, volume_threshold=2)).connect()
    harness.liquidate(60_000)
    harness.liquidate(60_000)
    assert harness.verdicts() == [Gate.THRESHOLD, None]


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"traded_at": NOW - 6000}, Gate.FRESH_EVENT),
        ({"average_price": D(47_000)}, Gate.PRICE_DEVIATION),
    ],
)
def test_stale_or_deviating_liquidation_is_counted_not_traded(
    harness: Harness, changes: dict[str, Any], gate: Gate
) -> None:
    harness.liquidate(**changes)
    assert harness.verdicts() == [gate]
    assert len(harness.rows("SELECT id FROM liquidations")) == 1


def test_stale_quote_is_requested_once_a_second(harness: Harness) -> None:
    harness.clock.advance(3000)
    harness.feed(a_mark(at=harness.now, received_at=harness.now))
    commands = harness.liquidate() + harness.liquidate()
    assert commands == [FetchQuote("BTCUSDT")]
    assert harness.verdicts() == [Gate.FRESH_QUOTE, Gate.FRESH_QUOTE]
    harness.feed(a_quote(received_at=harness.now))
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_burst_places_one_entry_per_symbol_and_side(path: Path) -> None:
    document = some_settings().symbols["BTCUSDT"]
    settings = some_settings().model_copy(update={"symbols": {"BTCUSDT": document, "ETHUSDT": document}})
    harness = Harness(path, settings).connect()
    harness.feed(a_mark(symbol="ETHUSDT"), a_quote(symbol="ETHUSDT"))
    sides, symbols = [Side.BUY, Side.SELL], ["BTCUSDT", "ETHUSDT"]
    burst = [a_liquidation(side=sides[i % 2], symbol=symbols[i // 2 % 2]) for i in range(2000)]
    harness.feed(*burst)
    assert len(harness.verdicts()) == 2000
    entered = {(request.symbol, request.side) for request in harness.submitted(ENTRY)}
    assert len(harness.submitted(ENTRY)) == len(entered) == 4


def test_caps_hold_within_one_batch(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0, "max_open_orders_per_symbol": 200})).connect()
    harness.feed(*[a_liquidation() for _ in range(50)])
    assert len(harness.submitted(ENTRY)) == 4  # 50 of margin each, 200 at most
    assert set(harness.verdicts()) == {None, Gate.POSITION_CAP}


def test_total_cap_counts_unanswered_entries(path: Path) -> None:
    limits = {"cooldown_sec": 0, "max_open_orders_per_symbol": 200, "max_total_exposure_usdt": 120}
    harness = Harness(path, some_settings(limits)).connect()
    harness.feed(*[a_liquidation() for _ in range(5)])
    assert harness.verdicts() == [None, None, *[Gate.TOTAL_CAP] * 3]


def test_filled_entry_counts_before_its_fills(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0}, max_position_usdt=60)).connect()
    entry = harness.enter()
    harness.feed(
        harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    )
    harness.liquidate()
    assert harness.verdicts() == [None, Gate.POSITION_CAP]


def test_one_way_mode_never_trades_against_position(path: Path) -> None:
    harness = Harness(path, some_settings({"hedge_mode": False})).connect()
    entry = harness.enter()
    assert entry.position_side is PositionSide.BOTH
    harness.liquidate(side=Side.BUY)
    assert harness.verdicts() == [None, Gate.POSITION_CAP]
    harness.fill(entry)
    harness.liquidate(side=Side.BUY)
    assert harness.verdicts()[-1] == Gate.POSITION_CAP
    stop = harness.last(OrderRole.STOP_LOSS)
    assert (stop.side, stop.position_side, stop.close_position) == (Side.SELL, PositionSide.BOTH, True)


def test_stop_placed_by_hand_blocks_entries_of_its_symbol(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    harness.feed(an_update(replace(harness.last(OrderRole.STOP_LOSS), client_order_id="web_1"), order_id=500))
    harness.liquidate()
    assert harness.verdicts() == [None, Gate.OPEN_ORDERS]
    reason = harness.rows("SELECT reason FROM decisions ORDER BY liquidation_id")[-1]["reason"]
    assert reason == "external orders or position on this symbol"


def test_other_events_are_applied_before_liquidations(harness: Harness) -> None:
    harness.feed(a_liquidation(), OperatorCommand(NOW + 1, OperatorAction.PAUSE, NOW))
    assert harness.verdicts() == [Gate.TRADING_STATE]


def test_exhausted_request_budget_blocks_entries(harness: Harness) -> None:
    harness.exchange_health = ExchangeHealth(has_entry_budget=False)
    harness.liquidate()
    assert harness.verdicts() == [Gate.RATE_BUDGET]


@pytest.mark.parametrize("traded_at", [NOW + 1_001, NOW + 86_400_000, NOW * 1000])
def test_future_dated_liquidation_is_stored_and_neither_opens_nor_empties_a_window(path: Path, traded_at: int) -> None:
    """The last case is a time in microseconds."""
    harness = Harness(path).connect()
    harness.liquidate(60_000, traded_at=traded_at)
    assert harness.verdicts() == [Gate.FRESH_EVENT]
    assert [row["traded_at"] for row in harness.rows("SELECT traded_at FROM liquidations")] == [traded_at]
    reason = harness.rows("SELECT reason FROM decisions")[0]["reason"]
    assert reason == "the liquidation is dated in the future: it is stored, but neither counted nor traded"
    harness.liquidate(30_000)
    assert harness.verdicts()[-1] == Gate.THRESHOLD  # its volume does not count
    harness.liquidate(30_000)
    assert harness.verdicts()[-1] is None  # and the others are still in the window


def test_liquidation_within_the_clock_tolerance_is_traded(harness: Harness) -> None:
    harness.liquidate(traded_at=NOW + 1_000)
    assert harness.verdicts() == [None]


@pytest.mark.parametrize("days", [0, 1])
def test_future_dated_liquidation_does_not_fill_a_window_at_start(path: Path, days: int) -> None:
    """Not even at the start on the day it is dated to."""
    harness = Harness(path).connect()
    harness.liquidate(60_000, traded_at=NOW + 86_400_000)
    harness.clock.advance(days * 86_400_000)
    again = harness.restart().connect()
    again.liquidate(30_000)
    again.liquidate(30_000)
    assert again.verdicts()[1:] == [Gate.THRESHOLD, None]
    assert [alert for alert in again.journal("alert") if "in the window" in alert["message"]] == []


def test_cooldown_after_a_future_dated_entry_ends(path: Path) -> None:
    """A version before this rule has traded on such a liquidation."""
    harness = Harness(path).connect()
    harness.liquidate()
    harness.end_order(harness.last(ENTRY))
    with harness.engine.begin() as connection:
        connection.execute(text("UPDATE liquidations SET traded_at = traded_at + 86400000"))
    harness.clock.advance(30_000)
    again = harness.restart().connect()
    again.liquidate()
    assert again.verdicts()[-1] == Gate.COOLDOWN
    again.clock.advance(31_000)
    again.prices()
    again.liquidate()
    assert again.verdicts()[-1] is None


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("spread", ["0.1", "0.2", "0.5", "2", "10"])
def test_ioc_and_fok_entries_fill_on_the_exchange(path: Path, time_in_force: str, side: Side, spread: str) -> None:
    harness = Harness(path, some_settings({"time_in_force": time_in_force})).connect()
    exchange = EngineHarness(hedge_mode=True)
    bid, ask = D(50_000), D(50_000) + D(spread)
    exchange.quote(bid, ask)
    harness.feed(a_quote(bid, ask, at=harness.now, received_at=harness.now))
    harness.liquidate(side=side.opposite)
    entry = harness.last(ENTRY)
    assert (entry.side, entry.time_in_force) == (side, TimeInForce(time_in_force))
    final = [event for event in exchange.engine.submit(entry, exchange.tick()) if isinstance(event, OrderUpdate)][-1]
    assert (final.status, final.average_price) == (OrderStatus.FILLED, ask if side is Side.BUY else bid)
