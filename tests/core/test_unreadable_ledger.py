"""The ledger can neither be written nor read while something asks it: nothing dies of it, nothing is guessed (F43)."""

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

from src.core.operator.settings_changed import SettingsChanged
from src.core.order_answered import OrderAnswered
from src.core.standing import Obstacle
from src.core.status import Identity
from src.domain.decisions import Gate
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction
from tests.builders import NOW, some_settings
from tests.core.rig import Rig

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
TRY_MS = 1_000


@contextmanager
def gone(rig: Rig) -> Iterator[None]:
    """The database is deleted, and no new one can be written yet."""
    obstacle = rig.path.with_name(f"{rig.path.name}.rescued")
    obstacle.mkdir()
    for suffix in ("", "-wal", "-shm"):
        rig.path.with_name(rig.path.name + suffix).unlink()
    yield
    assert rig.desk.store.fault == "its file is gone"
    obstacle.rmdir()


@contextmanager
def unreadable(rig: Rig, words: str) -> Iterator[None]:
    """The disk fails at every question that contains these words, in the midst of a transaction."""
    failing = sqlite3.OperationalError("disk I/O error")
    failing.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def fail(*arguments: Any) -> None:
        statement = arguments[2]
        if words in statement:
            raise OperationalError(statement, None, failing)

    event.listen(rig.engine, "before_cursor_execute", fail)
    yield
    event.remove(rig.engine, "before_cursor_execute", fail)


def answers(rig: Rig) -> list[str]:
    return [each["message"] for each in rig.journal("command")]


def test_the_first_liquidation_of_all_gets_its_verdict(path: Path) -> None:
    rig = Rig(path).connect()
    with gone(rig):
        rig.liquidate()
        rig.liquidate()
    rig.wait(TRY_MS)
    assert rig.submitted() == []
    assert rig.verdicts() == [Gate.TRADING_STATE] * 2
    assert [row["id"] for row in rig.rows("SELECT id FROM liquidations")] == [1, 2]
    rig.liquidate()
    assert rig.verdicts()[-1] is None
    rig.close()


def test_new_settings_are_in_force_at_once_and_protect_by_their_prices(rig: Rig) -> None:
    rig.open_position()
    with gone(rig):
        rig.feed(SettingsChanged(some_settings(stop_loss_pct=5)))
        rig.audit()
        assert rig.last(STOP).stop_price == Decimal("47500.0")
    rig.wait(TRY_MS)
    assert [each["message"] for each in rig.journal("settings")] == ["new settings are in force"]


def test_windows_are_filled_anew_once_the_ledger_answers(rig: Rig) -> None:
    rig.liquidate(notional=30_000)
    rig.wait(40_000)
    with gone(rig):
        rig.feed(SettingsChanged(some_settings({"volume_window_sec": 120})))
        rig.liquidate(notional=10_000)
    rig.wait(TRY_MS)
    assert rig.submitted() == []
    rig.liquidate(notional=15_000)
    assert rig.verdicts() == [Gate.THRESHOLD, Gate.TRADING_STATE, None]


def live(path: Path) -> Rig:
    rig = Rig(path, identity=Identity("1.0", 1, NOW, "mainnet", False, "0xabc")).connect()
    agree(rig)
    return rig


def agree(rig: Rig) -> None:
    with rig.desk.store.transaction():
        pending = rig.desk.store.get_state("live_pending") or {}
    rig.command(OperatorAction.CONFIRM_LIVE, terms=pending["fingerprint"])


def change(rig: Rig, **symbol_changes: Any) -> None:
    rig.feed(SettingsChanged(some_settings(**symbol_changes)))


def test_what_was_agreed_to_is_still_known(path: Path) -> None:
    rig = live(path)
    with gone(rig):
        change(rig, trade_value_usdt=20)
        assert not rig.desk.standing.has(Obstacle.CONSENT)
        change(rig, trade_value_usdt=25)
        assert rig.desk.standing.has(Obstacle.CONSENT)
        agree(rig)
        assert not rig.desk.standing.has(Obstacle.CONSENT)
        change(rig, trade_value_usdt=25)
        assert not rig.desk.standing.has(Obstacle.CONSENT)
    rig.wait(TRY_MS)
    again = rig.restart(some_settings(trade_value_usdt=25)).connect()
    assert not again.desk.standing.has(Obstacle.CONSENT)
    again.close()


def test_a_lock_stays_where_nobody_can_tell_from_where_to_count_anew(path: Path) -> None:
    rig = Rig(path, some_settings({"max_consecutive_stops": 1})).connect()
    rig.open_position()
    rig.fill(rig.last(STOP), pnl=-10)
    rig.audit()
    assert rig.desk.standing.has(Obstacle.LOCK)
    with gone(rig):
        rig.command(OperatorAction.RESUME)
        assert rig.desk.standing.has(Obstacle.LOCK)
    rig.wait(TRY_MS)
    assert "the lock is lifted" not in answers(rig)[-1] and "locked until" in answers(rig)[-1]
    rig.command(OperatorAction.RESUME)
    assert not rig.desk.standing.has(Obstacle.LOCK)
    rig.close()


@pytest.mark.parametrize(
    ("limit", "words"), [({"max_consecutive_stops": 1}, "FROM fills"), ({"max_daily_loss_usdt": 1}, "FROM fills")]
)
def test_results_that_cannot_be_read_lock_nothing_and_keep_entries_back(
    path: Path, limit: dict[str, Any], words: str
) -> None:
    rig = Rig(path, some_settings(limit)).connect()
    rig.open_position()
    rig.fill(rig.last(STOP), pnl=-10)
    with unreadable(rig, words):
        rig.audit()
        rig.audit()
        assert not rig.desk.standing.has(Obstacle.LOCK)
        assert rig.desk.standing.has(Obstacle.LEDGER)
    rig.wait(2 * TRY_MS)
    assert rig.desk.standing.has(Obstacle.LOCK)
    assert not rig.desk.standing.has(Obstacle.LEDGER)
    rig.close()


@pytest.mark.parametrize("limit", [{"max_consecutive_stops": 1}, {"max_daily_loss_usdt": 1}])
def test_a_lock_whose_time_is_over_waits_for_the_ledger(path: Path, limit: dict[str, Any]) -> None:
    rig = Rig(path, some_settings({**limit, "lock_minutes": 1})).connect()
    rig.open_position()
    rig.fill(rig.last(STOP), pnl=-10)
    rig.audit()
    with unreadable(rig, "FROM fills"):
        rig.clock.advance(24 * 3_600_000)
        rig.audit()
        assert rig.desk.standing.has(Obstacle.LOCK)
    rig.wait(2 * TRY_MS)
    assert not rig.desk.standing.has(Obstacle.LOCK)
    rig.close()


def test_entries_that_cannot_be_counted_leave_room_for_none(path: Path) -> None:
    rig = Rig(path, some_settings({"max_entries_per_minute": 5})).connect()
    with unreadable(rig, "count(*)"):
        rig.liquidate()
    rig.wait(2 * TRY_MS)
    assert rig.submitted() == []
    assert rig.verdicts() == [Gate.RATE_BUDGET]
    rig.liquidate()
    assert rig.verdicts()[-1] is None
    rig.close()


def test_a_mute_private_stream_is_renewed_at_once(rig: Rig) -> None:
    renewed: list[int] = []
    rig.desk.renew_private = lambda: renewed.append(rig.now)
    entry = rig.enter()
    rig.clock.advance(2_000)
    with gone(rig):
        rig.feed(OrderAnswered(rig.told(entry, filled_quantity=entry.quantity)))
        rig.wait(5_000)
        assert renewed == [rig.now]
