"""Queries return what the store wrote in the expected form and order."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from src.database.db import open_reader, read_transaction
from src.database.queries import account, fills, market, orders
from src.database.repositories import Store
from src.domain.enums import OrderRole, OrderStatus
from src.domain.positions import AccountSummary, Income
from tests.builders import ENTRY_ID, NOW, D, a_fill, a_liquidation, a_request, an_instrument, an_order

MINUTE_MS = 60_000


@pytest.fixture
def reader(path: Path, store: Store) -> Iterator[Connection]:
    """A read transaction as the dashboard opens it; it does not see later commits."""
    with store.transaction():
        fill_in(store)
    with read_transaction(open_reader(path)) as connection:
        yield connection


def fill_in(store: Store) -> None:
    stop = an_order(OrderRole.STOP_LOSS, 1)
    store.insert_liquidations([a_liquidation(), a_liquidation(symbol="ETHUSDT", traded_at=NOW + 1)])
    store.record_order(an_order(order_id=1001, filled_quantity=D("0.01"), status=OrderStatus.FILLED), simulated=False)
    store.record_order(stop, simulated=True)
    store.record_fill(a_fill(trade_id=2, traded_at=NOW + 2))
    store.record_fill(a_fill(trade_id=1, traded_at=NOW + 1))
    store.record_fill(a_fill(a_request(client_order_id="autoclose-1"), trade_id=3, order_id=7, traded_at=NOW + 3))
    store.record_funding(Income(5, "BTCUSDT", "FUNDING_FEE", "USDT", D("-0.25"), NOW))
    store.save_instruments([an_instrument()])
    for number in range(5):
        store.journal("alert" if number % 2 else "order", {"number": number})
    for minute in range(10):
        balance = D(1000 + minute)
        store.save_account(AccountSummary(balance, D(0), balance, balance, D(0), D(0)), NOW + minute * MINUTE_MS)


def test_read_transaction_cannot_write(reader: Connection) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        reader.execute(text("DELETE FROM trades"))


def test_journal_pages(reader: Connection) -> None:
    assert account.journal_bounds(reader) == (1, 5)
    assert [entry.id for entry in account.journal_after(reader, 2, 2)] == [3, 4]
    assert [entry.id for entry in account.latest_journal(reader, 2)] == [4, 5]
    assert [entry.id for entry in account.latest_journal(reader, 5, ("alert",))] == [2, 4]


def test_bounds_of_empty_journal(connection: Connection) -> None:
    assert account.journal_bounds(connection) == (1, 0)


def test_fills_are_chronological_and_have_roles(reader: Connection) -> None:
    found = fills.fills(reader, 0, "BTCUSDT")
    assert [(fill.trade_id, fill.role, fill.is_simulated) for fill in found] == [
        (1, "ENTRY", False),
        (2, "ENTRY", False),
        (3, None, False),
    ]
    assert [fill.trade_id for fill in fills.fills(reader, NOW + 2, "BTCUSDT")] == [2, 3]
    assert fills.fills(reader, 0, "ETHUSDT") == []
    assert [fill.trade_id for fill in fills.fills_of(reader, [ENTRY_ID])] == [1, 2]
    many = [ENTRY_ID, *(f"lh-none{number}-e" for number in range(40_000))]
    assert [fill.trade_id for fill in fills.fills_of(reader, many)] == [1, 2]
    assert [payment.amount for payment in fills.funding(reader, 0, is_simulated=False)] == [D("-0.25")]


def test_bot_is_alive_between_start_and_clean_end(path: Path, store: Store) -> None:
    def is_alive(now_ms: int) -> bool:
        with read_transaction(open_reader(path)) as current:
            return account.is_bot_alive(current, now_ms)

    assert not is_alive(NOW)
    with store.transaction():
        store.set_state("bot", {"heartbeat_at": NOW, "started_at": NOW})
    assert is_alive(NOW + account.HEARTBEAT_TIMEOUT_MS)
    assert not is_alive(NOW + account.HEARTBEAT_TIMEOUT_MS + 1)
    with store.transaction():
        store.begin_run("1.0", 1)
    assert is_alive(NOW)
    with store.transaction():
        store.end_run()
    assert not is_alive(NOW)
    with store.transaction():
        store.set_state("bot", {"heartbeat_at": NOW + 2, "started_at": NOW + 1})
    assert is_alive(NOW + 2)


def test_our_row_id_goes_before_the_exchanges_number(reader: Connection) -> None:
    first, stop = orders.order_group(reader, ENTRY_ID)
    assert (first.role, stop.role) == ("ENTRY", "STOP_LOSS")
    for name, found in ((str(stop.id), stop), ("1001", first), (ENTRY_ID, first)):
        assert orders.find_order(reader, name) == found
    assert orders.find_order(reader, "4711") is None


def test_orders_by_status(reader: Connection) -> None:
    assert [row.role for row in orders.orders(reader, 0, 10)] == ["ENTRY"]
    assert [row.role for row in orders.orders(reader, 0, 10, status="SIMULATED")] == ["STOP_LOSS"]
    assert len(orders.orders(reader, 0, 10, include_all=True)) == 2
    assert orders.open_orders(reader) == []  # the stop is simulated, and the bot trades live
    assert orders.order_totals(reader, 0) == [
        {"symbol": "BTCUSDT", "trade_count": 1, "success_count": 1, "simulated_count": 0}
    ]


def test_thinned_equity_curve_keeps_newest_point(reader: Connection) -> None:
    assert len(account.equity(reader, 0, 100)) == 10
    thinned = account.equity(reader, 0, 3)
    assert len(thinned) <= 4 and thinned[-1].recorded_at == NOW + 9 * MINUTE_MS
    assert account.equity(reader, NOW + 10 * MINUTE_MS, 3) == []
    assert account.highest_equity(reader, 0) == 1009.0


def test_volumes_by_hour_and_symbol(reader: Connection) -> None:
    assert market.volume_by_symbol(reader, 0) == {"BTCUSDT": (1, 60_000), "ETHUSDT": (1, 60_000)}
    (hour,) = market.hourly_volume(reader, 0)
    assert (hour["volume"], hour["liquidations"]) == ("120000.00", 2)


FREQUENT_QUERIES = {
    "SELECT * FROM liquidations WHERE symbol = 'X' AND traded_at >= 5 ORDER BY traded_at DESC": "symbol_traded_at",
    "SELECT * FROM liquidations WHERE traded_at >= 5 ORDER BY traded_at DESC": "traded_at",
    "SELECT * FROM trades WHERE order_status IN ('NEW')": "order_status",
    "SELECT * FROM trades WHERE entry_client_order_id = 'x'": "entry_client_order_id",
    "SELECT * FROM fills WHERE traded_at >= 5": "traded_at",
    "SELECT * FROM journal WHERE id > 5 ORDER BY id": "PRIMARY KEY",
}


@pytest.mark.parametrize(("query", "index"), FREQUENT_QUERIES.items())
def test_frequent_queries_use_indexes(reader: Connection, query: str, index: str) -> None:
    plan = " ".join(str(row.detail) for row in reader.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    assert "SEARCH" in plan and index in plan
