"""Opening the database: new, older, newer, damaged and locked files."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from src.core.health.status import BotInfo
from src.core.trading_status import EntryBlock
from src.database import open_database as opening
from src.database.db import quick_check
from src.database.models import BotBase
from src.database.open_database import AlreadyRunning, DatabaseLock, is_network_drive, newest_revision, open_database
from src.database.queries import account
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, PositionSide
from src.domain.errors import ConfigError
from src.exchange.paper import parse_account_state
from tests.builders import NOW, a_report, some_settings
from tests.core.harness import Harness
from tests.database.helpers import HOLD_THE_LOCK, python, read_line

HOUR_MS = 3_600_000
ROOT = Path(__file__).parents[2]
NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9998"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
"""


def next_one(then: str = "") -> str:
    """A migration after the existing ones."""
    newest = max(each.name for each in (opening._MIGRATIONS / "versions").glob("0*.py"))
    return NEXT_MIGRATION.format(head=newest[:4], then=then)


@pytest.fixture
def next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the migrations to which one can be added."""
    import shutil

    copy = tmp_path / "migrations"
    shutil.copytree(opening._MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(opening, "_MIGRATIONS", copy)
    yield copy / "versions" / "9998_notes.py"


def count_of_runs(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM bot_runs").fetchone()[0])


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def open_with_a_run(path: Path) -> None:
    """Create a database with one row and close it."""
    engine = open_database(path, NOW).engine
    store = Store(engine, ManualClock(NOW))
    with store.transaction():
        store.begin_run("1.0", 1)
    engine.dispose()


def test_new_database_has_every_table(path: Path) -> None:
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is None
    assert tables_of(path) >= set(BotBase.metadata.tables)


def test_newest_migration_is_last_by_name() -> None:
    scripts = ScriptDirectory(str(opening._MIGRATIONS))
    assert newest_revision() == scripts.get_current_head()


def test_current_database_is_opened_without_alembic(path: Path) -> None:
    open_with_a_run(path)
    script = (
        "import sys; from pathlib import Path; from src.database.open_database import open_database\n"
        "open_database(Path(sys.argv[1]), 1).engine.dispose(); print('alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_migrations_match_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, BotBase.metadata) == []


def test_existing_database_keeps_rows_without_backup(path: Path) -> None:
    open_with_a_run(path)
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is None
    assert count_of_runs(path) == 1
    assert list(path.parent.glob("*.before-*")) == []


def test_newer_database_is_rejected_unchanged(path: Path) -> None:
    open_with_a_run(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(ConfigError, match="newer version of this program"):
        open_database(path, NOW)
    assert count_of_runs(path) == 1


def test_database_of_other_program_is_rejected_unchanged(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trades (id INTEGER)")
        connection.commit()
    with pytest.raises(ConfigError, match="another program"):
        open_database(path, NOW)
    assert tables_of(path) == {"trades"}


@pytest.mark.parametrize(
    "damage", [b"this is not a database at all, by no means" * 100, b"SQLite format 3\0" + bytes(900)]
)
def test_corrupt_database_is_quarantined(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_bytes(damage)
    opened = open_database(path, NOW)
    opened.engine.dispose()
    aside = path.with_name(f"bot.db.corrupt-{NOW}")
    assert opened.quarantined_to == aside
    assert aside.read_bytes() == damage
    assert quick_check(path) is None
    assert tables_of(path) >= set(BotBase.metadata.tables)


def test_damaged_database_is_quarantined_completely(path: Path) -> None:
    open_with_a_run(path)
    content = path.read_bytes()
    middle = len(content) // 2
    broken = content[:middle] + b"\xff" * 8192 + content[middle + 8192 :]
    path.write_bytes(broken)
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is not None
    assert opened.quarantined_to.read_bytes() == broken
    assert count_of_runs(path) == 0


def test_uncreatable_directory_is_config_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in place of the directory", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_database(tmp_path / "data" / "bot.db", NOW)


def test_unopenable_database_is_not_quarantined(path: Path) -> None:
    open_with_a_run(path)
    log = path.with_name("bot.db-wal")
    log.mkdir()
    with pytest.raises(ConfigError, match=r"bot\.db"):
        open_database(path, NOW)
    log.rmdir()
    assert count_of_runs(path) == 1
    assert list(path.parent.glob("*.corrupt-*")) == []


@pytest.mark.slow
def test_locked_database_is_not_quarantined(path: Path) -> None:
    open_with_a_run(path)
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match="locked"):
            open_database(path, NOW)
    assert count_of_runs(path) == 1


def test_migration_makes_backup(path: Path, next_migration: Path) -> None:
    open_with_a_run(path)
    next_migration.write_text(next_one(), encoding="utf-8")
    open_database(path, NOW).engine.dispose()
    before = path.with_name("bot.db.before-9998")
    assert "notes" in tables_of(path)
    assert "notes" not in tables_of(before)
    assert (count_of_runs(path), count_of_runs(before)) == (1, 1)


def test_failed_migration_keeps_old_database(path: Path, next_migration: Path) -> None:
    open_with_a_run(path)
    next_migration.write_text(next_one("raise KeyboardInterrupt"), encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        open_database(path, NOW)
    assert "notes" not in tables_of(path)
    next_migration.write_text(next_one(), encoding="utf-8")
    open_database(path, NOW).engine.dispose()
    assert "notes" in tables_of(path)
    assert count_of_runs(path) == 1


EARLIER_TABLES = {"corrections", "funding", "runs", "state"}


@pytest.fixture
def earlier_version(path: Path) -> Path:
    """A database of the version before the final names, with a row in every table."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "bot_0003.sql").read_text(encoding="utf-8"))
    return path


def rows_by_table(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=str) for table in tables_of(path)}


def test_earlier_version_is_upgraded_to_the_final_schema(earlier_version: Path) -> None:
    engine = open_database(earlier_version, NOW).engine
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, BotBase.metadata) == []
    engine.dispose()
    assert not tables_of(earlier_version) & EARLIER_TABLES
    assert tables_of(earlier_version.with_name(f"bot.db.before-{newest_revision()}")) > EARLIER_TABLES


def test_upgrade_keeps_every_row(earlier_version: Path) -> None:
    before = rows_by_table(earlier_version)
    open_database(earlier_version, NOW).engine.dispose()
    after = rows_by_table(earlier_version)
    names = {"corrections": "position_corrections", "funding": "funding_payments", "runs": "bot_runs"}
    changed = {"alembic_version", "state", "positions", "order_status", "instruments"}
    for table in before.keys() - changed:
        widths = {len(row) for row in before[table]}
        kept = [row[:width] for row in after[names.get(table, table)] for width in widths]  # new columns come last
        assert kept == before[table]
    assert {(*row[1:3], row[10]) for row in after["positions"]} == {
        ("LONG", "0.01", "ok"),
        ("SHORT", "-2", "external"),
        ("LONG", "0.02", "ok"),
    }
    assert [row[6] for row in after["order_status"]] == ["intent", "intent_log"]
    assert len(after["bot_state"]) == len(before["state"])
    assert after["instruments"] == []  # the next start reads them from the exchange


def test_upgrade_values_fees_and_funding_in_dollars(earlier_version: Path) -> None:
    with closing(sqlite3.connect(earlier_version)) as connection:
        connection.execute(
            "INSERT INTO fills SELECT 900, symbol, 900, order_id, client_order_id, side, position_side, "
            "quantity, price, realized_pnl, '3', 'ASTER', is_maker, traded_at, is_simulated "
            "FROM fills LIMIT 1"
        )
        connection.commit()
    open_database(earlier_version, NOW).engine.dispose()
    with closing(sqlite3.connect(earlier_version)) as connection:
        fees = connection.execute("SELECT commission, commission_asset, commission_value FROM fills").fetchall()
        payments = connection.execute("SELECT amount, dollar_value, is_external FROM funding_payments").fetchall()
        history = connection.execute("SELECT transfers FROM account_history").fetchall()
    assert ("3", "ASTER", None) in fees
    assert all(value == amount for amount, asset, value in fees if asset == "USDT")
    assert {transfers for (transfers,) in history} == {"0"}
    assert payments
    assert all((value, is_external) == (amount, 0) for amount, value, is_external in payments)


def test_upgrade_renames_state_keys_and_their_fields(earlier_version: Path) -> None:
    engine = open_database(earlier_version, NOW).engine
    with engine.connect() as connection:
        state = account.state(connection)
    engine.dispose()
    shared = {"bot", "trading", "network", "rate_limits", "event_queue", "operator_state", "external_orders"}
    of_one_mode = {"pending_closes", "incomplete_positions", "loss_lock", "symbol_locks"}
    live = {"bot_instance", "live_consent", "live_consent_pending"}
    assert state.keys() == shared | live | of_one_mode | {f"{key}_paper" for key in of_one_mode} | {"paper_account"}
    assert state["trading"]["needs_resume"] is True
    assert state["rate_limits"]["clock_drift_ms"] == 3
    assert state["loss_lock"] == {
        "active": {"kind": "max_consecutive_losses", "reason": "3 exits in a row lost", "until_ms": NOW + HOUR_MS},
        "peak": "1000",
        "counted_until_fill_id": 1,
        "baseline_day": 1749945600000,
        "baseline_net": "-1.5",
    }
    assert state["loss_lock_paper"]["active"] is None
    assert state["live_consent_pending"]["risk_increases"] == ["BTCUSDT: leverage from 2 to 9"]
    assert state["external_orders"]["items"][0]["problem"] == "type BOX is not known"
    assert parse_account_state(state["paper_account"]).wallets == {"USDT": 9900}


def test_bot_goes_on_with_an_upgraded_database(earlier_version: Path) -> None:
    identity = BotInfo("1.0", 1, NOW, "testnet", is_simulated=False, account="0x63DD")
    bot = Harness(earlier_version, some_settings({"max_consecutive_losses": 3}), identity=identity)
    status, tracked = bot.context.trading_status, bot.context.portfolio.tracked_positions
    assert tracked["BTCUSDT", PositionSide.LONG].close_reason == "the operator closes it"
    assert not tracked["BTCUSDT", PositionSide.SHORT].is_managed
    assert {order.role for order in bot.context.portfolio.orders.values()} == {OrderRole.STOP_LOSS}
    assert {key: each.opened_at for key, each in bot.context.ended_positions.items()} == {
        ("ETHUSDT", PositionSide.LONG): NOW
    }
    assert bot.context.bot_tag == "abcd"
    assert bot.context.symbol_locks == {"ETHUSDT": "it was not as expected"}
    assert bot.last_command == NOW
    assert status.has(EntryBlock.LOSS_LIMIT) and status.has(EntryBlock.OPERATOR_PAUSE)
    assert not status.has(EntryBlock.CONSENT)
    bot.connect(positions=(a_report("0.01", 50_000), a_report("-2", 50_000, position_side=PositionSide.SHORT)))
    bot.command(OperatorAction.RESUME)
    again = bot.restart()
    assert not again.context.symbol_locks
    assert again.context.bot_tag == "abcd"
    assert again.journal("alert")[0]["message"] == "a line of the journal"


def test_version_before_first_release_is_rejected(earlier_version: Path) -> None:
    with closing(sqlite3.connect(earlier_version)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
        connection.commit()
    with pytest.raises(ConfigError, match="before the first release"):
        open_database(earlier_version, NOW)
    assert tables_of(earlier_version) > EARLIER_TABLES


def test_full_check_of_earlier_version_after_unclean_shutdown(earlier_version: Path) -> None:
    spoil_an_index(earlier_version, table="runs")
    assert quick_check(earlier_version) is None
    opened = open_database(earlier_version, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is not None


def test_locked_up_to_date_database_is_opened(path: Path) -> None:
    """A restarted bot must protect positions, which needs no write (F43)."""
    open_with_a_run(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = Store(open_database(path, NOW).engine, ManualClock(NOW))
        with store.transaction():
            assert store.load_open_orders() == []
        assert store.error == "another program has locked it"
        other.execute("ROLLBACK")


def test_locked_new_database_is_database_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.database.db.BUSY_TIMEOUT_MS", 0)
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(opening.DatabaseBusy, match="cannot be written"):
            open_database(path, NOW)


def spoil_an_index(path: Path, table: str = "bot_runs") -> None:
    """Add a row that an index lacks, which the quick check does not find."""
    name = f"ix_{table}_spoilt"
    for step in range(3):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            if step == 0:
                connection.execute(f"CREATE INDEX {name} ON {table} (version)")
                saved = connection.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,)).fetchone()
                connection.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
            elif step == 1:
                connection.execute(f"INSERT INTO {table} (version, pid, started_at) VALUES ('2.0', 2, 2)")
            else:
                connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", saved)


def test_full_check_after_unclean_shutdown(path: Path) -> None:
    open_with_a_run(path)
    spoil_an_index(path)
    assert quick_check(path) is None
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is not None
    assert opened.quarantined_to.exists()
    assert count_of_runs(path) == 0


def test_quick_check_after_clean_shutdown(path: Path) -> None:
    open_with_a_run(path)
    spoil_an_index(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE bot_runs SET ended_at = 5")
    opened = open_database(path, NOW)
    opened.engine.dispose()
    assert opened.quarantined_to is None


def test_second_bot_learns_pid_of_lock_holder(path: Path) -> None:
    with python(HOLD_THE_LOCK, path) as other:
        assert read_line(other) == "held"
        with pytest.raises(AlreadyRunning, match=rf"process {other.pid}\).*bot\.db"):
            DatabaseLock(path).acquire()


def test_killed_bot_releases_lock(path: Path) -> None:
    with python(HOLD_THE_LOCK, path) as other:
        assert read_line(other) == "held"
        other.kill()
        other.wait(timeout=10)
    lock = DatabaseLock(path)
    lock.acquire()
    assert path.with_name("bot.db.pid").read_text(encoding="ascii") == str(os.getpid())
    lock.release()


def test_released_lock_can_be_acquired_again(path: Path) -> None:
    first, second = DatabaseLock(path), DatabaseLock(path)
    first.acquire()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    with pytest.raises(AlreadyRunning):
        first.acquire()
    second.release()


def test_lock_holder_without_pid_file_is_unknown(path: Path) -> None:
    first = DatabaseLock(path)
    first.acquire()
    path.with_name("bot.db.pid").unlink()
    with pytest.raises(AlreadyRunning, match="process unknown"):
        DatabaseLock(path).acquire()
    path.with_name("bot.db.pid").write_text("", encoding="ascii")
    with pytest.raises(AlreadyRunning, match="process unknown"):
        DatabaseLock(path).acquire()
    first.release()


def test_unsupported_lock_is_config_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("src.database.open_database.lock_exclusively", refuse)
    with pytest.raises(ConfigError, match="cannot be locked") as caught:
        DatabaseLock(path).acquire()
    assert not isinstance(caught.value, AlreadyRunning)


def test_unwritable_pid_file_is_ignored(path: Path) -> None:
    """A full disk must not prevent the start."""
    path.with_name(f"{path.name}.pid").mkdir(parents=True)
    lock = DatabaseLock(path)
    lock.acquire()
    with pytest.raises(AlreadyRunning, match="process unknown"):
        DatabaseLock(path).acquire()
    lock.release()


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /mnt/home nfs4 rw 0 0
tmpfs /mnt/home/local tmpfs rw 0 0
//server/share /mnt/my\\040disk cifs rw 0 0
odd line
"""


@pytest.mark.parametrize(
    ("path", "is_remote"),
    [
        ("/home/me/data/bot.db", False),
        ("/mnt/home/data/bot.db", True),
        ("/mnt/home/local/bot.db", False),
        ("/mnt/my disk/bot.db", True),
    ],
)
def test_nearest_mount_decides(tmp_path: Path, path: str, is_remote: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS, encoding="utf-8")
    assert is_network_drive(Path(path), mounts) is is_remote


def test_missing_mount_table_is_trusted(tmp_path: Path) -> None:
    assert not is_network_drive(tmp_path / "bot.db", tmp_path / "nothing")


def test_network_drive_is_logged_at_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opening, "is_network_drive", lambda _: True)
    open_database(path, NOW).engine.dispose()
    assert "is on a network drive" in caplog.text
