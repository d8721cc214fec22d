"""Features that read the database cope with one that is unreadable, without crashing or guessing (F43)."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from src.core.events import OrderResponse, SettingsChanged
from src.core.health.status import BotInfo
from src.core.trading_status import EntryBlock
from src.domain.commands import OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import OrderRole
from tests.builders import NOW, some_settings
from tests.core.harness import Harness

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
TRY_MS = 1_000


@contextmanager
def gone(harness: Harness) -> Iterator[None]:
    """Delete the database and prevent a new one from being written."""
    obstacle = harness.path.with_name(f"{harness.path.name}.rescued")
    obstacle.mkdir()
    for suffix in ("", "-wal", "-shm"):
        harness.path.with_name(harness.path.name + suffix).unlink()
    yield
    assert harness.context.store.error == "its file was deleted or replaced"
    obstacle.rmdir()


@contextmanager
def unreadable(harness: Harness, words: str) -> Iterator[None]:
    """Make every query that contains these words fail within a transaction."""
    failing = sqlite3.OperationalError("disk I/O error")
    failing.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def fail(*arguments: Any) -> None:
        statement = arguments[2]
        if words in statement:
            raise OperationalError(statement, None, failing)

    event.listen(harness.engine, "before_cursor_execute", fail)
    yield
    event.remove(harness.engine, "before_cursor_execute", fail)


def answers(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("command")]


def test_first_liquidation_gets_verdict_without_database(path: Path) -> None:
    harness = Harness(path).connect()
    with gone(harness):
        harness.liquidate()
        harness.liquidate()
    harness.wait(TRY_MS)
    assert harness.submitted() == []
    assert harness.verdicts() == [Gate.TRADING_STATE] * 2
    assert [row["id"] for row in harness.rows("SELECT id FROM liquidations")] == [1, 2]
    harness.liquidate()
    assert harness.verdicts()[-1] is None
    harness.close()


def test_new_settings_apply_without_database(harness: Harness) -> None:
    harness.open_position()
    with gone(harness):
        harness.feed(SettingsChanged(some_settings(stop_loss_pct=5)))
        harness.audit()
        assert harness.last(STOP).stop_price == Decimal("47500.0")
    harness.wait(TRY_MS)
    assert harness.journal("settings") == [{"message": "settings.json was edited by hand: settings applied"}]


def test_windows_are_refilled_once_database_is_readable(harness: Harness) -> None:
    harness.liquidate(notional=30_000)
    harness.wait(40_000)
    with gone(harness):
        harness.feed(SettingsChanged(some_settings({"volume_window_sec": 120})))
        harness.liquidate(notional=10_000)
    harness.wait(TRY_MS)
    assert harness.submitted() == []
    harness.liquidate(notional=15_000)
    assert harness.verdicts() == [Gate.THRESHOLD, Gate.TRADING_STATE, None]


def live(path: Path) -> Harness:
    harness = Harness(path, identity=BotInfo("1.0", 1, NOW, "mainnet", False, "0xabc")).connect()
    agree(harness)
    return harness


def agree(harness: Harness) -> None:
    with harness.context.store.transaction():
        pending = harness.context.store.get_state("live_consent_pending") or {}
    harness.command(OperatorAction.CONFIRM_LIVE, terms_fingerprint=pending["fingerprint"])


def change(harness: Harness, **symbol_changes: Any) -> None:
    harness.feed(SettingsChanged(some_settings(**symbol_changes)))


def test_confirmed_terms_are_known_without_database(path: Path) -> None:
    harness = live(path)
    with gone(harness):
        change(harness, trade_value_usdt=20)
        assert not harness.context.trading_status.has(EntryBlock.CONSENT)
        change(harness, trade_value_usdt=25)
        assert harness.context.trading_status.has(EntryBlock.CONSENT)
        agree(harness)
        assert not harness.context.trading_status.has(EntryBlock.CONSENT)
        change(harness, trade_value_usdt=25)
        assert not harness.context.trading_status.has(EntryBlock.CONSENT)
    harness.wait(TRY_MS)
    again = harness.restart(some_settings(trade_value_usdt=25)).connect()
    assert not again.context.trading_status.has(EntryBlock.CONSENT)
    again.close()


def test_lock_stays_while_results_are_unreadable(path: Path) -> None:
    harness = Harness(path, some_settings({"max_consecutive_losses": 1})).connect()
    harness.open_position()
    harness.fill(harness.last(STOP), pnl=-10)
    harness.audit()
    assert harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    with gone(harness):
        harness.command(OperatorAction.RESUME)
        assert harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    harness.wait(TRY_MS)
    assert "the lock is released" not in answers(harness)[-1] and "locked until" in answers(harness)[-1]
    harness.command(OperatorAction.RESUME)
    assert not harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    harness.close()


@pytest.mark.parametrize(
    ("limit", "words"), [({"max_consecutive_losses": 1}, "FROM fills"), ({"max_daily_loss_usdt": 1}, "FROM fills")]
)
def test_unreadable_results_block_entries_without_lock(path: Path, limit: dict[str, Any], words: str) -> None:
    harness = Harness(path, some_settings(limit)).connect()
    harness.open_position()
    harness.fill(harness.last(STOP), pnl=-10)
    with unreadable(harness, words):
        harness.audit()
        harness.audit()
        assert not harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
        assert harness.context.trading_status.has(EntryBlock.DATABASE)
    harness.wait(2 * TRY_MS)
    assert harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    assert not harness.context.trading_status.has(EntryBlock.DATABASE)
    harness.close()


@pytest.mark.parametrize("limit", [{"max_consecutive_losses": 1}, {"max_daily_loss_usdt": 1}])
def test_expired_lock_waits_for_the_database(path: Path, limit: dict[str, Any]) -> None:
    harness = Harness(path, some_settings({**limit, "loss_lock_minutes": 1})).connect()
    harness.open_position()
    harness.fill(harness.last(STOP), pnl=-10)
    harness.audit()
    with unreadable(harness, "FROM fills"):
        harness.clock.advance(24 * 3_600_000)
        harness.audit()
        assert harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    harness.wait(2 * TRY_MS)
    assert not harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)
    harness.close()


def test_uncountable_entries_block_new_ones(path: Path) -> None:
    harness = Harness(path, some_settings({"max_entries_per_minute": 5})).connect()
    with unreadable(harness, "count(*)"):
        harness.liquidate()
    harness.wait(2 * TRY_MS)
    assert harness.submitted() == []
    assert harness.verdicts() == [Gate.RATE_BUDGET]
    harness.liquidate()
    assert harness.verdicts()[-1] is None
    harness.close()


def test_silent_user_stream_is_reconnected_at_once(harness: Harness) -> None:
    renewed: list[int] = []
    harness.context.reconnect_user_stream = lambda: renewed.append(harness.now)
    entry = harness.enter()
    harness.clock.advance(2_000)
    with gone(harness):
        harness.feed(OrderResponse(harness.update_for(entry, filled_quantity=entry.quantity)))
        harness.wait(5_000)
        assert renewed == [harness.now]
