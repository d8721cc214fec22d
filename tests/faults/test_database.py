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

from src.database.emergency import EmergencyFile
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig, wait_until

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
def read_only(rig: Rig) -> Iterator[None]:
    """SQLite refuses every write with SQLITE_READONLY, as on a disk that was mounted anew."""
    for word in ("ON", "OFF"):
        with closing(rig.engine.raw_connection()) as raw:
            raw.cursor().execute(f"PRAGMA query_only={word}")
        if word == "ON":
            yield


@contextmanager
def gone(rig: Rig) -> Iterator[None]:
    """The database is deleted and no new one can be written yet: it can neither be written nor read."""
    obstacle = rig.home / "bot.db.rescued"
    obstacle.mkdir()
    for suffix in ("", "-wal", "-shm"):
        (rig.home / f"bot.db{suffix}").unlink()
    yield
    assert rig.code is None, "the bot has ended"
    obstacle.rmdir()


@contextmanager
def locked_for(rig: Rig) -> Iterator[None]:
    with locked(rig.home / "bot.db"):
        yield


LOST = pytest.mark.parametrize(
    "lost", [pytest.param(gone, marks=POSIX), locked_for, read_only], ids=["gone", "locked", "read only"]
)
Lost = Callable[[Rig], AbstractContextManager[None]]


def fails(rig: Rig) -> bool:
    return rig.bot._store.fault is not None


def close_by_hand_of_the_operator(rig: Rig) -> None:
    """What must work while nothing can be written: the stop rests, and a close leaves."""
    rig.close_position()
    wait_until(lambda: rig.fills() and not rig.position, 10, "closed while the database fails")


def fill_and_expect_protection(rig: Rig) -> None:
    started = time.monotonic()
    rig.fill()
    rig.wait_protected()
    rig.measured["stop_ms"] = round((time.monotonic() - started) * 1000)


def liquidate_and_wait(rig: Rig, caplog: pytest.LogCaptureFixture, times: int) -> None:
    """While no verdict can be written the log tells that all are judged: later they may be, with reason, another."""
    before = caplog.text.count(JUDGED)
    for _ in range(times):
        rig.move(rig.middle)
        rig.liquidate()
    wait_until(lambda: caplog.text.count(JUDGED) >= before + times, 15, "all are judged")


def wait_written(rig: Rig) -> None:
    wait_until(lambda: not fails(rig), 15, "the database is written again")
    wait_until(lambda: any("the database is written again" in each for each in rig.alerts()), 15, "it is told")


def test_f43_a_locked_database_holds_back_entries_and_no_stop(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    entry = rig.hunt()
    with locked(rig.home / "bot.db"):
        wait_until(lambda: fails(rig), 10, "the lock is noticed")
        fill_and_expect_protection(rig)
        kept = EmergencyFile(rig.home / "bot.db").intents()
        assert {intent.order.client_order_id for intent in kept} >= set(rig.arrived(STOP))
        liquidate_and_wait(rig, caplog, 1)
        close_by_hand_of_the_operator(rig)
        assert list(rig.arrived(ENTRY)) == [entry]
    wait_written(rig)
    wait_until(lambda: EmergencyFile(rig.home / "bot.db").intents() == [], 15, "the emergency file is cleared")
    assert any("the database cannot be written" in verdict for verdict in rig.verdicts())
    rig.check_books(naked_ms=2_000)
    rig.open_position()
    rig.check_books(naked_ms=2_000)


def test_f43_an_entry_decided_as_the_lock_began_does_not_leave(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with locked(rig.home / "bot.db"):
        liquidate_and_wait(rig, caplog, 3)
        wait_until(lambda: fails(rig), 10)
    wait_written(rig)
    assert rig.arrived(ENTRY) == {}
    assert not rig.rows("SELECT 1 FROM trades WHERE order_status NOT IN ('REJECTED')")
    rig.check_books(naked_ms=0)


def test_f43_a_bot_that_ends_while_the_database_is_locked_leaves_its_stops_known(rig: Rig) -> None:
    """The lock outlives the bot; the next one reads the emergency file, and no id is given out twice."""
    rig.hunt()
    with locked(rig.home / "bot.db"):
        wait_until(lambda: fails(rig), 10)
        rig.fill()
        rig.wait_protected()
        stops = set(rig.arrived(STOP))
        rig.stop()
        rig.launch()  # it reads what it can, and goes on from the emergency file
        wait_until(lambda: rig.bot._store.fault is not None, 10, "the next one starts without writing")
        time.sleep(2)
        assert set(rig.arrived(STOP)) == stops
    wait_until(lambda: ids_in_the_ledger(rig) >= set(rig.arrived()), 15, "what had left is booked")
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 20, "it trades again")
    rig.check_books(naked_ms=2_000)


def ids_in_the_ledger(rig: Rig) -> set[str]:
    return {row["client_order_id"] for row in rig.rows("SELECT client_order_id FROM trades")}


def test_f43_a_read_only_database_holds_back_entries_and_no_stop(rig: Rig) -> None:
    rig.hunt()
    with read_only(rig):
        wait_until(lambda: fails(rig), 10)
        fill_and_expect_protection(rig)
        close_by_hand_of_the_operator(rig)
    wait_written(rig)
    rig.check_books(naked_ms=2_000)


@POSIX
@pytest.mark.parametrize("all_of_it", [True, False])
def test_f43_a_database_deleted_under_the_bot_comes_back_whole(rig: Rig, all_of_it: bool) -> None:
    rig.hunt()
    before = len(rig.rows("SELECT 1 FROM journal"))
    for suffix in ("", "-wal", "-shm") if all_of_it else ("",):
        (rig.home / f"bot.db{suffix}").unlink()
    fill_and_expect_protection(rig)
    wait_until(lambda: (rig.home / "bot.db").exists(), 15, "it is written anew")
    wait_written(rig)
    assert len(rig.rows("SELECT 1 FROM journal")) > before
    close_by_hand_of_the_operator(rig)
    rig.check_books(naked_ms=2_000)


@POSIX
def test_f43_a_directory_deleted_under_the_bot_comes_back_whole(make_rig: MakeRig) -> None:
    rig = make_rig().start()
    rig.hunt()
    shutil.rmtree(rig.home)
    fill_and_expect_protection(rig)
    wait_until((rig.home / "bot.db").exists, 15, "it is written anew")
    wait_written(rig)
    rig.check_books(naked_ms=2_000)


@LOST
def test_f43_settings_that_change_meanwhile_are_in_force_at_once(rig: Rig, lost: Lost) -> None:
    rig.open_position()
    [old] = rig.orders(STOP)
    with lost(rig):
        wait_until(lambda: fails(rig), 10, "the fault is noticed")
        rig.change_settings(stop_loss_pct=4)
        rig.measure("the stop by new settings", lambda: stop_prices(rig) - {old.stop_price}, 5)
        wait_until(lambda: len(rig.orders(STOP)) == 1, 15, "the old stop goes")
        assert stop_prices(rig) != {old.stop_price}
        close_by_hand_of_the_operator(rig)
    wait_written(rig)
    wait_until(lambda: rig.rows("SELECT 1 FROM journal WHERE kind = 'settings'"), 15, "it is written down")
    rig.check_books(naked_ms=2_000)


def stop_prices(rig: Rig) -> set[Decimal]:
    return {order.stop_price for order in rig.orders(STOP)}


@LOST
def test_f43_the_first_liquidation_of_all_may_come_meanwhile(
    rig: Rig, lost: Lost, caplog: pytest.LogCaptureFixture
) -> None:
    with lost(rig):
        wait_until(lambda: fails(rig), 10, "the fault is noticed")
        liquidate_and_wait(rig, caplog, 3)
        assert rig.code is None
    wait_written(rig)
    wait_until(lambda: len(rig.verdicts()) == 3, 15, "all have their verdicts")
    assert rig.arrived() == {}
    rig.open_position()
    rig.check_books(naked_ms=2_000)


@LOST
def test_f43_a_private_stream_that_is_mute_is_renewed_meanwhile(rig: Rig, lost: Lost) -> None:
    rig.wait_private_proof()
    rig.hunt()
    with lost(rig):
        wait_until(lambda: fails(rig), 10, "the fault is noticed")
        keys = Fault(FaultKind.DELAY, path="listenKey", method="POST", times=FOREVER)
        rig.exchange.inject(keys)
        rig.mute()
        rig.fill()
        rig.wait_protected(15)
        rig.measure("a new private stream", lambda: keys.times < FOREVER, 15)
        rig.exchange.clear_faults()
    wait_written(rig)
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 20, "it trades again")
    rig.check_books()


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


def test_f43_a_full_disk_holds_back_entries_and_no_stop(make_rig: MakeRig, tiny_disk: Path) -> None:
    rig = make_rig().start()
    rig.hunt()
    filler = fill_up(tiny_disk)
    wait_until(lambda: fails(rig), 10, "the full disk is noticed")
    fill_and_expect_protection(rig)
    kept = EmergencyFile(rig.home / "bot.db").intents()
    assert {intent.order.client_order_id for intent in kept} >= set(rig.arrived(STOP))
    close_by_hand_of_the_operator_on_a_full_disk(rig)
    filler.unlink()
    wait_written(rig)
    rig.check_books(naked_ms=2_000)


def close_by_hand_of_the_operator_on_a_full_disk(rig: Rig) -> None:
    """The dashboard cannot write its wish either: the market reaches the resting stop."""
    rig.shift("-3")
    wait_until(lambda: rig.fills() and not rig.position, 5, "the stop fires")
