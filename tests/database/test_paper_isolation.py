"""Paper and live trading share a database file but no rows."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from src.database.db import open_reader, read_transaction
from src.database.queries import account, fills, orders
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.positions import AccountSummary, Income, Position, PositionRecord, Protection
from tests.builders import NOW, D, a_fill, a_request, an_order

KEY = ("BTCUSDT", PositionSide.LONG)


@pytest.fixture
def paper(engine: Engine, clock: ManualClock) -> Store:
    return Store(engine, clock, is_simulated=True)


@pytest.fixture
def filled(store: Store, paper: Store) -> None:
    """The same fill, position, funding and balance in both modes, under the same ids."""
    for each, pnl in ((store, D(1)), (paper, D(-5))):
        with each.transaction():
            assert each.record_fill(a_fill(a_request(client_order_id="autoclose-1"), realized_pnl=pnl))
            assert each.record_funding(Income(1, "BTCUSDT", "FUNDING_FEE", "USDT", pnl / 10, NOW))
            each.save_position(a_record(pnl))
            each.save_account(AccountSummary(pnl, D(0), pnl, pnl, D(0), D(0)), NOW)


def a_record(quantity: object) -> PositionRecord:
    position = Position(*KEY, D(str(quantity)), D(50_000))
    return PositionRecord(position, None, 5, MarginType.CROSSED, None, None, None, Protection.OK, NOW, NOW)


@pytest.mark.usefixtures("filled")
def test_each_mode_loads_its_own_positions_and_results(store: Store, paper: Store) -> None:
    for each, amount in ((store, D(1)), (paper, D(-5))):
        with each.transaction():
            assert [record.position.quantity for record in each.load_positions()] == [amount]
            assert each.result_since(*KEY, 0)[0] == amount
            assert each.last_funding_at() == NOW


@pytest.mark.usefixtures("filled")
def test_removing_position_keeps_other_mode(store: Store, paper: Store) -> None:
    with store.transaction():
        store.remove_position(*KEY)
    with paper.transaction():
        assert [record.position.quantity for record in paper.load_positions()] == [D(-5)]


@pytest.mark.usefixtures("filled")
def test_simulated_liquidation_is_not_a_live_loss(store: Store) -> None:
    with store.transaction():
        real, on_paper = (store.read(partial(fills.net_since, since_ms=0, is_simulated=mode)) for mode in (False, True))
        exits = store.read(partial(fills.recent_exits, fill_id=0, limit=5, is_simulated=False))
    assert real - on_paper == D("6.6")
    assert exits == [D(1)]


def test_open_orders_load_per_mode(store: Store, paper: Store) -> None:
    with store.transaction():
        store.record_order(an_order(), simulated=False)
    with paper.transaction():
        paper.record_order(an_order(OrderRole.STOP_LOSS, 1), simulated=True)
        assert [order.role for order in paper.load_open_orders()] == [OrderRole.STOP_LOSS]
    with store.transaction():
        assert [order.role for order in store.load_open_orders()] == [OrderRole.ENTRY]


@pytest.mark.usefixtures("filled")
def test_queries_return_rows_of_current_mode(path: Path, store: Store) -> None:
    with store.transaction():
        store.record_order(an_order(OrderRole.STOP_LOSS, 1), simulated=True)
    for is_simulated, amount, open_count in ((False, D(1), 0), (True, D(-5), 1)):
        with store.transaction():
            store.set_state("bot", {"is_simulated": is_simulated})
        with read_transaction(open_reader(path)) as connection:
            assert [row.quantity for row in account.positions(connection)] == [amount]
            assert [row.margin_balance for row in account.equity(connection, 0, 9)] == [amount]
            assert account.highest_equity(connection, 0) == amount
            assert len(orders.open_orders(connection)) == open_count
            assert len(orders.orders_of_position(connection, *KEY, since_ms=0)) == open_count
