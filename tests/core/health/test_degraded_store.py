"""While the database cannot be written, protective orders are sent and entries are not (F43)."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from unittest.mock import Mock

import pytest

from src.core.trading_status import EntryBlock
from src.database import writer
from src.database.intent_log import IntentLog
from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, OrderStatus, TradingState
from tests.builders import some_settings
from tests.core.harness import LONG, Harness

ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
TRY_MS = 1_000


@contextmanager
def locked(harness: Harness) -> Iterator[None]:
    """Another program holds a write lock on the database."""
    with closing(sqlite3.connect(harness.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def logged_orders(harness: Harness) -> list[str]:
    return [intent.order.client_order_id for intent in IntentLog(harness.path).intents()]


def test_stop_is_sent_once_its_intent_is_logged(harness: Harness) -> None:
    entry = harness.enter()
    with locked(harness):
        harness.fill(entry)
        stop = harness.last(STOP)
        assert logged_orders(harness) == [stop.client_order_id]
        assert harness.context.trading_status.has(EntryBlock.DATABASE)
        harness.accept(stop)
        assert logged_orders(harness) == [stop.client_order_id, harness.last(TAKE).client_order_id]
        harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT")
        assert harness.last(CLOSE).client_order_id in logged_orders(harness)
        harness.fill(harness.last(CLOSE))
    assert harness.rows("SELECT 1 FROM fills") == []
    harness.wait(TRY_MS)
    assert logged_orders(harness) == []
    assert [row["order_status"] for row in harness.rows("SELECT order_status FROM trades WHERE role = 'CLOSE'")] == [
        "FILLED"
    ]
    assert len(harness.rows("SELECT 1 FROM fills")) == 2
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert [each["message"] for each in harness.journal("alert")][-1] == (
        "the database can be written again; 3 orders sent meanwhile are now recorded"
    )


def test_no_entry_while_database_is_locked(harness: Harness) -> None:
    with locked(harness):
        harness.liquidate()
    harness.wait(TRY_MS)
    assert harness.submitted() == []
    assert harness.verdicts() == ["trading_state"]


def test_entry_without_committed_intent_is_not_sent(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with monkeypatch.context() as disk:
        disk.setattr(writer, "commit_transaction", Mock(side_effect=full))
        harness.liquidate()
    assert harness.submitted() == []
    assert harness.context.portfolio.open_orders() == []
    harness.wait(TRY_MS)
    assert harness.submitted() == []
    assert [row["order_status"] for row in harness.rows("SELECT order_status FROM trades")] == ["REJECTED"]
    assert harness.verdicts() == [None]


def test_after_commit_callbacks_wait_for_commit(harness: Harness) -> None:
    done: list[str] = []
    with locked(harness):
        harness.audit()
        harness.context.after_commit.append(lambda: done.append("now"))
        harness.audit()
        assert done == []
    harness.wait(TRY_MS)
    assert done == ["now"]


def test_next_run_records_logged_orders_and_reuses_no_id(harness: Harness) -> None:
    entry = harness.enter()
    with locked(harness):
        harness.fill(entry)
        stop = harness.last(STOP)
    again = harness.restart()
    assert again.context.portfolio.orders[stop.client_order_id].unresolved_since is not None
    assert logged_orders(again) == []
    assert "1 orders sent while the database was unavailable are now recorded" in [
        each["message"] for each in again.journal("alert")
    ]
    again.connect(positions=(again.report(),))
    again.feed(again.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity))
    ids = [each.client_order_id for each in again.submitted()]
    assert stop.client_order_id not in ids
    assert len(ids) == len(set(ids))
    again.close()


def test_logged_paper_order_is_not_a_live_order(harness: Harness) -> None:
    entry = harness.enter()
    with locked(harness):
        harness.fill(entry)
        stop = harness.last(STOP)
    other = harness.restart(some_settings({"simulate_only": True}))
    assert stop.client_order_id not in other.context.portfolio.orders
    back = other.restart(harness.settings)
    assert back.context.portfolio.orders[stop.client_order_id].is_open
    back.close()


def test_recorded_order_is_not_recorded_again(harness: Harness) -> None:
    """The process was killed after the commit, before the intent log was cleared."""
    entry = harness.enter()
    with locked(harness):
        harness.fill(entry)
        written = IntentLog(harness.path).intents()
    harness.wait(TRY_MS)
    IntentLog(harness.path).add(written)
    again = harness.restart()
    name = written[0].order.client_order_id
    assert len(again.rows("SELECT 1 FROM trades WHERE client_order_id = :name", name=name)) == 1
    again.close()


def test_stop_is_sent_even_if_it_cannot_be_logged(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = harness.enter()
    monkeypatch.setattr(IntentLog, "add", lambda *_: False)
    with locked(harness):
        harness.fill(entry)
    assert harness.last(STOP).client_order_id in caplog.text
    assert "sent without a record" in caplog.text


def test_slow_disk_warns_once(harness: Harness) -> None:
    harness.context.store._writer.slowest_ms = 1_700
    harness.audit()
    harness.audit()
    messages = [each["message"] for each in harness.journal("alert") if "a database write" in each["message"]]
    assert messages == ["a database write took 1.7 s: check the disk"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot delete open files")
def test_protection_works_without_database(harness: Harness) -> None:
    entry = harness.enter()
    for suffix in ("", "-wal", "-shm"):
        harness.path.with_name(harness.path.name + suffix).unlink()
    harness.fill(entry)
    harness.accept(harness.last(STOP))
    assert harness.position(LONG[1]).is_open
    harness.wait(2 * TRY_MS)
    assert harness.path.exists()
    assert len(harness.rows("SELECT 1 FROM fills")) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot delete open files")
def test_position_is_corrected_without_database(harness: Harness) -> None:
    harness.open_position()
    for suffix in ("", "-wal", "-shm"):
        harness.path.with_name(harness.path.name + suffix).unlink()
    harness.clock.advance(6_000)
    harness.snapshot(positions=(harness.report(quantity=Decimal("0.008")),))
    assert harness.position().quantity == Decimal("0.008")
