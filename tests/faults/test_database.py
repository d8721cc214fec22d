"""The database fails under a bot that holds a position (F43): locked, full, read-only, gone."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from src.database.intent_log import IntentLog
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE
JUDGED = "liquidation BTCUSDT"
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the database for writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=5000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(harness: FaultHarness) -> Iterator[None]:
    """SQLite refuses every write with SQLITE_READONLY, as on a disk that was mounted anew."""
    for word in ("ON", "OFF"):
        with closing(harness.engine.raw_connection()) as raw:
            raw.cursor().execute(f"PRAGMA query_only={word}")
        if word == "ON":
            yield


@contextmanager
def gone(harness: FaultHarness) -> Iterator[None]:
    """The database is deleted and no new one can be written yet: it can neither be written nor read."""
    obstacle = harness.home / "bot.db.rescued"
    obstacle.mkdir()
    for suffix in ("", "-wal", "-shm"):
        (harness.home / f"bot.db{suffix}").unlink()
    yield
    assert harness.exit_code is None, "the bot has ended"
    obstacle.rmdir()


@contextmanager
def locked_for(harness: FaultHarness) -> Iterator[None]:
    with locked(harness.home / "bot.db"):
        yield


LOST = pytest.mark.parametrize(
    "lost", [pytest.param(gone, marks=POSIX), locked_for, read_only], ids=["gone", "locked", "read only"]
)
Lost = Callable[[FaultHarness], AbstractContextManager[None]]


def fails(harness: FaultHarness) -> bool:
    return harness.bot._store.error is not None


def close_by_hand_of_the_operator(harness: FaultHarness) -> None:
    """What must work while nothing can be written: the stop rests, and a close leaves."""
    harness.close_position()
    wait_until(lambda: harness.fills() and not harness.position, 10, "closed while the database fails")


def fill_and_expect_protection(harness: FaultHarness) -> None:
    started = time.monotonic()
    harness.fill()
    harness.wait_protected()
    harness.measured["stop placed"] = round((time.monotonic() - started) * 1000)


def liquidate_and_wait(harness: FaultHarness, caplog: pytest.LogCaptureFixture, times: int) -> None:
    """While no verdict can be written the log tells that all are judged: later they may be, with reason, another."""
    before = caplog.text.count(JUDGED)
    for _ in range(times):
        harness.move(harness.mid_price)
        harness.liquidate()
    wait_until(lambda: caplog.text.count(JUDGED) >= before + times, 15, "all are judged")


def wait_written(harness: FaultHarness) -> None:
    wait_until(lambda: not fails(harness), 15, "the database is written again")
    wait_until(lambda: any("the database can be written again" in each for each in harness.alerts()), 15, "it is told")


def test_f43_a_locked_database_holds_back_entries_and_no_stop(
    harness: FaultHarness, caplog: pytest.LogCaptureFixture
) -> None:
    entry = harness.trigger_entry()
    with locked(harness.home / "bot.db"):
        wait_until(lambda: fails(harness), 10, "the lock is noticed")
        fill_and_expect_protection(harness)
        kept = IntentLog(harness.home / "bot.db").intents()
        assert {intent.order.client_order_id for intent in kept} >= set(harness.received_orders(STOP))
        liquidate_and_wait(harness, caplog, 1)
        close_by_hand_of_the_operator(harness)
        assert list(harness.received_orders(ENTRY)) == [entry]
    wait_written(harness)
    wait_until(lambda: IntentLog(harness.home / "bot.db").intents() == [], 15, "the emergency file is cleared")
    assert any("the database cannot be written" in verdict for verdict in harness.verdicts())
    harness.check_consistency(unprotected_ms=2_000)
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


def test_f43_an_entry_decided_as_the_lock_began_does_not_leave(
    harness: FaultHarness, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(harness.home / "bot.db"):
        liquidate_and_wait(harness, caplog, 3)
        wait_until(lambda: fails(harness), 10)
    wait_written(harness)
    assert harness.received_orders(ENTRY) == {}
    assert not harness.rows("SELECT 1 FROM trades WHERE order_status NOT IN ('REJECTED')")
    harness.check_consistency(unprotected_ms=0)


def test_f43_a_bot_that_ends_while_the_database_is_locked_leaves_its_stops_known(harness: FaultHarness) -> None:
    """The lock outlives the bot; the next one reads the emergency file, and no id is given out twice."""
    harness.trigger_entry()
    with locked(harness.home / "bot.db"):
        wait_until(lambda: fails(harness), 10)
        harness.fill()
        harness.wait_protected()
        stops = set(harness.received_orders(STOP))
        harness.stop()
        harness.launch()  # it reads what it can, and goes on from the emergency file
        wait_until(lambda: harness.bot._store.error is not None, 10, "the next one starts without writing")
        time.sleep(2)
        assert set(harness.received_orders(STOP)) == stops
    wait_until(lambda: ids_in_the_ledger(harness) >= set(harness.received_orders()), 15, "what had left is booked")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "it trades again")
    harness.check_consistency(unprotected_ms=2_000)


def ids_in_the_ledger(harness: FaultHarness) -> set[str]:
    return {row["client_order_id"] for row in harness.rows("SELECT client_order_id FROM trades")}


def test_f43_a_read_only_database_holds_back_entries_and_no_stop(harness: FaultHarness) -> None:
    harness.trigger_entry()
    with read_only(harness):
        wait_until(lambda: fails(harness), 10)
        fill_and_expect_protection(harness)
        close_by_hand_of_the_operator(harness)
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


@POSIX
@pytest.mark.parametrize("all_of_it", [True, False])
def test_f43_a_database_deleted_under_the_bot_comes_back_whole(harness: FaultHarness, all_of_it: bool) -> None:
    harness.trigger_entry()
    before = len(harness.rows("SELECT 1 FROM journal"))
    for suffix in ("", "-wal", "-shm") if all_of_it else ("",):
        (harness.home / f"bot.db{suffix}").unlink()
    fill_and_expect_protection(harness)
    wait_until(lambda: (harness.home / "bot.db").exists(), 15, "it is written anew")
    wait_written(harness)
    assert len(harness.rows("SELECT 1 FROM journal")) > before
    close_by_hand_of_the_operator(harness)
    harness.check_consistency(unprotected_ms=2_000)


@POSIX
def test_f43_a_directory_deleted_under_the_bot_comes_back_whole(make_harness: MakeHarness) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    shutil.rmtree(harness.home)
    fill_and_expect_protection(harness)
    wait_until((harness.home / "bot.db").exists, 15, "it is written anew")
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


@LOST
def test_f43_settings_that_change_meanwhile_are_in_force_at_once(harness: FaultHarness, lost: Lost) -> None:
    harness.open_position()
    [old] = harness.orders(STOP)
    with lost(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        harness.change_settings(stop_loss_pct=4)
        harness.measure("stop with the new settings", lambda: stop_prices(harness) - {old.stop_price}, 5)
        wait_until(lambda: len(harness.orders(STOP)) == 1, 15, "the old stop goes")
        assert stop_prices(harness) != {old.stop_price}
        close_by_hand_of_the_operator(harness)
    wait_written(harness)
    wait_until(lambda: harness.rows("SELECT 1 FROM journal WHERE kind = 'settings'"), 15, "it is written down")
    harness.check_consistency(unprotected_ms=2_000)


def stop_prices(harness: FaultHarness) -> set[Decimal]:
    return {order.stop_price for order in harness.orders(STOP)}


@LOST
def test_f43_the_first_liquidation_of_all_may_come_meanwhile(
    harness: FaultHarness, lost: Lost, caplog: pytest.LogCaptureFixture
) -> None:
    with lost(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        liquidate_and_wait(harness, caplog, 3)
        assert harness.exit_code is None
    wait_written(harness)
    wait_until(lambda: len(harness.verdicts()) == 3, 15, "all have their verdicts")
    assert harness.received_orders() == {}
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@LOST
def test_f43_a_private_stream_that_is_mute_is_renewed_meanwhile(harness: FaultHarness, lost: Lost) -> None:
    harness.wait_past_stream_start()
    harness.trigger_entry()
    with lost(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        keys = Fault(FaultKind.DELAY, path="listenKey", method="POST", times=FOREVER)
        harness.exchange.inject(keys)
        harness.silence_user_stream()
        harness.fill()
        harness.wait_protected(15)
        harness.measure("new user data stream", lambda: keys.times < FOREVER, 15)
        harness.exchange.clear_faults()
    wait_written(harness)
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "it trades again")
    harness.check_consistency()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Five megabytes that can be filled (S12)."""
    disk = tmp_path / "0"  # the home of the test's one bot
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=5m,mode=0700", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a disk can only be mounted by root of a Linux machine")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill_up(disk: Path) -> Path:
    """Not a byte is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_f43_a_full_disk_holds_back_entries_and_no_stop(make_harness: MakeHarness, tiny_disk: Path) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    filler = fill_up(tiny_disk)
    wait_until(lambda: fails(harness), 10, "the full disk is noticed")
    fill_and_expect_protection(harness)
    kept = IntentLog(harness.home / "bot.db").intents()
    assert {intent.order.client_order_id for intent in kept} >= set(harness.received_orders(STOP))
    close_by_hand_of_the_operator_on_a_full_disk(harness)
    filler.unlink()
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


def close_by_hand_of_the_operator_on_a_full_disk(harness: FaultHarness) -> None:
    """The dashboard cannot write its wish either: the market reaches the resting stop."""
    harness.shift("-3")
    wait_until(lambda: harness.fills() and not harness.position, 5, "the stop fires")
