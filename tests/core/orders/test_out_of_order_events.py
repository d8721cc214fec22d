"""Events of an order lead to the same result in any order and however often they arrive (F23)."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core.events import OrderResponse, TraderEvent
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.orders import OrderRequest
from src.domain.positions import Position
from src.sandbox.streams.user_events import EventLatency
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
