"""The log stays short under a busy writer and open readers; a pruned database keeps its size."""

from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from src.database.db import data_version, open_reader, read_transaction
from src.database.repositories import Store
from src.database.tables.market import Cutoffs
from src.domain.clock import ManualClock
from src.domain.enums import OrderRole, OrderStatus
from tests.builders import a_fill, a_liquidation, an_order

MEGABYTE = 1024 * 1024
MAX_LOG_SIZE = 8 * MEGABYTE
DAY_MS = 24 * 3_600_000


def log_size(path: Path) -> int:
    return path.with_name("bot.db-wal").stat().st_size


def write(store: Store, number: int) -> None:
    with store.transaction():
        store.journal("row", {"number": number, "text": "x" * 2_000})
        store.set_state("bot", {"number": number})


def test_wal_stays_short_while_dashboard_reads(store: Store, path: Path) -> None:
    """Eight readers with open connections, as for the dashboard's streams, and queries in between."""
    readers = [open_reader(path) for _ in range(8)]
    longest = 0
    with closing(readers[0].connect()) as follower:
        for number in range(2_500):
            write(store, number)
            if number % 20 == 0:
                data_version(follower)
                with read_transaction(readers[number % 8]) as connection:
                    connection.execute(text("SELECT count(*) FROM journal")).scalar_one()
            if number % 200 == 199:
                store.checkpoint()
            longest = max(longest, log_size(path))
    assert longest < MAX_LOG_SIZE
    store.checkpoint()
    assert log_size(path) == 0


def test_wal_is_truncated_after_reader_closes(store: Store, path: Path) -> None:
    engine = open_reader(path)
    with read_transaction(engine) as connection:
        connection.execute(text("SELECT count(*) FROM journal")).scalar_one()
        for number in range(1_500):
            write(store, number)
        store.checkpoint()
        assert log_size(path) > 2 * MEGABYTE
    store.checkpoint()
    assert log_size(path) == 0


def test_failed_checkpoint_is_retried_later(store: Store, engine: Engine, path: Path) -> None:
    write(store, 1)
    with closing(engine.raw_connection()) as raw, suppress(Exception):
        raw.cursor().execute("PRAGMA query_only=ON")
    store.checkpoint()
    with closing(engine.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA query_only=OFF")
    store.checkpoint()
    assert log_size(path) == 0


@pytest.mark.slow
def test_pruned_database_keeps_its_size_and_every_order(store: Store, path: Path, clock: ManualClock) -> None:
    """Sixty days with forty liquidations per quarter of an hour and regular pruning; one order stays open."""
    with store.transaction():
        store.record_order(an_order(), simulated=False)
    sizes: list[int] = []
    for day in range(60):
        for quarter in range(96):
            burst = [a_liquidation(traded_at=clock.now_ms() + each, event_at=0, received_at=0) for each in range(40)]
            with store.transaction():
                store.insert_liquidations(burst)
                for _ in range(4):
                    store.journal("row", {"text": "x" * 300})
                if quarter == 0:
                    done = an_order(OrderRole.CLOSE, day + 1, OrderStatus.FILLED)
                    store.record_order(done, simulated=False)
                    store.record_fill(a_fill(done.request, trade_id=day + 1, traded_at=clock.now_ms()))
                month_ago = clock.now_ms() - 30 * DAY_MS
                store.maintenance.prune(Cutoffs(month_ago, month_ago, month_ago))
            clock.advance(DAY_MS // 96)
        store.checkpoint()
        sizes.append(path.stat().st_size)
    assert max(sizes[31:]) < 1.1 * sizes[31]
    with store.transaction():
        assert [each.client_order_id for each in store.load_open_orders()] == [an_order().client_order_id]
    counts = {name: rows(path, f"SELECT count(*) FROM {name}") for name in ("trades", "fills", "liquidations")}
    assert counts["trades"] == 61
    assert counts["fills"] == 60
    assert counts["liquidations"] <= 31 * 96 * 40


def rows(path: Path, query: str) -> Any:
    with read_transaction(open_reader(path)) as connection:
        return connection.execute(text(query)).scalar_one()
