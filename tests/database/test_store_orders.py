"""Orders, their lives, their fills: written in the transaction that decides, read back as they were."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.errors import InvariantError
from src.domain.orders import Order
from tests.builders import ENTRY_ID, NOW, D, a_fill, a_filled_update, an_order, an_update
from tests.database.reading import rows

DAY_MS = 86_400_000


def record(store: Store, *orders: Order, simulated: bool = False) -> None:
    with store.transaction():
        for order in orders:
            store.record_order(order, simulated=simulated)


def reloaded(store: Store, order: Order) -> Order | None:
    with store.transaction():
        return store.load_order(order.client_order_id)


def open_ids(store: Store) -> list[str]:
    with store.transaction():
        return [order.client_order_id for order in store.load_open_orders()]


@pytest.mark.parametrize(
    "order",
    [
        an_order(),
        an_order(OrderRole.STOP_LOSS, status=OrderStatus.PENDING_NEW, order_id=None),
        an_order(OrderRole.CLOSE, 7, request={"reduce_only": True, "position_side": PositionSide.BOTH}),
        an_order(order_id=2**62, filled_quantity=D("0.004"), average_price=D("49999.95"), event_at=NOW + 5),
        an_order(status=OrderStatus.PENDING_CANCEL, reason="no answer", unresolved_since=NOW + 1),
    ],
)
def test_an_order_comes_back_as_it_went(store: Store, order: Order) -> None:
    record(store, order)
    assert reloaded(store, order) == order


def test_an_unknown_order_is_none(store: Store) -> None:
    assert reloaded(store, an_order()) is None


def test_writing_needs_a_transaction(store: Store) -> None:
    with pytest.raises(InvariantError):
        store.record_order(an_order(), simulated=False)
    with store.transaction(), pytest.raises(InvariantError), store.transaction():
        pass


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.record_order(an_order(), simulated=False)
        raise RuntimeError("the trader died here")
    assert reloaded(store, an_order()) is None


def test_a_client_order_id_is_used_once(store: Store) -> None:
    record(store, an_order())
    with pytest.raises(IntegrityError):
        record(store, an_order())


def test_a_status_the_table_does_not_know_is_refused(store: Store, engine: Engine) -> None:
    record(store, an_order())
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trades SET order_status = 'UNKNOWN'")


def test_the_life_of_an_order_is_kept_line_by_line(store: Store, engine: Engine, clock: ManualClock) -> None:
    order = an_order(status=OrderStatus.PENDING_NEW)
    record(store, order)
    for update in (an_update(), an_update(event_at=NOW + 1), a_filled_update()):
        clock.advance(10)
        order.apply(update)
        with store.transaction():
            store.update_order(order, "stream")
    assert rows(engine, "SELECT status, source, at FROM order_status ORDER BY id") == [
        ("PENDING_NEW", "intent", NOW),
        ("NEW", "stream", NOW + 10),
        ("FILLED", "stream", NOW + 30),
    ]


def test_a_simulated_order_shows_it_for_life(store: Store, engine: Engine) -> None:
    order = an_order()
    record(store, order, simulated=True)
    order.apply(a_filled_update())
    with store.transaction():
        store.update_order(order, "paper")
    assert rows(engine, "SELECT status, order_status FROM trades") == [("SIMULATED", "FILLED")]


def test_protection_is_tied_to_its_entry(store: Store, engine: Engine) -> None:
    record(store, an_order(), an_order(OrderRole.STOP_LOSS, 1), an_order(OrderRole.TAKE_PROFIT, 2))
    found = rows(engine, "SELECT main_order_id, role FROM order_relationships ORDER BY related_order_id")
    assert found == [(ENTRY_ID, "STOP_LOSS"), (ENTRY_ID, "TAKE_PROFIT")]


def test_only_open_orders_are_taken_up_again(store: Store) -> None:
    orders = [an_order(number=number, status=status) for number, status in enumerate(OrderStatus, start=1)]
    record(store, *orders)
    assert open_ids(store) == [order.client_order_id for order in orders if order.is_open]


def test_an_ended_order_whose_fills_are_missing_is_taken_up_too(store: Store) -> None:
    record(store, an_order(status=OrderStatus.FILLED, order_id=1001, filled_quantity=D("0.01")))
    assert open_ids(store) == [ENTRY_ID]
    with store.transaction():
        store.record_fill(a_fill(quantity=D("0.01")))
    assert open_ids(store) == []


def test_fills_too_old_to_be_told_are_waited_for_no_more(store: Store, clock: ManualClock) -> None:
    record(store, an_order(status=OrderStatus.FILLED, order_id=1001, filled_quantity=D("0.01")))
    clock.advance(8 * DAY_MS)
    assert open_ids(store) == []


def test_a_fill_counts_once_and_adds_up(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    first = a_fill(trade_id=1, quantity=D("0.004"), realized_pnl=D("0.1"), commission=D("0.01"))
    second = a_fill(trade_id=2, quantity=D("0.006"), realized_pnl=D("0.2"), commission=D("0.02"))
    with store.transaction():
        assert [store.record_fill(each) for each in (first, second, first)] == [True, True, False]
    assert rows(engine, "SELECT realized_pnl, commission, commission_asset FROM trades") == [("0.3", "0.03", "USDT")]
    order = reloaded(store, an_order())
    assert order is not None
    assert (order.trade_ids, order.booked_quantity) == ({1, 2}, D("0.010"))


def test_a_trade_list_names_its_order_by_number(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(replace(a_fill(commission=D("0.5")), client_order_id=""))
    assert rows(engine, "SELECT commission FROM trades") == [("0.5",)]
    assert rows(engine, "SELECT client_order_id FROM fills") == [(ENTRY_ID,)]


def test_the_same_number_in_another_symbol_is_another_order(store: Store, engine: Engine) -> None:
    other = an_order(number=9, order_id=1001, request={"symbol": "ETHUSDT"})
    record(store, other, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(replace(a_fill(commission=D("0.5")), client_order_id=""))
    assert rows(engine, "SELECT symbol, commission FROM trades ORDER BY id") == [("ETHUSDT", "0"), ("BTCUSDT", "0.5")]


def test_fees_in_two_assets_are_not_added_up(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(a_fill(trade_id=1, commission=D("0.5")))
        store.record_fill(a_fill(trade_id=2, commission=D(7), commission_asset="ASTER"))
    assert rows(engine, "SELECT commission, commission_asset FROM trades") == [("0.5", "USDT")]
    assert rows(engine, "SELECT commission_asset FROM fills ORDER BY trade_id") == [("USDT",), ("ASTER",)]


def test_a_liquidation_by_the_exchange_is_booked_without_an_order(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.record_fill(replace(a_fill(), client_order_id="autoclose-1"))
    assert rows(engine, "SELECT client_order_id FROM fills") == [("autoclose-1",)]
