"""The trader while its ledger cannot be written: what protects leaves, an entry does not (F43)."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from src.core.standing import Obstacle
from src.database.emergency import EmergencyFile
from src.domain.enums import OrderRole, OrderStatus, TradingState
from src.domain.messages import OperatorAction
from tests.builders import some_settings
from tests.core.rig import LONG, Rig

ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
TRY_MS = 1_000


@contextmanager
def held(rig: Rig) -> Iterator[None]:
    """Another program holds the database for writing."""
    with closing(sqlite3.connect(rig.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def kept(rig: Rig) -> list[str]:
    return [intent.order.client_order_id for intent in EmergencyFile(rig.path).intents()]


def test_a_stop_leaves_once_its_intent_is_in_the_emergency_file(rig: Rig) -> None:
    entry = rig.enter()
    with held(rig):
        rig.fill(entry)
        stop = rig.last(STOP)
        assert kept(rig) == [stop.client_order_id]
        assert rig.desk.standing.has(Obstacle.LEDGER)
        rig.accept(stop)
        assert kept(rig) == [stop.client_order_id, rig.last(TAKE).client_order_id]
        rig.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT")
        assert rig.last(CLOSE).client_order_id in kept(rig)
        rig.fill(rig.last(CLOSE))
    assert rig.rows("SELECT 1 FROM fills") == []
    rig.wait(TRY_MS)
    assert kept(rig) == []
    assert [row["order_status"] for row in rig.rows("SELECT order_status FROM trades WHERE role = 'CLOSE'")] == [
        "FILLED"
    ]
    assert len(rig.rows("SELECT 1 FROM fills")) == 2
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert [each["message"] for each in rig.journal("alert")][-1] == (
        "the database is written again, 3 orders that left without it are booked"
    )


def test_no_entry_is_decided_while_the_ledger_cannot_be_written(rig: Rig) -> None:
    with held(rig):
        rig.liquidate()
    rig.wait(TRY_MS)
    assert rig.submitted() == []
    assert rig.verdicts() == ["trading_state"]


def test_an_entry_whose_intent_could_not_be_committed_does_not_leave(rig: Rig) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    @event.listens_for(rig.engine, "commit", once=True)
    def fail(_: Connection) -> None:
        raise OperationalError("COMMIT", None, full)

    rig.liquidate()
    assert rig.submitted() == []
    assert rig.desk.books.open_orders() == []
    rig.wait(TRY_MS)
    assert rig.submitted() == []
    assert [row["order_status"] for row in rig.rows("SELECT order_status FROM trades")] == ["REJECTED"]
    assert rig.verdicts() == [None]


def test_what_waits_for_a_commit_waits_on(rig: Rig) -> None:
    done: list[str] = []
    with held(rig):
        rig.audit()
        rig.desk.after_commit.append(lambda: done.append("now"))
        rig.audit()
        assert done == []
    rig.wait(TRY_MS)
    assert done == ["now"]


def test_the_next_run_books_what_had_left_and_gives_out_no_id_twice(rig: Rig) -> None:
    entry = rig.enter()
    with held(rig):
        rig.fill(entry)
        stop = rig.last(STOP)
    again = rig.restart()
    assert again.desk.books.orders[stop.client_order_id].unresolved_since is not None
    assert kept(again) == []
    assert "1 orders had left while the database could not be written: they are booked" in [
        each["message"] for each in again.journal("alert")
    ]
    again.connect(positions=(again.report(),))
    again.feed(again.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity))
    ids = [each.client_order_id for each in again.submitted()]
    assert stop.client_order_id not in ids
    assert len(ids) == len(set(ids))
    again.close()


def test_what_had_left_on_paper_is_no_order_of_a_real_account(rig: Rig) -> None:
    entry = rig.enter()
    with held(rig):
        rig.fill(entry)
        stop = rig.last(STOP)
    other = rig.restart(some_settings({"simulate_only": True}))
    assert stop.client_order_id not in other.desk.books.orders
    back = other.restart(rig.settings)
    assert back.desk.books.orders[stop.client_order_id].is_open
    back.close()


def test_what_was_booked_already_is_not_booked_twice(rig: Rig) -> None:
    """Killed after the commit, before the file was cleared."""
    entry = rig.enter()
    with held(rig):
        rig.fill(entry)
        written = EmergencyFile(rig.path).intents()
    rig.wait(TRY_MS)
    EmergencyFile(rig.path).add(written)
    again = rig.restart()
    name = written[0].order.client_order_id
    assert len(again.rows("SELECT 1 FROM trades WHERE client_order_id = :name", name=name)) == 1
    again.close()


def test_a_stop_that_no_disk_can_remember_is_sent_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = rig.enter()
    monkeypatch.setattr(EmergencyFile, "add", lambda *_: False)
    with held(rig):
        rig.fill(entry)
    assert rig.last(STOP).client_order_id in caplog.text
    assert "without any record" in caplog.text


def test_a_slow_disk_is_told_once(rig: Rig) -> None:
    rig.desk.store._pen.slowest_ms = 1_700
    rig.audit()
    rig.audit()
    told = [each["message"] for each in rig.journal("alert") if "for a write" in each["message"]]
    assert told == ["the database took 1.7 s for a write: look after its disk"]


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")
def test_without_any_database_protection_goes_on(rig: Rig) -> None:
    entry = rig.enter()
    for suffix in ("", "-wal", "-shm"):
        rig.path.with_name(rig.path.name + suffix).unlink()
    rig.fill(entry)
    rig.accept(rig.last(STOP))
    assert rig.position(LONG[1]).is_open
    rig.wait(2 * TRY_MS)
    assert rig.path.exists()
    assert len(rig.rows("SELECT 1 FROM fills")) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")
def test_without_any_database_a_position_that_differs_is_taken_over(rig: Rig) -> None:
    rig.open_position()
    for suffix in ("", "-wal", "-shm"):
        rig.path.with_name(rig.path.name + suffix).unlink()
    rig.clock.advance(6_000)
    rig.snapshot(positions=(rig.report(quantity=Decimal("0.008")),))
    assert rig.position().quantity == Decimal("0.008")
