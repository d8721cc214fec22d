"""Events of an order lead to the same result in any order and however often they arrive (F23)."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core.events import OrderResponse, TraderEvent
from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.orders import OrderRequest
from src.domain.positions import Position
from src.sandbox.streams.user_events import EventLatency
from tests.builders import a_report, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
PARTS = (D("0.004"), D("0.003"), D("0.003"))
ORDER_ID = 77
EVENTS = 2 + 2 * len(PARTS)


def events_in_order(harness: Harness, request: OrderRequest, times: EventLatency) -> list[TraderEvent]:
    """An order accepted and filled in three parts: its stream events and response, in order."""
    accepted = harness.update_for(request, order_id=ORDER_ID)
    events: list[TraderEvent] = [accepted, OrderResponse(accepted)]
    filled, price, whole = D(0), request.price, request.quantity
    for number, part in enumerate(PARTS, start=1):
        at, event_at, filled = harness.now + number, times.event_time(harness.now + number), filled + part
        held = Position("BTCUSDT", PositionSide.LONG, filled, price or D(0))
        fill = replace(harness.a_fill(request, part), order_id=ORDER_ID, traded_at=at)
        status = OrderStatus.FILLED if filled == whole else OrderStatus.PARTIALLY_FILLED
        update = harness.update_for(request, order_id=ORDER_ID, status=status, filled_quantity=filled, fill=fill)
        account = replace(harness.account_update(held), changed_at=at, event_at=event_at)
        events += [account, replace(update, average_price=price or D(0), event_at=event_at)]
    return events


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.permutations(range(EVENTS)),
    again=st.lists(st.integers(0, EVENTS - 1), max_size=6),
    together=st.booleans(),
    seed=st.integers(0, 9),
)
def test_events_in_any_order_give_same_result(order: list[int], again: list[int], together: bool, seed: int) -> None:
    with TemporaryDirectory() as home:
        harness = Harness(Path(home) / "bot.db").connect()
        harness.liquidate()
        request = harness.last(ENTRY)
        in_order = events_in_order(harness, request, EventLatency(seed))
        harness.clock.advance(10)
        events = [in_order[index] for index in (*order, *again)]
        for batch in [events] if together else [[event] for event in events]:
            harness.feed(*batch)
        harness.close()

        entry, tracked = harness.order(request), harness.context.portfolio.tracked_positions[LONG]
        assert (entry.status, entry.filled_quantity, entry.recorded_quantity) == (OrderStatus.FILLED, *[sum(PARTS)] * 2)
        assert (tracked.position.quantity, tracked.position.entry_price) == (sum(PARTS), request.price)
        assert len(entry.trade_ids) == len(harness.rows("SELECT 1 FROM fills")) == len(PARTS)
        assert tracked.is_managed
        assert len(harness.submitted(STOP)) == 1


@pytest.mark.parametrize("hedge_mode", [True, False])
@pytest.mark.parametrize("skew", [-1, 50])
@pytest.mark.parametrize("stamp", ["account event", "trade", "none"])
def test_position_whose_account_event_is_dated_apart_is_closed_once(
    path: Path, hedge_mode: bool, skew: int, stamp: str
) -> None:
    """It was counted twice, the close of the double size was refused, and the second correction halted the bot."""
    harness = Harness(path, some_settings({"hedge_mode": hedge_mode, "cooldown_sec": 0})).connect()
    held, side = D(0), PositionSide.LONG if hedge_mode else PositionSide.BOTH
    for _ in range(2):
        entry = harness.enter()
        harness.clock.advance(1000)
        fill = harness.a_fill(entry)
        account = replace(harness.account_after(fill), changed_at=fill.traded_at + skew)
        harness.feed(account, harness.filled_by(entry, fill))
        held += fill.quantity
        at = {"account event": fill.traded_at + skew, "trade": fill.traded_at, "none": 0}[stamp]
        for role in (OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT):
            harness.accept(harness.last(role))
        for _ in range(7):  # more than a minute: also what is dated before the trade would be believed by then
            harness.clock.advance(10_000)
            harness.prices()
            short = [a_report(position_side=PositionSide.SHORT)] if hedge_mode else []
            report = harness.report(side, quantity=held, updated_at=at)
            open_orders = tuple(harness.update_for(each.request) for each in harness.context.portfolio.open_orders())
            harness.snapshot(positions=(report, *short), open_orders=open_orders)
            harness.audit()
            harness.confirm_cancels()
        assert harness.position(side).quantity == held
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", position_side=side)
    assert [each.quantity for each in harness.submitted(OrderRole.CLOSE)] == [held]
    assert harness.context.trading_status.reason == ""
    harness.close()
