"""From a liquidation to an entry: the verdict is stored with its numbers, the intent before it leaves."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.vitals import Vitals
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, VolumeScope
from src.domain.messages import FetchQuote, OperatorAction, OperatorCommand, SubmitOrder
from src.domain.orders import OrderUpdate
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_order, an_update, some_settings
from tests.core.rig import Rig

D = Decimal
ENTRY = OrderRole.ENTRY


def test_a_liquidation_above_the_threshold_leads_to_an_entry(rig: Rig) -> None:
    rig.liquidate(60_000)
    entry = rig.last(ENTRY)
    assert (entry.side, entry.position_side, entry.type) == (Side.BUY, PositionSide.LONG, OrderType.LIMIT)
    assert (entry.quantity, entry.price) == (D("0.01"), D("50000.0"))
    decision = rig.rows("SELECT * FROM decisions")[0]
    assert (decision["gate"], decision["client_order_id"]) == (None, entry.client_order_id)
    assert (decision["window_volume"], decision["threshold"]) == ("60000.0", "50000")


def test_a_liquidation_below_it_is_refused_with_its_numbers(rig: Rig) -> None:
    assert rig.liquidate(30_000) == []
    decision = rig.rows("SELECT * FROM decisions")[0]
    assert decision["gate"] == Gate.THRESHOLD
    assert json.loads(decision["numbers"]) == {"volume": "30000.0", "threshold": "50000"}
    assert decision["reason"] == "30000 liquidated in the window, 50000 needed"


def test_liquidations_add_up_to_the_threshold(rig: Rig) -> None:
    rig.liquidate(30_000)
    rig.liquidate(30_000)
    assert rig.verdicts() == [Gate.THRESHOLD, None]


def test_a_symbol_that_is_not_configured_is_stored_and_not_judged(rig: Rig) -> None:
    rig.liquidate(60_000, symbol="XYZUSDT")
    assert [row["symbol"] for row in rig.rows("SELECT symbol FROM liquidations")] == ["XYZUSDT"]
    assert rig.verdicts() == []


def test_the_intent_is_committed_when_the_order_is_handed_out(rig: Rig) -> None:
    (command,) = rig.liquidate()
    assert isinstance(command, SubmitOrder)
    row = rig.rows("SELECT * FROM trades")[0]
    assert row["client_order_id"] == command.request.client_order_id
    assert (row["status"], row["sent_at"]) == ("PENDING_NEW", rig.now)
    assert command.not_after == NOW + 5000


def test_volume_acted_upon_does_not_count_again_and_the_side_cools_down(rig: Rig) -> None:
    entry = rig.enter()
    rig.ended(entry)
    rig.clock.advance(1000)
    rig.prices()
    rig.liquidate(30_000)
    rig.liquidate(30_000)
    assert rig.verdicts() == [None, Gate.THRESHOLD, Gate.COOLDOWN]
    rig.clock.advance(60_000)
    rig.prices()
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_the_other_side_is_judged_on_its_own(rig: Rig) -> None:
    rig.enter()
    rig.liquidate(side=Side.BUY)
    short = rig.last(ENTRY)
    assert (short.side, short.position_side) == (Side.SELL, PositionSide.SHORT)


def test_both_sides_count_together_where_the_settings_say_so(path: Path) -> None:
    rig = Rig(path, some_settings({"volume_scope": VolumeScope.BOTH.value})).connect()
    rig.liquidate(30_000, side=Side.BUY)
    rig.liquidate(30_000)
    assert rig.verdicts() == [Gate.THRESHOLD, None]
    again = rig.restart().connect()
    again.liquidate(30_000, side=Side.BUY)
    assert again.verdicts()[-1] == Gate.THRESHOLD


def test_tokens_count_where_the_settings_say_so(path: Path) -> None:
    rig = Rig(path, some_settings({"use_usdt_volume": False}, volume_threshold=2)).connect()
    rig.liquidate(60_000)
    rig.liquidate(60_000)
    assert rig.verdicts() == [Gate.THRESHOLD, None]


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"traded_at": NOW - 6000}, Gate.FRESH_EVENT),
        ({"average_price": D(47_000)}, Gate.PRICE_DEVIATION),
    ],
)
def test_what_is_old_or_far_off_is_counted_and_never_traded(rig: Rig, changes: dict[str, Any], gate: Gate) -> None:
    rig.liquidate(**changes)
    assert rig.verdicts() == [gate]
    assert len(rig.rows("SELECT id FROM liquidations")) == 1


def test_a_stale_book_is_asked_for_once_a_second(rig: Rig) -> None:
    rig.clock.advance(3000)
    rig.feed(a_mark(at=rig.now, received_at=rig.now))
    commands = rig.liquidate() + rig.liquidate()
    assert commands == [FetchQuote("BTCUSDT")]
    assert rig.verdicts() == [Gate.FRESH_QUOTE, Gate.FRESH_QUOTE]
    rig.feed(a_quote(received_at=rig.now))
    rig.liquidate()
    assert rig.verdicts()[-1] is None


def test_a_burst_leads_to_one_entry_per_symbol_and_side(path: Path) -> None:
    document = some_settings().symbols["BTCUSDT"]
    settings = some_settings().model_copy(update={"symbols": {"BTCUSDT": document, "ETHUSDT": document}})
    rig = Rig(path, settings).connect()
    rig.feed(a_mark(symbol="ETHUSDT"), a_quote(symbol="ETHUSDT"))
    sides, symbols = [Side.BUY, Side.SELL], ["BTCUSDT", "ETHUSDT"]
    burst = [a_liquidation(side=sides[i % 2], symbol=symbols[i // 2 % 2]) for i in range(2000)]
    rig.feed(*burst)
    assert len(rig.verdicts()) == 2000
    entered = {(request.symbol, request.side) for request in rig.submitted(ENTRY)}
    assert len(rig.submitted(ENTRY)) == len(entered) == 4


def test_caps_hold_within_one_batch(path: Path) -> None:
    rig = Rig(path, some_settings({"cooldown_sec": 0, "max_open_orders_per_symbol": 200})).connect()
    rig.feed(*[a_liquidation() for _ in range(50)])
    assert len(rig.submitted(ENTRY)) == 4  # 50 of margin each, 200 at most
    assert set(rig.verdicts()) == {None, Gate.POSITION_CAP}


def test_the_total_cap_counts_what_was_decided_and_not_answered(path: Path) -> None:
    limits = {"cooldown_sec": 0, "max_open_orders_per_symbol": 200, "max_total_exposure_usdt": 120}
    rig = Rig(path, some_settings(limits)).connect()
    rig.feed(*[a_liquidation() for _ in range(5)])
    assert rig.verdicts() == [None, None, *[Gate.TOTAL_CAP] * 3]


def test_a_filled_entry_counts_before_its_trades_are_known(path: Path) -> None:
    rig = Rig(path, some_settings({"cooldown_sec": 0}, max_position_usdt=60)).connect()
    entry = rig.enter()
    rig.feed(rig.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price))
    rig.liquidate()
    assert rig.verdicts() == [None, Gate.POSITION_CAP]


def test_one_way_mode_trades_in_one_slot_and_never_against_it(path: Path) -> None:
    rig = Rig(path, some_settings({"hedge_mode": False})).connect()
    entry = rig.enter()
    assert entry.position_side is PositionSide.BOTH
    rig.liquidate(side=Side.BUY)
    assert rig.verdicts() == [None, Gate.POSITION_CAP]
    rig.fill(entry)
    rig.liquidate(side=Side.BUY)
    assert rig.verdicts()[-1] == Gate.POSITION_CAP
    stop = rig.last(OrderRole.STOP_LOSS)
    assert (stop.side, stop.position_side, stop.close_position) == (Side.SELL, PositionSide.BOTH, True)


def stops(count: int) -> list[OrderUpdate]:
    """Stop losses of ours, more than the plan would leave."""
    requests = [an_order(OrderRole.STOP_LOSS, number).request for number in range(100, 100 + count)]
    return [an_update(request, order_id=500 + number) for number, request in enumerate(requests)]


def test_a_heap_of_stops_refuses_entries_and_never_protection(path: Path) -> None:
    rig = Rig(path, some_settings({"cooldown_sec": 0, "max_stop_orders_per_symbol": 2})).connect()
    rig.open_position()
    rig.feed(*stops(3))
    rig.liquidate()
    assert rig.verdicts() == [None, Gate.OPEN_ORDERS]
    reason = rig.rows("SELECT reason FROM decisions ORDER BY liquidation_id")[-1]["reason"]
    assert reason == "4 stop losses stand already, 2 are allowed"
    rig.ended(rig.submitted(OrderRole.STOP_LOSS)[0])
    rig.feed(*[replace(stop, status=OrderStatus.CANCELED) for stop in stops(3)])
    assert len(rig.submitted(OrderRole.STOP_LOSS)) == 2


def test_news_of_the_same_batch_come_before_its_liquidations(rig: Rig) -> None:
    rig.feed(a_liquidation(), OperatorCommand(NOW + 1, OperatorAction.PAUSE, NOW))
    assert rig.verdicts() == [Gate.TRADING_STATE]


def test_a_spent_request_budget_keeps_entries_back(rig: Rig) -> None:
    rig.vitals = Vitals(weight_used=1700, weight_limit=2400)
    rig.liquidate()
    rig.vitals = Vitals(weight_limit=2400, blocked_until=rig.now + 1)
    rig.liquidate()
    assert rig.verdicts() == [Gate.RATE_BUDGET, Gate.RATE_BUDGET]
