"""While the database fails, writes are deferred and executed later, once and in order (F43)."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from src.database.db import open_reader, quick_check, read_transaction
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.enums import OrderStatus
from src.domain.errors import InvariantError
from tests.builders import a_fill, a_liquidation, an_order, an_update

TRY_MS = 1_000


@contextmanager
def locked_by_another_program(path: Path) -> Iterator[None]:
    """Another program has locked the database for writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def rows(path: Path, query: str) -> list[Any]:
    with read_transaction(open_reader(path)) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def write(store: Store, number: int) -> None:
    with store.transaction():
        store.journal("row", {"number": number})


NUMBERS = "SELECT json_extract(payload, '$.number') FROM journal ORDER BY id"


def test_writes_to_locked_database_are_replayed_in_order(store: Store, path: Path, clock: ManualClock) -> None:
    write(store, 0)
    with locked_by_another_program(path):
        for number in (1, 2, 3):
            write(store, number)
        assert store.error == "another program has locked it"
        assert rows(path, NUMBERS) == [(0,)]
    clock.advance(TRY_MS)
    write(store, 4)
    assert store.error is None
    assert rows(path, NUMBERS) == [(0,), (1,), (2,), (3,), (4,)]


def test_retries_once_per_second(store: Store, path: Path, clock: ManualClock) -> None:
    with locked_by_another_program(path):
        write(store, 1)
    write(store, 2)
    assert store.error is not None
    clock.advance(TRY_MS)
    write(store, 3)
    assert store.error is None


def test_pending_order_is_known_and_fills_count_once(store: Store, path: Path, clock: ManualClock) -> None:
    order, fill = an_order(), a_fill(an_order().request)
    with locked_by_another_program(path), store.transaction():
        store.record_order(order, simulated=False)
        order.apply(an_update(order.request, status=OrderStatus.FILLED, filled_quantity=fill.quantity))
        store.update_order(order, "stream")
        assert store.record_fill(fill)
        assert not store.record_fill(fill)
        found = store.load_order(order.client_order_id)
        assert found is not None and found.status is OrderStatus.FILLED
        assert store.load_order("lh-000000-e") is None
    clock.advance(TRY_MS)
    write(store, 1)
    assert rows(path, "SELECT order_status FROM trades") == [("FILLED",)]
    assert rows(path, "SELECT status FROM order_status ORDER BY id") == [("NEW",), ("FILLED",)]
    assert rows(path, "SELECT trade_id FROM fills") == [(fill.trade_id,)]


def test_fill_recorded_before_failure_is_not_recorded_again(store: Store, path: Path) -> None:
    fill = a_fill(an_order().request)
    with store.transaction():
        assert store.record_fill(fill)
    with locked_by_another_program(path), store.transaction():
        assert not store.record_fill(fill)


def test_deferred_liquidations_keep_their_ids(store: Store, path: Path, clock: ManualClock) -> None:
    with store.transaction():
        assert store.insert_liquidations([a_liquidation(1000)]) == [1]
    with locked_by_another_program(path), store.transaction():
        assert store.insert_liquidations([a_liquidation(2000), a_liquidation(3000)]) == [2, 3]
    with store.transaction():
        assert store.insert_liquidations([a_liquidation(4000)]) == [4]
    clock.advance(TRY_MS)
    write(store, 1)
    assert [row[0] for row in rows(path, "SELECT id FROM liquidations ORDER BY id")] == [1, 2, 3, 4]


def test_only_last_state_value_is_written(store: Store, path: Path, clock: ManualClock) -> None:
    with locked_by_another_program(path):
        for number in range(5):
            with store.transaction():
                store.set_state("bot", {"number": number})
    clock.advance(TRY_MS)
    write(store, 1)
    assert rows(path, "SELECT json_extract(value, '$.number') FROM bot_state WHERE key = 'bot'") == [(4,)]


def test_excess_history_is_dropped_but_orders_are_kept(
    store: Store, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.database.writer._MAX_HISTORY", 2)
    with locked_by_another_program(path):
        for number in range(5):
            write(store, number)
        with store.transaction():
            store.record_order(an_order(), simulated=False)
    assert store._writer.dropped == 3
    clock.advance(TRY_MS)
    write(store, 9)
    assert rows(path, NUMBERS) == [(0,), (1,), (9,)]
    assert len(rows(path, "SELECT 1 FROM trades")) == 1


def test_read_only_database_defers_writes(store: Store, engine: Engine, path: Path, clock: ManualClock) -> None:
    set_query_only(engine, "ON")
    write(store, 1)
    assert store.error == "it is read-only"
    set_query_only(engine, "OFF")
    clock.advance(TRY_MS)
    write(store, 2)
    assert rows(path, NUMBERS) == [(1,), (2,)]


def set_query_only(engine: Engine, word: str) -> None:
    with closing(engine.raw_connection()) as raw:
        raw.cursor().execute(f"PRAGMA query_only={word}")


@pytest.mark.parametrize("gone", [("", "-wal", "-shm"), ("",), ("-wal",)])
@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")
def test_deleted_file_is_restored_with_all_rows(
    store: Store, path: Path, clock: ManualClock, gone: tuple[str, ...]
) -> None:
    write(store, 1)
    write(store, 2)
    for suffix in gone:
        path.with_name(path.name + suffix).unlink()
    write(store, 3)
    assert store.error == "its file was deleted or replaced"
    write(store, 4)
    clock.advance(TRY_MS)
    write(store, 5)
    assert store.error is None
    assert rows(path, NUMBERS) == [(1,), (2,), (3,), (4,), (5,)]
    write(store, 6)
    assert store.error is None
    assert quick_check(path) is None
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows replaces no file that is open")
def test_replacement_file_is_quarantined(store: Store, path: Path, clock: ManualClock) -> None:
    write(store, 1)
    path.with_name("old").write_bytes(b"an old backup")
    path.with_name("old").replace(path)
    write(store, 2)
    clock.advance(TRY_MS)
    write(store, 3)
    assert rows(path, NUMBERS) == [(1,), (2,), (3,)]
    [aside] = path.parent.glob("bot.db.replaced-*[0-9]")
    assert aside.read_bytes() == b"an old backup"


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no directory that is in use")
def test_deleted_directory_is_recreated(store: Store, path: Path, clock: ManualClock) -> None:
    write(store, 1)
    for each in path.parent.iterdir():
        each.unlink()
    path.parent.rmdir()
    write(store, 2)
    clock.advance(TRY_MS)
    write(store, 3)
    assert rows(path, NUMBERS) == [(1,), (2,), (3,)]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_failed_restore_is_retried(store: Store, path: Path, clock: ManualClock) -> None:
    if os.name == "nt":
        return
    write(store, 1)
    path.unlink()
    obstacle = path.with_name("bot.db.rescued")
    obstacle.mkdir()
    write(store, 2)
    for _ in range(2):
        clock.advance(TRY_MS)
        write(store, 3)
        assert store.error == "its file was deleted or replaced"
    obstacle.rmdir()
    clock.advance(TRY_MS)
    write(store, 4)
    assert rows(path, NUMBERS) == [(1,), (2,), (3,), (3,), (4,)]


def test_programming_error_is_raised_and_rolled_back(store: Store, path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.transaction():
        store.journal("row", {"number": 1})
        store.record_order(an_order(), simulated=False)
        store.record_order(an_order(), simulated=False)
    with pytest.raises(OperationalError, match="no such table"), store.transaction():
        store._writer.write(lambda connection: connection.execute(text("DELETE FROM nowhere")))
    write(store, 2)
    assert rows(path, NUMBERS) == [(2,)]
    assert rows(path, "SELECT 1 FROM trades") == []


def test_default_is_returned_when_database_is_unreadable(store: Store, path: Path) -> None:
    if os.name == "nt":
        return
    with store.transaction():
        store.record_order(an_order(), simulated=False)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    with store.transaction():
        assert store.load_order(an_order().client_order_id) is None
        assert store.last_funding_at() is None


def test_slowest_write_is_reported_once(store: Store) -> None:
    write(store, 1)
    store._writer.slowest_ms = 1_500
    assert store.take_slowest_ms() == 1_500
    assert store.take_slowest_ms() == 0


def test_write_outside_transaction_raises(store: Store) -> None:
    with pytest.raises(InvariantError):
        store.journal("row", {})
    with store.transaction(), pytest.raises(InvariantError), store.transaction():
        pass
