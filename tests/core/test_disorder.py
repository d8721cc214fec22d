"""Whatever order an order's events come in, and however often, they end as if in order (F23)."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core.inbox import TraderEvent
from src.core.order_answered import OrderAnswered
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.orders import OrderRequest
from src.domain.positions import Position
from src.sandbox.event_times import EventTimes
from tests.core.rig import LONG, Rig

D = Decimal
ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
PARTS = (D("0.004"), D("0.003"), D("0.003"))
ORDER_ID = 77
EVENTS = 2 + 2 * len(PARTS)


def true_story(rig: Rig, request: OrderRequest, times: EventTimes) -> list[TraderEvent]:
    """Accepted, filled in three parts: what the stream and the answer tell of it, in the order it happened."""
    accepted = rig.told(request, order_id=ORDER_ID)
    events: list[TraderEvent] = [accepted, OrderAnswered(accepted)]
    filled, price, whole = D(0), request.price, request.quantity
    for number, part in enumerate(PARTS, start=1):
        at, told_at, filled = rig.now + number, times.told_at(rig.now + number), filled + part
        held = Position("BTCUSDT", PositionSide.LONG, filled, price or D(0))
        fill = replace(rig.a_fill(request, part), order_id=ORDER_ID, traded_at=at)
        status = OrderStatus.FILLED if filled == whole else OrderStatus.PARTIALLY_FILLED
        update = rig.told(request, order_id=ORDER_ID, status=status, filled_quantity=filled, fill=fill)
        account = replace(rig.account_update(held), changed_at=at, event_at=told_at)
        events += [account, replace(update, average_price=price or D(0), event_at=told_at)]
    return events


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.permutations(range(EVENTS)),
    again=st.lists(st.integers(0, EVENTS - 1), max_size=6),
    together=st.booleans(),
    seed=st.integers(0, 9),
)
def test_events_in_any_order_and_number_end_as_if_in_order(
    order: list[int], again: list[int], together: bool, seed: int
) -> None:
    with TemporaryDirectory() as home:
        rig = Rig(Path(home) / "bot.db").connect()
        rig.liquidate()
        request = rig.last(ENTRY)
        told = true_story(rig, request, EventTimes(seed))
        rig.clock.advance(10)
        events = [told[place] for place in (*order, *again)]
        for batch in [events] if together else [[event] for event in events]:
            rig.feed(*batch)
        rig.close()

        entry, holding = rig.order(request), rig.desk.books.holdings[LONG]
        assert (entry.status, entry.filled_quantity, entry.booked_quantity) == (OrderStatus.FILLED, *[sum(PARTS)] * 2)
        assert (holding.position.quantity, holding.position.entry_price) == (sum(PARTS), request.price)
        assert len(entry.trade_ids) == len(rig.rows("SELECT 1 FROM fills")) == len(PARTS)
        assert holding.is_ours
        assert len(rig.submitted(STOP)) == 1
