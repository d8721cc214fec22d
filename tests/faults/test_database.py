"""The database fails while the bot holds a position (F43): locked, full, read-only or deleted."""

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
DECIDED = "liquidation evaluated symbol=BTCUSDT"
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows cannot delete an open file")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the write lock of the database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=5000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(harness: FaultHarness) -> Iterator[None]:
    """SQLite rejects all writes with SQLITE_READONLY, as on a disk remounted read-only."""
    for value in ("ON", "OFF"):
        with closing(harness.engine.raw_connection()) as raw:
            raw.cursor().execute(f"PRAGMA query_only={value}")
        if value == "ON":
            yield


@contextmanager
def deleted(harness: FaultHarness) -> Iterator[None]:
    """The database is deleted and cannot be created again yet: it can be neither written nor read."""
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


FAILING = pytest.mark.parametrize(
    "failing", [pytest.param(deleted, marks=POSIX), locked_for, read_only], ids=["deleted", "locked", "read only"]
)
Failing = Callable[[FaultHarness], AbstractContextManager[None]]


def fails(harness: FaultHarness) -> bool:
    return harness.bot._store.error is not None


def close_by_command(harness: FaultHarness) -> None:
    """A close command works while nothing can be written."""
    harness.close_position()
    wait_until(lambda: harness.fills() and not harness.position, 10, "closed while the database fails")


def fill_and_expect_protection(harness: FaultHarness) -> None:
    started = time.monotonic()
    harness.fill()
    harness.wait_protected()
    harness.measured["stop placed"] = round((time.monotonic() - started) * 1000)


def liquidate_and_wait(harness: FaultHarness, caplog: pytest.LogCaptureFixture, times: int) -> None:
    """Send liquidations and wait until the log reports decisions; they cannot be written to the database yet."""
    before = caplog.text.count(DECIDED)
    for _ in range(times):
        harness.move(harness.mid_price)
        harness.liquidate()
    wait_until(lambda: caplog.text.count(DECIDED) >= before + times, 15, "all are decided")


def wait_written(harness: FaultHarness) -> None:
    wait_until(lambda: not fails(harness), 15, "the database is written again")
    wait_until(
        lambda: any("the database can be written again" in each for each in harness.alerts()),
        15,
        "an alert is reported",
    )


def test_f43_locked_database_blocks_entries_but_not_stops(
    harness: FaultHarness, caplog: pytest.LogCaptureFixture
) -> None:
    entry = harness.trigger_entry()
    with locked(harness.home / "bot.db"):
        wait_until(lambda: fails(harness), 10, "the lock is noticed")
        fill_and_expect_protection(harness)
        intents = IntentLog(harness.home / "bot.db").intents()
        assert {intent.order.client_order_id for intent in intents} >= set(harness.received_orders(STOP))
        liquidate_and_wait(harness, caplog, 1)
        close_by_command(harness)
        assert list(harness.received_orders(ENTRY)) == [entry]
    wait_written(harness)
    wait_until(lambda: IntentLog(harness.home / "bot.db").intents() == [], 15, "the intent log is cleared")
    assert any("the database cannot be written" in verdict for verdict in harness.verdicts())
    harness.check_consistency(unprotected_ms=2_000)
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


def test_f43_entry_decided_as_the_lock_starts_is_not_sent(
    harness: FaultHarness, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(harness.home / "bot.db"):
        liquidate_and_wait(harness, caplog, 3)
        wait_until(lambda: fails(harness), 10)
    wait_written(harness)
    assert harness.received_orders(ENTRY) == {}
    assert not harness.rows("SELECT 1 FROM trades WHERE order_status NOT IN ('REJECTED')")
    harness.check_consistency(unprotected_ms=0)


def test_f43_stops_sent_under_a_lock_are_known_after_a_restart(harness: FaultHarness) -> None:
    """The lock outlives the bot; the next one reads the intent log, and no order id is used twice."""
    harness.trigger_entry()
    with locked(harness.home / "bot.db"):
        wait_until(lambda: fails(harness), 10)
        harness.fill()
        harness.wait_protected()
        stops = set(harness.received_orders(STOP))
        harness.stop()
        harness.launch()  # it reads the database and continues from the intent log
        wait_until(lambda: harness.bot._store.error is not None, 10, "the next bot starts without writing")
        time.sleep(2)
        assert set(harness.received_orders(STOP)) == stops
    wait_until(
        lambda: recorded_order_ids(harness) >= set(harness.received_orders()),
        15,
        "the orders sent meanwhile are recorded",
    )
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "trading resumes")
    harness.check_consistency(unprotected_ms=2_000)


def recorded_order_ids(harness: FaultHarness) -> set[str]:
    return {row["client_order_id"] for row in harness.rows("SELECT client_order_id FROM trades")}


def test_f43_read_only_database_blocks_entries_but_not_stops(harness: FaultHarness) -> None:
    harness.trigger_entry()
    with read_only(harness):
        wait_until(lambda: fails(harness), 10)
        fill_and_expect_protection(harness)
        close_by_command(harness)
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


@POSIX
@pytest.mark.parametrize("with_wal", [True, False])
def test_f43_deleted_database_is_restored_completely(harness: FaultHarness, with_wal: bool) -> None:
    harness.trigger_entry()
    before = len(harness.rows("SELECT 1 FROM journal"))
    for suffix in ("", "-wal", "-shm") if with_wal else ("",):
        (harness.home / f"bot.db{suffix}").unlink()
    fill_and_expect_protection(harness)
    wait_until(lambda: (harness.home / "bot.db").exists(), 15, "it is restored")
    wait_written(harness)
    assert len(harness.rows("SELECT 1 FROM journal")) > before
    close_by_command(harness)
    harness.check_consistency(unprotected_ms=2_000)


@POSIX
def test_f43_deleted_directory_is_restored_completely(make_harness: MakeHarness) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    shutil.rmtree(harness.home)
    fill_and_expect_protection(harness)
    wait_until((harness.home / "bot.db").exists, 15, "it is restored")
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


@FAILING
def test_f43_settings_changed_meanwhile_apply_at_once(harness: FaultHarness, failing: Failing) -> None:
    harness.open_position()
    [old] = harness.orders(STOP)
    with failing(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        harness.change_settings(stop_loss_pct=4)
        harness.measure("stop with the new settings", lambda: stop_prices(harness) - {old.stop_price}, 5)
        wait_until(lambda: len(harness.orders(STOP)) == 1, 15, "the old stop is cancelled")
        assert stop_prices(harness) != {old.stop_price}
        close_by_command(harness)
    wait_written(harness)
    wait_until(lambda: harness.rows("SELECT 1 FROM journal WHERE kind = 'settings'"), 15, "the change is recorded")
    harness.check_consistency(unprotected_ms=2_000)


def stop_prices(harness: FaultHarness) -> set[Decimal]:
    return {order.stop_price for order in harness.orders(STOP)}


@FAILING
def test_f43_first_liquidation_may_arrive_meanwhile(
    harness: FaultHarness, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        liquidate_and_wait(harness, caplog, 3)
        assert harness.exit_code is None
    wait_written(harness)
    wait_until(lambda: len(harness.verdicts()) == 3, 15, "all decisions are stored")
    assert harness.received_orders() == {}
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@FAILING
def test_f43_silent_user_stream_is_replaced_meanwhile(harness: FaultHarness, failing: Failing) -> None:
    harness.wait_past_stream_start()
    harness.trigger_entry()
    with failing(harness):
        wait_until(lambda: fails(harness), 10, "the fault is noticed")
        keys = Fault(FaultKind.DELAY, path="listenKey", method="POST", times=FOREVER)
        harness.exchange.inject(keys)
        harness.silence_user_stream()
        harness.fill()
        harness.wait_protected(15)
        harness.measure("new user data stream", lambda: keys.times < FOREVER, 15)
        harness.exchange.clear_faults()
    wait_written(harness)
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 20, "trading resumes")
    harness.check_consistency()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of five megabytes that can be filled."""
    disk = tmp_path / "0"  # the home directory of the bot
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m,mode=0700", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root on Linux can mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill_up(disk: Path) -> Path:
    """Write until no byte is free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_f43_full_disk_blocks_entries_but_not_stops(make_harness: MakeHarness, tiny_disk: Path) -> None:
    harness = make_harness().start()
    harness.trigger_entry()
    filler = fill_up(tiny_disk)
    wait_until(lambda: fails(harness), 10, "the full disk is noticed")
    fill_and_expect_protection(harness)
    intents = IntentLog(harness.home / "bot.db").intents()
    assert {intent.order.client_order_id for intent in intents} >= set(harness.received_orders(STOP))
    close_on_a_full_disk(harness)
    filler.unlink()
    wait_written(harness)
    harness.check_consistency(unprotected_ms=2_000)


def close_on_a_full_disk(harness: FaultHarness) -> None:
    """The dashboard cannot write a command either: the market triggers the stop."""
    harness.shift("-3")
    wait_until(lambda: harness.fills() and not harness.position, 5, "the stop triggers")
